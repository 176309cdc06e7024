"""Scenarios about how the agent writes: its tools, its shell, subagents, jobs, interrupts.

Must not check anything: `e2e.claims` does.
"""

from __future__ import annotations

from e2e.agent_claude import ClaudeCode
from e2e.case import TEN, Case, played
from e2e.driver import said, step, steps
from e2e.model_server import ModelServer, Scenario, Step
from e2e.rig import PROMPT, Rig, Turn
from e2e.terminal import Terminal


def _mix(rig: Rig) -> tuple[Turn, ...]:
    """Edit, Write and Bash, and a background job that writes after its hook was answered."""
    ws, agent, late, written = rig.workspace, rig.agent, rig.barrier("late"), rig.barrier("written")
    job = f"{late.bash}; echo late > late.txt; {written.bash_signal}"
    scenario = Scenario(
        steps=said(
            step(agent.read(ws, b"a.txt")),
            step(
                agent.edit(ws, b"a.txt", "line 2\n", "line two\nand a half\n"),
                agent.write(ws, b"n.txt", "n\n"),
            ),
            step(
                agent.bash(
                    "sed -i 's/line 9/line nine/' a.txt && rm gone.txt", b"a.txt", b"gone.txt"
                )
            ),
            step(agent.bash(job, b"late.txt", background=True)),
            Step(text="waits", gate="after the job's hook"),
        )
    )
    with rig.run(scenario) as run:
        gate = run.gate("after the job's hook")
        gate.wait_reached()
        late.wait_reached()
        late.release()
        written.wait_reached()
        gate.release()
    return (run.turn,)


MIX = Case(name="mix", baseline={b"a.txt": TEN, b"gone.txt": b"gone\n"}, play=_mix)


def _edit_tools(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    return played(
        rig,
        *steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            agent.edit(ws, b"a.txt", "line 10\n", ""),
            agent.write(ws, b"new.txt", "one\ntwo\n"),
            agent.write(ws, b"deep/er/new.txt", "no newline at the end"),
            agent.read(ws, b"over.txt"),
            agent.write(ws, b"over.txt", "one\nTWO\nthree\nfour\n"),
            agent.edit(ws, b"new.txt", "two\n", "TWO\n"),
        ),
    )


EDIT_TOOLS = Case(
    name="edit tools",
    baseline={b"a.txt": TEN, b"over.txt": b"one\ntwo\nthree\n", b"same.txt": b"same\n"},
    play=_edit_tools,
)


def _parallel(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    calls = (
        agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
        agent.edit(ws, b"b.txt", "line 5\n", "line five\n"),
        agent.edit(ws, b"a.txt", "line 8\n", "line eight\n"),
        agent.write(ws, b"c.txt", "c\n"),
        agent.bash("echo d > d.txt; echo eleven >> b.txt", b"d.txt", b"b.txt"),
    )
    return played(rig, step(agent.read(ws, b"a.txt"), agent.read(ws, b"b.txt")), step(*calls))


PARALLEL = Case(name="parallel", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_parallel)


def _subagents(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    first, first_track = agent.subagent(
        "ALPHA",
        *steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            agent.write(ws, b"alpha.txt", "alpha\n"),
        ),
    )
    second, second_track = agent.subagent(
        "BETA",
        *steps(
            agent.write(ws, b"beta.txt", "beta\n"),
            agent.read(ws, b"b.txt"),
            agent.edit(ws, b"b.txt", "line 3\n", ""),
        ),
    )
    scenario = Scenario(
        steps=said(
            step(first, second),
            step(agent.read(ws, b"a.txt")),
            step(agent.edit(ws, b"a.txt", "line 9\n", "line nine\n")),
        ),
        tracks=(first_track, second_track),
    )
    with rig.run(scenario) as run:
        pass
    return (run.turn,)


SUBAGENTS = Case(name="subagents", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_subagents)


def _shell(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    heredoc = "cat > here.txt <<'EOF'\nhere $HOME\n\ndoc\nEOF"
    return played(
        rig,
        *steps(
            # Qwen Code takes a plain sed -i for an edit, of a file that has to be read before.
            agent.read(ws, b"sed.txt"),
            agent.bash("sed -i 's/line 3/line three/' sed.txt", b"sed.txt"),
            agent.bash("rm rm.txt", b"rm.txt"),
            agent.bash("mv mv.txt moved.txt", b"mv.txt", b"moved.txt"),
            agent.bash("echo eleven >> append.txt", b"append.txt"),
            agent.bash(heredoc, b"here.txt"),
            agent.bash("rm -r folder", b"folder/one.txt", b"folder/sub/two.txt"),
            agent.bash(
                "mkdir -p made/deep && cp sed.txt made/deep/copy.txt", b"made/deep/copy.txt"
            ),
            agent.bash(
                "touch sed.txt untouched.txt; cp untouched.txt x; cat x > untouched.txt; rm x"
            ),
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
    ws, agent = rig.workspace, rig.agent
    return played(
        rig,
        *steps(
            agent.bash(
                "echo partial >> a.txt; echo half > half.txt; exit 3", b"a.txt", b"half.txt"
            ),
            agent.read(ws, b"b.txt"),
            agent.edit(ws, b"b.txt", "there is no such text", "x", survives=False),
            agent.bash("false"),
        ),
    )


FAILING = Case(name="failing command", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_failing)


def _two_turns(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    first = Scenario(
        steps=steps(agent.read(ws, b"a.txt"), agent.edit(ws, b"a.txt", "line 2\n", "line two\n")),
    )
    second = Scenario(
        steps=steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 9\n", "line nine\n"),
            agent.bash("rm b.txt", b"b.txt"),
        ),
        start=first.end,
    )
    with rig.run(first, prompt="first: line 2") as one:
        pass
    with rig.run(second, prompt="second: line 9\nand b", resume=one.turn.session) as two:
        pass
    return one.turn, two.turn


TWO_TURNS = Case(name="two turns", baseline={b"a.txt": TEN, b"b.txt": b"b\n"}, play=_two_turns)


def _interrupt(rig: Rig) -> tuple[Turn, ...]:
    """Presses Esc while a command runs, in the terminal interface.

    Not SIGINT to ``claude -p``: that ends the session.  After Esc Claude Code sends nothing at all
    for the call (no Post, no Stop) and the session goes on, which is the case that has to be right.
    """
    agent, barrier = rig.agent, rig.barrier("running")
    assert isinstance(agent, ClaudeCode)
    session = agent.new_session()
    command = f"echo partial >> a.txt; rm b.txt; {barrier.bash}; echo never > never.txt"
    calls = (step(agent.bash(command, b"a.txt", b"b.txt")),)
    whole = Scenario(steps=(*calls, Step(text="carries on")))
    with (
        ModelServer(whole) as model,
        Terminal(
            agent.terminal_command(session),
            env=rig.environment(agent.environment(model.url)),
            cwd=rig.workspace,
        ) as terminal,
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
    turn = Turn(agent=agent, session=session, prompt=PROMPT, scenario=Scenario(steps=calls))
    return (turn,)


def _submit(terminal: Terminal, text: str) -> None:
    """Types a prompt and sends it once it is on the screen: keys sent at once count as a paste."""
    terminal.type(text)
    terminal.expect(text)
    terminal.type("\r")


INTERRUPT = Case(name="interrupt", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_interrupt)


def _subfolder(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    scenario = Scenario(
        steps=steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            agent.bash(
                "echo eleven >> b.txt; cd deeper; pwd > c.txt", b"sub/b.txt", b"sub/deeper/c.txt"
            ),
            agent.bash("rm d.txt", b"sub/deeper/d.txt"),
        )
    )
    with rig.run(scenario, folder="sub") as run:
        pass
    return (run.turn,)


SUBFOLDER = Case(
    name="subfolder",
    baseline={b"a.txt": TEN, b"sub/b.txt": TEN, b"sub/deeper/d.txt": b"d\n"},
    play=_subfolder,
)


def _crash(rig: Rig) -> tuple[Turn, ...]:
    """Kills the daemon while a command is open: the command writes while nobody watches."""
    ws, agent, barrier = rig.workspace, rig.agent, rig.barrier("running")
    command = f"{barrier.bash}; sed -i 's/line 9/line nine/' a.txt; rm b.txt; echo n > n.txt"
    scenario = Scenario(
        steps=steps(
            agent.read(ws, b"a.txt"),
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            agent.bash(command, b"a.txt", b"b.txt", b"n.txt"),
        )
    )
    with rig.run(scenario) as run:
        barrier.wait_reached()
        rig.kill_daemon()
        barrier.release()
    return (run.turn,)


CRASH = Case(name="crash", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_crash)

CASES = (EDIT_TOOLS, PARALLEL, SUBAGENTS, SHELL, FAILING, TWO_TURNS, INTERRUPT, CRASH)
