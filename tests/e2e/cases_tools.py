"""Scenarios about how the agent writes: its tools, its shell, subagents, jobs, interrupts.

Must not check anything: `e2e.claims` does.
"""

from __future__ import annotations

import uuid

from e2e.case import TEN, Case, played
from e2e.model_server import ModelServer, Scenario, Step
from e2e.rig import PROMPT, Rig, Turn
from e2e.script import bash, edit, read, step, steps, subagent, write
from e2e.terminal import Terminal


def _mix(rig: Rig) -> tuple[Turn, ...]:
    """Edit, Write and Bash, and a background job that writes after its hook was answered."""
    ws, late, written = rig.workspace, rig.barrier("late"), rig.barrier("written")
    job = f"{late.bash}; echo late > late.txt; {written.bash_signal}"
    scenario = Scenario(
        steps=(
            step(read(ws, b"a.txt")),
            step(
                edit(ws, b"a.txt", "line 2\n", "line two\nand a half\n"),
                write(ws, b"n.txt", "n\n"),
            ),
            step(bash("sed -i 's/line 9/line nine/' a.txt && rm gone.txt", b"a.txt", b"gone.txt")),
            step(bash(job, b"late.txt", background=True)),
            Step(text="waits", gate="after the job's hook"),
        )
    )
    with rig.run_claude(scenario) as run:
        gate = run.gate("after the job's hook")
        gate.wait_reached()
        late.wait_reached()
        late.release()
        written.wait_reached()
        gate.release()
    return (run.turn,)


MIX = Case(name="mix", baseline={b"a.txt": TEN, b"gone.txt": b"gone\n"}, play=_mix)


def _edit_tools(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    return played(
        rig,
        *steps(
            read(ws, b"a.txt"),
            edit(ws, b"a.txt", "line 2\n", "line two\n"),
            edit(ws, b"a.txt", "line 10\n", ""),
            write(ws, b"new.txt", "one\ntwo\n"),
            write(ws, b"deep/er/new.txt", "no newline at the end"),
            read(ws, b"over.txt"),
            write(ws, b"over.txt", "one\nTWO\nthree\nfour\n"),
            edit(ws, b"new.txt", "two\n", "TWO\n"),
        ),
    )


EDIT_TOOLS = Case(
    name="edit tools",
    baseline={b"a.txt": TEN, b"over.txt": b"one\ntwo\nthree\n", b"same.txt": b"same\n"},
    play=_edit_tools,
)


def _parallel(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    calls = (
        edit(ws, b"a.txt", "line 2\n", "line two\n"),
        edit(ws, b"b.txt", "line 5\n", "line five\n"),
        edit(ws, b"a.txt", "line 8\n", "line eight\n"),
        write(ws, b"c.txt", "c\n"),
        bash("echo d > d.txt; echo eleven >> b.txt", b"d.txt", b"b.txt"),
    )
    return played(rig, step(read(ws, b"a.txt"), read(ws, b"b.txt")), step(*calls))


PARALLEL = Case(name="parallel", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_parallel)


def _subagents(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    first, first_track = subagent(
        "ALPHA",
        step(read(ws, b"a.txt")),
        step(edit(ws, b"a.txt", "line 2\n", "line two\n")),
        step(write(ws, b"alpha.txt", "alpha\n")),
    )
    second, second_track = subagent(
        "BETA",
        step(write(ws, b"beta.txt", "beta\n")),
        step(read(ws, b"b.txt")),
        step(edit(ws, b"b.txt", "line 3\n", "")),
    )
    scenario = Scenario(
        steps=(
            step(first, second),
            step(read(ws, b"a.txt")),
            step(edit(ws, b"a.txt", "line 9\n", "line nine\n")),
        ),
        tracks=(first_track, second_track),
    )
    with rig.run_claude(scenario) as run:
        pass
    return (run.turn,)


SUBAGENTS = Case(name="subagents", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_subagents)


def _shell(rig: Rig) -> tuple[Turn, ...]:
    heredoc = "cat > here.txt <<'EOF'\nhere $HOME\n\ndoc\nEOF"
    return played(
        rig,
        *steps(
            bash("sed -i 's/line 3/line three/' sed.txt", b"sed.txt"),
            bash("rm rm.txt", b"rm.txt"),
            bash("mv mv.txt moved.txt", b"mv.txt", b"moved.txt"),
            bash("echo eleven >> append.txt", b"append.txt"),
            bash(heredoc, b"here.txt"),
            bash("rm -r folder", b"folder/one.txt", b"folder/sub/two.txt"),
            bash("mkdir -p made/deep && cp sed.txt made/deep/copy.txt", b"made/deep/copy.txt"),
            bash("touch sed.txt untouched.txt; cp untouched.txt x; cat x > untouched.txt; rm x"),
        ),
    )


SHELL = Case(
    name="shell",
    baseline={
        b"sed.txt": TEN,
        b"rm.txt": b"removed\n",
        b"mv.txt": b"moved\nas it is\n",
        b"append.txt": TEN,
        b"folder/one.txt": b"one\n",
        b"folder/sub/two.txt": b"two\n",
        b"untouched.txt": b"touched, but equal\n",
    },
    play=_shell,
)


def _failing(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    return played(
        rig,
        *steps(
            bash("echo partial >> a.txt; echo half > half.txt; exit 3", b"a.txt", b"half.txt"),
            read(ws, b"b.txt"),
            edit(ws, b"b.txt", "there is no such text", "x", survives=False),
            bash("false"),
        ),
    )


FAILING = Case(name="failing command", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_failing)


def _two_turns(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    first = Scenario(
        steps=steps(read(ws, b"a.txt"), edit(ws, b"a.txt", "line 2\n", "line two\n")),
    )
    second = Scenario(
        steps=steps(
            read(ws, b"a.txt"),
            edit(ws, b"a.txt", "line 9\n", "line nine\n"),
            bash("rm b.txt", b"b.txt"),
        ),
        start=first.end,
    )
    with rig.run_claude(first, prompt="first: line 2") as one:
        pass
    with rig.run_claude(second, prompt="second: line 9\nand b", resume=one.turn.session) as two:
        pass
    return one.turn, two.turn


TWO_TURNS = Case(name="two turns", baseline={b"a.txt": TEN, b"b.txt": b"b\n"}, play=_two_turns)


def _interrupt(rig: Rig) -> tuple[Turn, ...]:
    """Presses Esc while a command runs, in the terminal interface.

    Not SIGINT to ``claude -p``: that ends the session.  After Esc Claude Code sends nothing at all
    for the call (no Post, no Stop) and the session goes on, which is the case that has to be right.
    """
    barrier, session = rig.barrier("running"), str(uuid.uuid4())
    command = f"echo partial >> a.txt; rm b.txt; {barrier.bash}; echo never > never.txt"
    calls = (step(bash(command, b"a.txt", b"b.txt")),)
    whole = Scenario(steps=(*calls, Step(text="carries on")))
    argv = [str(rig.claude), "--dangerously-skip-permissions", "--session-id", session]
    rig.trust_workspace()
    with (
        ModelServer(whole) as model,
        Terminal(argv, env=rig.claude_environment(model), cwd=rig.workspace) as terminal,
    ):
        terminal.expect("bypass permissions on")
        _submit(terminal, PROMPT)
        barrier.wait_reached()
        terminal.type("\x1b")
        terminal.expect("Interrupted")
        _submit(terminal, "go on")
        terminal.expect("carries on")
        _submit(terminal, "/exit")
        terminal.expect("Resume this session with")
    return (Turn(session=session, prompt=PROMPT, scenario=Scenario(steps=calls)),)


def _submit(terminal: Terminal, text: str) -> None:
    """Types a prompt and sends it once it is on the screen: keys sent at once count as a paste."""
    terminal.type(text)
    terminal.expect(text)
    terminal.type("\r")


INTERRUPT = Case(name="interrupt", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_interrupt)


def _subfolder(rig: Rig) -> tuple[Turn, ...]:
    ws = rig.workspace
    scenario = Scenario(
        steps=steps(
            read(ws, b"a.txt"),
            edit(ws, b"a.txt", "line 2\n", "line two\n"),
            bash("echo eleven >> b.txt; cd deeper; pwd > c.txt", b"sub/b.txt", b"sub/deeper/c.txt"),
            bash("rm d.txt", b"sub/deeper/d.txt"),
        )
    )
    with rig.run_claude(scenario, folder="sub") as run:
        pass
    return (run.turn,)


SUBFOLDER = Case(
    name="subfolder",
    baseline={b"a.txt": TEN, b"sub/b.txt": TEN, b"sub/deeper/d.txt": b"d\n"},
    play=_subfolder,
)


def _crash(rig: Rig) -> tuple[Turn, ...]:
    """Kills the daemon while a command is open: the command writes while nobody watches."""
    ws, barrier = rig.workspace, rig.barrier("running")
    command = f"{barrier.bash}; sed -i 's/line 9/line nine/' a.txt; rm b.txt; echo n > n.txt"
    scenario = Scenario(
        steps=steps(
            read(ws, b"a.txt"),
            edit(ws, b"a.txt", "line 2\n", "line two\n"),
            bash(command, b"a.txt", b"b.txt", b"n.txt"),
        )
    )
    with rig.run_claude(scenario) as run:
        barrier.wait_reached()
        rig.kill_daemon()
        barrier.release()
    return (run.turn,)


CRASH = Case(name="crash", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_crash)

CASES = (EDIT_TOOLS, PARALLEL, SUBAGENTS, SHELL, FAILING, TWO_TURNS, INTERRUPT, CRASH)
