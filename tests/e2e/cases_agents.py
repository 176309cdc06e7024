"""Scenarios that only some agents can play, or that only they need.

Must not check anything: `e2e.claims` does.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from e2e.agent_copilot import CopilotCli
from e2e.agent_gemini import GeminiCli
from e2e.agent_opencode import OpenCode
from e2e.agent_qwen import QwenCode
from e2e.case import TEN, Case, played
from e2e.driver import step, steps
from e2e.model_server import Call, ModelServer, Scenario, Step
from e2e.opencode_server import OpenCodeServer, free_port
from e2e.rig import PROMPT, Rig, Turn
from e2e.telemetry import wait_for_call, wait_for_state
from e2e.terminal import Terminal


def _again(rig: Rig) -> tuple[Turn, ...]:
    """Equal calls, one after the other: each is a call of its own."""
    agent = rig.agent
    return played(
        rig,
        *steps(
            agent.bash("echo more >> log.txt", b"log.txt"),
            agent.bash("true"),
            agent.bash("true"),
            agent.bash("echo more >> log.txt", b"log.txt"),
            agent.bash("echo more >> log.txt", b"log.txt"),
        ),
    )


AGAIN = Case(name="the same again", baseline={b"log.txt": TEN}, play=_again)


def _apart(rig: Rig) -> tuple[Turn, ...]:
    """Calls of one message, by an agent that really lets them run at once.

    Not two to one path: whatever is seen after both is neither's alone.
    """
    ws, agent = rig.workspace, rig.agent
    calls = (
        agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
        agent.edit(ws, b"b.txt", "line 5\n", "line five\n"),
        agent.write(ws, b"c.txt", "c\n"),
        agent.bash("echo d > d.txt", b"d.txt"),
    )
    return played(rig, step(agent.read(ws, b"a.txt"), agent.read(ws, b"b.txt")), step(*calls))


APART = Case(name="at once", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_apart)


def _folder(rig: Rig) -> tuple[Turn, ...]:
    """Started below the top of the repository, by an agent that confines itself to that folder."""
    ws, agent = rig.workspace, rig.agent
    scenario = Scenario(
        steps=steps(
            agent.read(ws, b"sub/a.txt"),
            agent.edit(ws, b"sub/a.txt", "line 2\n", "line two\n"),
            agent.bash(
                "echo eleven >> b.txt; cd deeper; pwd > c.txt", b"sub/b.txt", b"sub/deeper/c.txt"
            ),
            agent.bash("rm deeper/d.txt", b"sub/deeper/d.txt"),
        )
    )
    with rig.run(scenario, folder="sub") as run:
        pass
    return (run.turn,)


FOLDER = Case(
    name="folder",
    baseline={b"sub/a.txt": TEN, b"sub/b.txt": TEN, b"sub/deeper/d.txt": b"d\n"},
    play=_folder,
)


def _refused_by_opencode(rig: Rig) -> tuple[Turn, ...]:
    """A folder outside the project is asked for, and ``opencode run`` answers no: the turn ends."""
    ws, agent = rig.workspace, rig.agent
    assert isinstance(agent, OpenCode)
    refused = Call(tool="bash", input={"command": "echo x > x", "workdir": str(rig.outside)})
    return played(
        rig,
        *steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            refused,
        ),
    )


def _asked_by_opencode(rig: Rig) -> tuple[Turn, ...]:
    """Through its server: an edit refused, then another allowed, then a command aborted."""
    ws, agent, barrier, port = rig.workspace, rig.agent, rig.barrier("running"), free_port()
    assert isinstance(agent, OpenCode)
    command = f"echo partial >> b.txt; {barrier.bash}; echo never > never.txt"
    refused = agent.edit(ws, b"a.txt", "line 2\n", "line two\n", survives=False)
    allowed = agent.edit(ws, b"a.txt", "line 3\n", "line three\n")
    refuse = step(replace(refused, outcome="denied"))
    allow = step(replace(allowed, outcome="ok"))
    runs = step(replace(agent.bash(command, b"b.txt"), outcome="interrupted"))
    with ModelServer(Scenario(steps=(refuse, allow, Step(text="edited"), runs))) as model:
        env = {**agent.environment(model.url), "OPENCODE_PERMISSION": '{"edit": "ask"}'}
        argv = agent.server_command(port)
        with Terminal(argv, env=rig.environment(env), cwd=ws) as terminal:
            terminal.expect("listening on")
            with OpenCodeServer(f"http://127.0.0.1:{port}") as user:
                user.prompt("refuse")
                user.answer("reject")
                user.wait_for("session.idle")
                user.prompt("allow")
                user.answer("once")
                user.wait_for("session.idle")
                user.prompt(PROMPT)
                barrier.wait_reached()
                user.abort()
                user.wait_for("session.idle")

    def turn(prompt: str, said: Step, start: int) -> Turn:
        scenario = Scenario(steps=(said,), start=start)
        return Turn(agent=agent, session=user.session, prompt=prompt, scenario=scenario)

    return turn("refuse", refuse, 0), turn("allow", allow, 1), turn(PROMPT, runs, 3)


ASKED_BY_OPENCODE = Case(
    name="asked", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_asked_by_opencode
)

REFUSED_BY_OPENCODE = Case(name="refused", baseline={b"a.txt": TEN}, play=_refused_by_opencode)


def _patch(rig: Rig) -> tuple[Turn, ...]:
    """A patch that adds, updates, moves and deletes."""
    lines = [
        "*** Begin Patch",
        "*** Update File: a.txt",
        "@@",
        " line 1",
        "-line 2",
        "+line two",
        " line 3",
        "*** Add File: new.txt",
        "+new",
        "*** Update File: old.txt",
        "*** Move to: moved.txt",
        "@@",
        " line 1",
        "-line 2",
        "+line two",
        "*** Delete File: gone.txt",
        "*** End Patch",
    ]
    touched = (b"a.txt", b"new.txt", b"old.txt", b"moved.txt", b"gone.txt")
    call = Call(
        tool="apply_patch",
        input={"patchText": "\n".join(lines)},
        touches=touched,
        evidence=("exact", "likely"),
    )
    return played(rig, step(call))


PATCH = Case(
    name="patch",
    baseline={b"a.txt": TEN, b"old.txt": b"line 1\nline 2\nold\n", b"gone.txt": b"gone\n"},
    play=_patch,
)


def _dialogues(rig: Rig) -> tuple[Turn, ...]:
    """In the terminal interface: an edit refused, then allowed, then Esc in a command.

    Gemini CLI tells of none of the refusal, the Esc and the ends of these turns; and it forgets
    what the model said before the refusal, so that the model says it again.
    """
    ws, agent, barrier = rig.workspace, rig.agent, rig.barrier("running")
    assert isinstance(agent, GeminiCli)
    session = agent.new_session()
    command = f"echo partial >> b.txt; {barrier.bash}; echo never > never.txt"
    edit = step(agent.edit(ws, b"a.txt", "line 2\n", "line two\n"))
    runs = step(agent.bash(command, b"b.txt"))
    messages = (edit, Step(text="edited"), runs, Step(text="carries on"))
    with (
        ModelServer(Scenario(steps=messages)) as model,
        Terminal(
            agent.terminal_command(session),
            env=rig.environment(agent.environment(model.url)),
            cwd=rig.workspace,
        ) as terminal,
    ):
        terminal.expect("Type your message")
        _submit(terminal, "please do it")
        _answer(terminal, "No, suggest changes", "\x1b")
        terminal.expect("Request cancelled")
        _submit(terminal, "do it all the same")
        _answer(terminal, "No, suggest changes", "\r")
        terminal.expect("edited")
        _submit(terminal, PROMPT)
        _answer(terminal, "No, suggest changes", "\r")
        barrier.wait_reached()
        terminal.type("\x1b")
        terminal.expect("cancelled")
        _submit(terminal, "/quit")
        terminal.expect("Agent powering down")

    def turn(prompt: str, *played: Step, start: int) -> Turn:
        scenario = Scenario(steps=played, start=start)
        return Turn(agent=agent, session=session, prompt=prompt, scenario=scenario)

    return turn("do it all the same", edit, start=0), turn(PROMPT, runs, start=2)


def _asked_by_qwen(rig: Rig) -> tuple[Turn, ...]:
    """In the terminal interface: an edit refused, then another allowed, then Esc in a command.

    Its hooks do not tell of a call before the user has allowed it.
    """
    ws, agent, barrier = rig.workspace, rig.agent, rig.barrier("running")
    assert isinstance(agent, QwenCode)
    session = agent.new_session()
    command = f"echo partial >> b.txt; {barrier.bash}; echo never > never.txt"
    read = step(agent.read(ws, b"a.txt"))
    refuse = step(agent.edit(ws, b"a.txt", "line 2\n", "line two\n", survives=False))
    allowed = agent.edit(ws, b"a.txt", "line 3\n", "line three\n")
    allow = step(replace(allowed, outcome="ok"))
    runs = step(replace(agent.bash(command, b"b.txt"), outcome="interrupted"))
    messages = (read, refuse, allow, Step(text="edited"), runs)
    with (
        ModelServer(Scenario(steps=messages)) as model,
        Terminal(
            agent.terminal_command(session),
            env=rig.environment(agent.environment(model.url)),
            cwd=rig.workspace,
        ) as terminal,
    ):
        terminal.expect("Type your message")
        for prompt, key, then in (("refuse", "\x1b", ""), ("allow", "\r", "edited")):
            terminal.rest()
            _submit(terminal, prompt)
            _answer(terminal, "No, suggest changes", key)
            terminal.expect(then)
            wait_for_state(rig, "idle")
        terminal.rest()
        _submit(terminal, PROMPT)
        _answer(terminal, "No, suggest changes", "\r")
        barrier.wait_reached()
        terminal.type("\x1b")
        terminal.expect("Request cancelled")
        wait_for_state(rig, "idle")
        _submit(terminal, "/quit")
        terminal.expect("Agent powering down")

    def turn(prompt: str, *said: Step, start: int) -> Turn:
        scenario = Scenario(steps=said, start=start)
        return Turn(agent=agent, session=session, prompt=prompt, scenario=scenario)

    return (
        turn("refuse", read, refuse, start=0),
        turn("allow", allow, start=2),
        turn(PROMPT, runs, start=4),
    )


ASKED_BY_QWEN = Case(name="asked", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_asked_by_qwen)


def _asked_by_copilot(rig: Rig) -> tuple[Turn, ...]:
    """In the terminal interface: an edit refused, then another allowed, then Esc in a command.

    Copilot CLI tells of neither the refusal nor the Esc.
    """
    ws, agent, barrier = rig.workspace, rig.agent, rig.barrier("running")
    assert isinstance(agent, CopilotCli)
    session = agent.new_session()
    command = f"echo partial >> b.txt; {barrier.bash}; echo never > never.txt"
    refused = agent.edit(ws, b"a.txt", "line 2\n", "line two\n", survives=False)
    allowed = agent.edit(ws, b"a.txt", "line 3\n", "line three\n")
    refuse = step(replace(refused, outcome="unknown"))
    allow = step(replace(allowed, outcome="ok"))
    runs = step(replace(agent.bash(command, b"b.txt"), outcome="unknown"))
    with (
        ModelServer(Scenario(steps=(refuse, allow, Step(text="edited"), runs))) as model,
        Terminal(
            agent.terminal_command(session),
            env=rig.environment(agent.environment(model.url)),
            cwd=rig.workspace,
        ) as terminal,
    ):
        terminal.expect("Manual Approval")
        terminal.rest()
        _submit(terminal, "refuse")
        _answer(terminal, "Do you want to edit", "\x1b")
        terminal.expect("Operation cancelled by user")
        terminal.rest()
        _submit(terminal, "allow")
        _answer(terminal, "Do you want to edit", "\r")
        wait_for_call(rig, lambda call: call["outcome"] == "ok")
        wait_for_state(rig, "idle")
        terminal.rest()
        _submit(terminal, PROMPT)
        _answer(terminal, "Do you want to", "\r")
        barrier.wait_reached()
        _interrupt(terminal)
        terminal.rest()
        _submit(terminal, "/exit")
        terminal.expect("copilot --resume=")
    wait_for_state(rig, "ended")

    def turn(prompt: str, said: Step, start: int) -> Turn:
        scenario = Scenario(steps=(said,), start=start)
        return Turn(agent=agent, session=session, prompt=prompt, scenario=scenario)

    return turn("refuse", refuse, 0), turn("allow", allow, 1), turn(PROMPT, runs, 3)


ASKED_BY_COPILOT = Case(
    name="asked", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_asked_by_copilot
)
_TWICE_S = (0.3, 0.5, 0.2, 0.4)
_ABORTS_IN_S = 7.0  # after half a minute the command would go on in the background


def _interrupt(terminal: Terminal) -> None:
    """Presses Esc twice, and again while Copilot CLI did not take that as twice.

    Sent at once they are one key; a second apart they are two times one Esc, which does nothing.
    """
    for between_s in _TWICE_S:
        terminal.type("\x1b")
        terminal.rest(between_s, between_s)
        terminal.type("\x1b")
        with suppress(TimeoutError):
            terminal.expect("Operation aborted by user", _ABORTS_IN_S)
            return
    raise TimeoutError("the command was not aborted")


def _answer(terminal: Terminal, question: str, key: str) -> None:
    """Presses a key when a question is on the screen as a whole."""
    terminal.expect(question)
    terminal.rest()
    terminal.type(key)


def _submit(terminal: Terminal, text: str) -> None:
    """Types a prompt and sends it once it is on the screen: keys sent at once count as a paste."""
    terminal.type(text)
    terminal.expect(text)
    terminal.rest()
    terminal.type("\r")


DIALOGUES = Case(name="dialogues", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_dialogues)
