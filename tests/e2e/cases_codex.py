"""Scenarios about what only Codex does: patches, programs, its terminals, its dialogs.

Must not check anything: `e2e.claims` does.
"""

from __future__ import annotations

from e2e.agent_codex import Codex
from e2e.case import TEN, Case, played
from e2e.driver import step, steps
from e2e.model_server import Call, ModelServer, Scenario, Step
from e2e.rig import PROMPT, Rig, Turn
from e2e.terminal import Terminal


def _codex(rig: Rig) -> Codex:
    assert isinstance(rig.agent, Codex)
    return rig.agent


def _patches(rig: Rig) -> tuple[Turn, ...]:
    """Every operation, several in one patch, several hunks in one file, and the same in a shell."""
    agent = _codex(rig)
    everything = agent.patch(
        "*** Update File: a.txt",
        "@@",
        "-line 2",
        "+line two",
        "@@ line 7",
        "-line 8",
        "+line eight",
        "+and a half",
        "*** Add File: deep/er/new.txt",
        "+new",
        "*** Delete File: gone.txt",
        "*** Update File: from.txt",
        "*** Move to: moved/to.txt",
        "@@",
        " line 9",
        "-line 10",
        "+line ten",
        touches=(b"a.txt", b"deep/er/new.txt", b"gone.txt", b"from.txt", b"moved/to.txt"),
    )
    lines = ("*** Begin Patch", "*** Add File: here.txt", "+here $HOME", "*** End Patch")
    heredoc = "apply_patch <<'EOF'\n" + "\n".join(lines) + "\nEOF\n"
    return played(
        rig,
        step(everything),
        step(agent.edit(rig.workspace, b"b.txt", "no such line\n", "x\n", survives=False)),
        step(agent.bash("sed -i 's/line 4/line four/' b.txt", b"b.txt")),
        step(agent.bash(heredoc, b"here.txt")),
    )


PATCHES = Case(
    name="patches",
    baseline={b"a.txt": TEN, b"b.txt": TEN, b"gone.txt": b"gone\n", b"from.txt": TEN},
    play=_patches,
)


def _workdir(rig: Rig) -> tuple[Turn, ...]:
    """Started below the top, with patches and commands in other folders."""
    agent = _codex(rig)
    elsewhere = Call(
        tool="exec_command",
        shown="Bash",
        input={"cmd": "echo d > d.txt", "workdir": str(rig.workspace / "other")},
        touches=(b"other/d.txt",),
        evidence=("likely",),
    )
    lines = ("*** Update File: ../a.txt", "@@", "-line 2", "+line two")
    scenario = Scenario(
        steps=steps(
            agent.patch(*lines, touches=(b"a.txt",)),
            agent.patch("*** Add File: new.txt", "+n", touches=(b"sub/new.txt",)),
            elsewhere,
            agent.bash("rm b.txt", b"sub/b.txt"),
        )
    )
    with rig.run(scenario, folder="sub") as run:
        pass
    return (run.turn,)


WORKDIR = Case(
    name="workdir",
    baseline={b"a.txt": TEN, b"sub/b.txt": TEN, b"other/c.txt": TEN},
    play=_workdir,
)


def _program(rig: Rig) -> tuple[Turn, ...]:
    """One program that makes calls at once, then one after the other."""
    ws, agent = rig.workspace, _codex(rig)
    both = "until [ -e {other}.txt ]; do :; done"
    at_once = agent.together(
        agent.bash("echo p > p.txt; " + both.format(other="q"), b"p.txt"),
        agent.bash("echo q > q.txt; " + both.format(other="p"), b"q.txt"),
    )
    return played(
        rig,
        step(at_once),
        step(
            agent.together(
                agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
                agent.write(ws, b"n.txt", "n\n"),
                agent.bash("sed -i 's/line 9/line nine/' a.txt && rm b.txt", b"a.txt", b"b.txt"),
            )
        ),
        step(agent.edit(ws, b"a.txt", "no such line\n", "x\n", survives=False)),
        step(agent.bash("sed -i 's/line 5/line five/' c.txt", b"c.txt")),
    )


PROGRAM = Case(
    name="program", baseline={b"a.txt": TEN, b"b.txt": b"b\n", b"c.txt": TEN}, play=_program
)


def _subagents(rig: Rig) -> tuple[Turn, ...]:
    """Two subagents that write while their parent does."""
    ws, agent = rig.workspace, _codex(rig)
    first, first_track = agent.subagent(
        "ALPHA",
        *steps(
            agent.edit(ws, b"a.txt", "line 2\n", "line two\n"),
            agent.write(ws, b"alpha.txt", "alpha\n"),
        ),
    )
    second, second_track = agent.subagent(
        "BETA",
        *steps(
            agent.write(ws, b"beta.txt", "beta\n"),
            agent.edit(ws, b"b.txt", "line 3\n", ""),
        ),
    )
    wait = Call(tool="collaboration.wait_agent", input={})
    scenario = Scenario(
        steps=(
            *steps(first, wait, second, wait),
            step(agent.edit(ws, b"c.txt", "line 9\n", "line nine\n")),
        ),
        tracks=(first_track, second_track),
    )
    with rig.run(scenario) as run:
        pass
    return (run.turn,)


SUBAGENTS = Case(
    name="subagents", baseline={b"a.txt": TEN, b"b.txt": TEN, b"c.txt": TEN}, play=_subagents
)


def _dialogs(rig: Rig) -> tuple[Turn, ...]:
    """In the terminal interface, with hooks that the user trusted there.

    A patch is declined, the next one allowed.
    """
    ws, agent = rig.workspace, _codex(rig)
    first = step(agent.edit(ws, b"a.txt", "line 2\n", "line two\n", survives=False))
    second = step(agent.edit(ws, b"a.txt", "line 3\n", "line three\n"))
    with ModelServer(Scenario(steps=(first, second, Step(text="edited")))) as model:
        asking = [*agent.terminal_command(model.url), "-a", "on-request", "-s", "read-only"]
        env = rig.environment(agent.environment(model.url))
        with Terminal(asking, env=env, cwd=ws) as terminal:
            agent.trust_hooks(terminal)
            for prompt, key, then in (
                ("decline", "\x1b", "Conversation interrupted"),
                ("allow", "y", "edited"),
            ):
                agent.submit(terminal, prompt)
                agent.answer(terminal, key)
                terminal.expect(then)
            agent.submit(terminal, "/quit")
            terminal.expect("To continue this session")
    session = agent.session_in(rig)
    return (
        _turn(agent, session, "decline", first, start=0),
        _turn(agent, session, "allow", second, start=1),
    )


DIALOGS = Case(name="dialogs", baseline={b"a.txt": TEN}, play=_dialogs)


def _terminals(rig: Rig) -> tuple[Turn, ...]:
    """Esc while a command runs; then a command that is still running when the turn ends."""
    ws, agent = rig.workspace, _codex(rig)
    running, job, written = (rig.barrier(name) for name in ("running", "job", "written"))
    first = step(agent.bash(f"echo partial >> a.txt; {running.bash}; echo x > never", b"a.txt"))
    command = f"echo partial >> b.txt; {job.bash}; echo late > late.txt; {written.bash}"
    second = step(agent.bash(command, b"b.txt", b"late.txt", background=True))
    messages = (first, second, Step(text="carries on"))
    with ModelServer(Scenario(steps=messages)) as model:
        env = rig.environment(agent.environment(model.url))
        with Terminal(agent.terminal_command(model.url), env=env, cwd=ws) as terminal:
            agent.trust_hooks(terminal)
            agent.submit(terminal, "be interrupted")
            running.wait_reached()
            terminal.type("\x1b")
            terminal.expect("Conversation interrupted")
            agent.submit(terminal, PROMPT)
            job.wait_reached()
            terminal.expect("carries on")
            job.release()
            written.wait_reached()
            written.release()
            agent.submit(terminal, "/quit")
            terminal.expect("To continue this session")
    session = agent.session_in(rig)
    return (
        _turn(agent, session, "be interrupted", first, start=0),
        _turn(agent, session, PROMPT, second, start=1),
    )


TERMINALS = Case(name="terminals", baseline={b"a.txt": TEN, b"b.txt": TEN}, play=_terminals)


def _turn(agent: Codex, session: str, prompt: str, *said: Step, start: int) -> Turn:
    scenario = Scenario(steps=said, start=start)
    return Turn(agent=agent, session=session, prompt=prompt, scenario=scenario)
