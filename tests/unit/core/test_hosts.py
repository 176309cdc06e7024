"""Windows inside windows: programs under `agentdiff run`, traced commands, and the ACP proxy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agentdiff.agents import acp, run
from agentdiff.core import view
from agentdiff.core.entries import File
from agentdiff.core.events import (
    PromptSubmitted,
    Selection,
    SessionEnded,
    SessionStarted,
    ToolStarted,
)
from agentdiff.core.owners import Owner
from tests.play import Play


@pytest.fixture
def play() -> Play:
    """A workspace with one file."""
    return Play(disk={b"f": File(data=b"1\n2\n3\n")})


def tell(play: Play, text: str) -> None:
    """Gives the ledger what the supervisor of the run ``R`` sends, after a look at the disk."""
    play.cut()
    payload = f'{{"agent":"mine","session":"R","cwd":"/ws","tool":"sh",{text}}}'.encode()
    for event in run.parse(payload, play.tick()):
        play.handle(event)


def command(play: Play, name: str, path: bytes | None, *, parent: str = "") -> None:
    """Runs a traced command that writes a path."""
    tell(play, f'"event":"command_started","call":"{name}","parent":"{parent}"')
    if path is not None:
        play.put(path, File(data=name.encode() + b"\n"))
    tell(play, f'"event":"command_finished","call":"{name}","parent":"{parent}","outcome":"ok"')


def owner(play: Play, path: bytes) -> Owner:
    """Returns the one owner of a path."""
    state = play.ledger.paths[path]
    (found,) = {one for change in state.changes().values() for one in change.owners}
    return found


def guest(play: Play, session: str = "X") -> None:
    """Lets Claude Code start inside the run, and be given a prompt."""
    base = {"agent": "claude", "session": session, "within": "R", "received_ns": play.tick()}
    play.handle(SessionStarted(**base))
    play.handle(PromptSubmitted(**base, prompt="hello", turn=f"turn-{session}"))


def test_a_program_owns_what_is_written_while_it_runs(play: Play) -> None:
    """One session, one turn, one window over all of it."""
    tell(play, '"event":"started","command":"sh x"')
    play.put(b"n", File(data=b"x\n"))
    tell(play, '"event":"ended","outcome":"ok"')
    found = owner(play, b"n")
    assert (found.agent, found.session, found.tool_call, found.evidence) == (
        *("mine", "R", "R"),
        "likely",
    )
    assert play.ledger.sessions.by_key["mine", "R"].state == "ended"


def test_a_decision_on_a_call_covers_the_commands_inside_it(play: Play) -> None:
    """A person names the shell call; what it ran is what changed the files."""
    tell(play, '"event":"started","command":"sh x"')
    tell(play, '"event":"command_started","call":"outer"')
    command(play, "inner", b"a", parent="outer")
    command(play, "innermost", b"b", parent="inner")
    tell(play, '"event":"command_finished","call":"outer","outcome":"ok"')
    command(play, "other", b"c")
    answer = play.decide("reject", Selection(everything=True, calls=("outer",)))
    assert ([one["path"] for one in answer["done"]], list(play.pending())) == (["a", "b"], [b"c"])
    assert play.decide("accept", Selection(everything=True, calls=("inner",)))["done"] == []


def test_the_innermost_command_is_the_owner(play: Play) -> None:
    """A command in a command; what neither did is the program's."""
    tell(play, '"event":"started","command":"sh x"')
    tell(play, '"event":"command_started","call":"outer"')
    command(play, "inner", b"a", parent="outer")
    play.put(b"b", File(data=b"b\n"))
    tell(play, '"event":"command_finished","call":"outer","outcome":"ok"')
    play.put(b"c", File(data=b"c\n"))
    play.cut()
    assert [owner(play, path).tool_call for path in (b"a", b"b", b"c")] == ["inner", "outer", "R"]
    depths = {call["tool_call"]: call["depth"] for call in view.log(play.ledger)}
    assert depths == {"R": 0, "outer": 0, "inner": 1}


def test_a_command_belongs_to_the_call_of_the_agent_inside(play: Play) -> None:
    """Session and turn are the agent's own; its other calls keep what they do."""
    tell(play, '"event":"started","command":"claude"')
    guest(play)
    shell = play.start("claude", "X")
    command(play, "c1", b"a")
    play.put(b"b", File(data=b"b\n"))
    play.finish(shell)
    found = owner(play, b"a")
    assert (found.agent, found.session, found.turn, found.tool_call) == (
        *("claude", "X", "turn-X"),
        "c1",
    )
    assert owner(play, b"b").tool_call == shell.tool_call
    assert play.ledger.sessions.by_key["claude", "X"].calls["c1"].closed_ns is not None


def test_the_hosts_window_does_not_count_while_a_guest_lives(play: Play) -> None:
    """What no call of the guest explains is nobody's; when it has left the program's again."""
    tell(play, '"event":"started","command":"claude"')
    guest(play)
    play.put(b"a", File(data=b"a\n"))
    play.cut()
    assert owner(play, b"a").kind == "external"
    play.handle(SessionEnded(agent="claude", session="X", within="R", received_ns=play.tick()))
    play.put(b"b", File(data=b"b\n"))
    play.cut()
    assert owner(play, b"b").session == "R"


def test_which_of_two_guests_ran_a_command_is_not_guessed(play: Play) -> None:
    """Both have a call open: the command stays with the run."""
    tell(play, '"event":"started","command":"sh"')
    for name in ("X", "Y"):
        guest(play, name)
        play.start("claude", name)
    command(play, "c1", None)
    assert "c1" in play.ledger.sessions.by_key["mine", "R"].calls


def test_a_log_with_guests_is_read_back_alike(play: Play) -> None:
    """Host and guest are in the records."""
    tell(play, '"event":"started","command":"claude"')
    guest(play)
    shell = play.start("claude", "X")
    command(play, "c1", b"a")
    again = play.reload()
    assert view.log(again) == view.log(play.ledger)
    host = again.sessions.by_key["mine", "R"]
    assert [one.id for one in again.sessions.guests(host)] == ["X"]
    play.finish(shell)


def proxied(play: Play, text: str) -> None:
    """Gives the ledger what the proxy sends about Claude Code's session ``X``."""
    payload = f'{{"agent":"claude","session":"X","cwd":"/ws","turn":"acp-1",{text}}}'.encode()
    for event in acp.parse(payload, play.tick()):
        play.cut()
        play.handle(event)


def test_a_prompt_that_both_proxy_and_hook_tell_is_one_turn(play: Play) -> None:
    """The hook's id is another name of the turn; its first call ends the proxy's window."""
    proxied(play, '"event":"session"')
    proxied(play, '"event":"prompt","prompt":"do it"')
    hook = PromptSubmitted(
        agent="claude", session="X", turn="p1", prompt="do it", received_ns=play.tick()
    )
    play.handle(hook)
    assert [turn.id for turn in play.ledger.sessions.turns.values()] == ["acp-1"]
    call = '"call":{"toolCallId":"toolu_1","kind":"execute","title":"make"}'
    started = ToolStarted(
        agent="claude",
        session="X",
        turn="p1",
        tool_call="toolu_1",
        tool="Bash",
        scope="tree",
        received_ns=play.tick(),
    )
    play.handle(started)
    proxied(play, f'"event":"call",{call}')
    play.put(b"a", File(data=b"a\n"))
    play.finish(started)
    proxied(play, f'"event":"call_end",{call}')
    found = owner(play, b"a")
    assert (found.turn, found.tool_call, found.tool) == ("acp-1", "toolu_1", "Bash")
    opened = play.ledger.sessions.by_key["claude", "X"].calls
    assert list(opened) == ["acp-1", "toolu_1"]
    assert opened["acp-1"].closed_ns is not None


def test_without_hooks_a_turn_covers_what_no_call_explains(play: Play) -> None:
    """A write between two calls is still the agent's, in that turn."""
    proxied(play, '"event":"session"')
    proxied(play, '"event":"prompt","prompt":"do it"')
    play.put(b"a", File(data=b"a\n"))
    play.cut()
    found = owner(play, b"a")
    assert (found.session, found.turn, found.tool_call) == ("X", "acp-1", "acp-1")
    proxied(play, '"event":"turn_end"')
    assert play.ledger.sessions.open_calls() == []


def test_what_an_editor_writes_for_the_agent_is_the_agents(play: Play) -> None:
    """The claim of a Neovim that saves what the agent gave it is not the user's."""
    proxied(play, '"event":"session"')
    proxied(play, '"event":"prompt","prompt":"do it"')
    diff = '{"type":"diff","path":"/ws/f","oldText":null,"newText":"agent\\n"}'
    call = f'"call":{{"toolCallId":"w","kind":"edit","content":[{diff}]}}'
    started = acp.parse(
        f'{{"event":"call","agent":"claude","session":"X","cwd":"/ws","turn":"acp-1",{call}}}'.encode(),
        play.tick(),
    )[0]
    assert isinstance(started, ToolStarted)
    play.handle(replace(started, targets=(replace(started.targets[0], path=b"f"),)))
    play.save(b"f", b"agent\n", File(data=b"agent\n"))
    found = owner(play, b"f")
    assert (found.kind, found.tool_call, found.evidence) == ("agent", "w", "exact")
    proxied(play, f'"event":"call_end",{call}')
    play.save(b"f", b"agent\nuser\n", File(data=b"agent\nuser\n"))
    base = play.ledger.paths[b"f"].base
    assert isinstance(base, File)
    assert base.data == b"1\n2\n3\nuser\n"  # what the user adds later is the user's


def test_a_record_of_an_older_version_is_read(play: Play) -> None:
    """Fields that came later have their defaults."""
    from agentdiff.core.records import CallOpened, decode_record, encode_record

    opened = CallOpened(
        agent="a",
        session="s",
        subagent=None,
        turn="t",
        tool_call="c",
        tool="Bash",
        scope="tree",
        targets=(),
        command=None,
        cwd=b"/",
        at_ns=1,
    )
    body = encode_record(opened)
    for name in ("parent", "covers", "certain"):
        del body[name]
    assert decode_record(body) == replace(opened, parent=None, covers=False)
