"""`agentdiff run --trace` around a real agent, a home-made one, and programs of the terminal.

Each spawned command that is on the list of launchers and found through PATH is in the log with the
right session, and what it changed pends with that command as its owner; a program in the terminal
behaves as without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentdiff.sources.trace.folder import DEFAULT
from e2e.agent_claude import ClaudeCode
from e2e.driver import said, step, steps
from e2e.model_server import DEADLINE_S, ModelServer, Scenario
from e2e.rig import AGENTDIFF, PROMPT, Rig
from e2e.terminal import Terminal

BASELINE = {b"a.txt": b"one\ntwo\n", b"old.txt": b"old\n"}
HOME_MADE = """\
import subprocess, sys
def sh(line):
    return subprocess.run(["bash", "-c", line]).returncode
assert sh("git mv old.txt new.txt") == 0
assert sh("python3 -c 'open(\\"a.txt\\", \\"a\\").write(\\"three\\")'") == 0
assert sh("python3 -c 'import sys; sys.exit(4)'") == 4
assert sh("git status --short | python3 -c 'import sys; sys.stdin.read()'") == 0
open("own.txt", "w").write("written by the agent itself\\n")
sh("tar cf t.tar a.txt")
"""


@pytest.fixture
def rig(claude: ClaudeCode) -> Iterator[Rig]:
    """A machine with a committed workspace."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare(BASELINE)
        yield rig


def trace(rig: Rig) -> list[dict[str, Any]]:
    """Returns the log of commands."""
    return list(json.loads(rig.agentdiff("trace", "log", "--json")))


def owners(rig: Rig) -> dict[str, set[tuple[str, str]]]:
    """Returns path → the (session, call) of its owners."""
    return {
        file["path"]: {(o["session"], o["tool_call"]) for h in file["hunks"] for o in h["owners"]}
        for file in rig.status()["files"]
    }


def call_of(rig: Rig, command: str) -> dict[str, Any]:
    """Returns the one call of the log that ran a command."""
    (found,) = (one for one in rig.log() if one["command"] == command)
    return dict(found)


def run(rig: Rig, *argv: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs ``agentdiff run`` in the workspace."""
    return subprocess.run(
        [str(AGENTDIFF), "run", *argv],
        cwd=rig.workspace,
        env=rig.environment(more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_home_made_agent_is_followed_command_by_command(rig: Rig) -> None:
    """Each change belongs to the command that made it; the agent's own to the agent."""
    before = rig.tree()
    done = run(rig, "--trace", "--name", "mine", "--", "python3", "-c", HOME_MADE)
    assert (done.returncode, done.stderr) == (0, "")
    lines = trace(rig)
    (session,) = (one["id"] for one in rig.status()["sessions"])
    assert {line["session_id"] for line in lines} == {session}
    ended = sorted((line["command"], line["exit_code"]) for line in lines)
    # Two of git, the agent itself and two that succeed, one that fails, tar.
    pythons = [("python3", 0), ("python3", 0), ("python3", 0), ("python3", 4)]
    assert ended == [("git", 0), ("git", 0), *pythons, ("tar", 0)]
    found = owners(rig)
    moved = call_of(rig, "git mv old.txt new.txt")
    assert found["new.txt"] == {(session, moved["tool_call"])}
    appended = call_of(rig, 'python3 -c \'open("a.txt", "a").write("three")\'')
    assert found["a.txt"] == {(session, appended["tool_call"])}
    assert found["t.tar"] == {(session, call_of(rig, "tar cf t.tar a.txt")["tool_call"])}
    itself = next(line for line in lines if line["parent"] is None)
    assert found["own.txt"] == {(session, itself["id"])}
    assert appended["parent"] == itself["id"]
    rig.agentdiff("reject", "--all")
    assert rig.tree() == before


@pytest.mark.parametrize("hooks", [False, True])
def test_claude_codes_commands_are_calls_of_their_own(rig: Rig, hooks: bool) -> None:
    """Inside the Bash call where its hooks tell of that; inside the run where they do not."""
    if hooks:
        rig.install_hooks()
    driver, root = rig.agent, rig.workspace
    played = Scenario(
        steps=said(
            *steps(
                driver.bash("git mv old.txt new.txt"),
                driver.bash('python3 -c \'open("p.txt", "w").write("p")\'; echo q > q.txt'),
                driver.read(root, b"a.txt"),
                driver.edit(root, b"a.txt", "two", "TWO"),
            ),
            step(),
        )
    )
    words = [str(driver.program), "-p", PROMPT, "--dangerously-skip-permissions"]
    with ModelServer(played) as model:
        done = run(rig, "--trace", "--", *words, **driver.environment(model.url))
    assert done.returncode == 0, done
    sessions = {one["id"]: one for one in rig.status()["sessions"]}
    (ours,) = (name for name in sessions if name.startswith("run-"))
    lines = trace(rig)
    assert {line["session_id"] for line in lines} == {ours}
    commands = [line["argv"][:2] for line in lines]
    assert ["git", "mv"] in commands
    assert ["python3", "-c"] in commands
    found = owners(rig)
    moved = call_of(rig, "git mv old.txt new.txt") if not hooks else None
    if hooks:
        (theirs,) = (name for name in sessions if name != ours)
        logged = {one["tool_call"]: one for one in rig.log()}
        (owner,) = found["new.txt"]
        assert owner[0] == theirs
        assert logged[owner[1]]["tool"] == "git"
        assert logged[logged[owner[1]]["parent"]]["tool"] == "Bash"
        (shell,) = found["q.txt"]
        assert logged[shell[1]]["tool"] == "Bash"
        (edit,) = found["a.txt"]
        assert logged[edit[1]]["tool"] == "Edit"
    else:
        assert moved is not None
        assert found["new.txt"] == {(ours, moved["tool_call"])}
        assert {owner[0] for path in found.values() for owner in path} == {ours}


def test_npm_and_what_it_starts_are_logged(rig: Rig) -> None:
    """npm is a script of node: one command inside the other, and what npm made is theirs."""
    if shutil.which("npm") is None:
        pytest.fail("npm is needed")
    done = run(rig, "--trace", "--", "bash", "-lc", "npm init -y")
    assert done.returncode == 0, done
    lines = {line["command"]: line for line in trace(rig)}
    assert lines["npm"]["argv"] == ["npm", "init", "-y"]
    ((session, call),) = owners(rig)["package.json"]
    assert session == lines["npm"]["session_id"]
    assert call in {line["id"] for line in lines.values()}


def test_a_nested_run_owns_what_it_does(rig: Rig) -> None:
    """The inner session is the owner; its commands are its own."""
    inner = [str(AGENTDIFF), "run", "--trace", "--name", "inner", "--", "git", "mv", "old.txt", "n"]
    done = run(rig, "--trace", "--name", "outer", "--", *inner)
    assert done.returncode == 0, done
    names = {one["id"]: one["agent"] for one in rig.status()["sessions"]}
    assert {names[session] for session, _ in owners(rig)["n"]} == {"inner"}
    (line,) = (one for one in trace(rig) if one["command"] == "git")
    assert names[line["session_id"]] == "inner"


# --- the terminal --------------------------------------------------------------------------------


class Tty(Terminal):
    """A terminal whose window can be resized, and whose program one can wait for."""

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size of the window."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait(self) -> int:
        """Returns the program's exit code once it has ended; `Terminal` reaps it."""
        with self._news:
            while not self._ended:
                assert self._news.wait(DEADLINE_S), self._fresh()[-2000:]
        ended = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert ended.si_code == os.CLD_EXITED
        return ended.si_status


def terminal(rig: Rig, *argv: str) -> Tty:
    """Starts ``agentdiff run`` at a terminal."""
    return Tty(
        [str(AGENTDIFF), "run", *argv],
        env=rig.environment({"PS1": "ready> ", "HISTFILE": "", "INPUTRC": "/dev/null"}),
        cwd=rig.workspace,
    )


MODES = [("--trace",), ("--trace", "--pty"), ("--pty",), ()]


@pytest.mark.parametrize("options", MODES)
def test_an_interactive_shell_is_itself(rig: Rig, options: tuple[str, ...]) -> None:
    """Prompt, Ctrl-C, a stopped job and `fg`, the exit code."""
    with terminal(rig, *options, "--", "bash", "--norc", "-i") as shell:
        shell.expect("ready>")
        shell.type("git mv old.txt new.txt && echo mo''ved\r")
        shell.expect("moved")
        shell.type('python3 -c \'import time; print("sleep" + "ing"); time.sleep(100)\'\r')
        shell.expect("sleeping")
        shell.type("\x03")
        shell.expect("KeyboardInterrupt")
        shell.expect("ready>")
        shell.type('python3 -c \'print("read" + "ing"); print(input() + "!")\'\r')
        shell.expect("reading")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.rest(0.5)
        shell.type("fg\r")
        shell.expect("print(input()")  # bash says what it continues
        shell.rest(0.5)
        shell.type("back\r")
        shell.expect("back!")
        shell.type("exit 3\r")
        assert shell.wait() == 3
    assert "new.txt" in owners(rig)
    if "--trace" in options:
        assert "git" in {line["command"] for line in trace(rig)}


@pytest.mark.parametrize("options", [("--trace",), ("--pty",)])
def test_a_full_screen_program_is_itself(rig: Rig, options: tuple[str, ...]) -> None:
    """It finds its size, draws, is resized, takes keys, and leaves the terminal as it was."""
    program = (
        "import curses\n"
        "def main(screen):\n"
        "    screen.timeout(100)\n"  # curses overhears a new size right before it waits for a key
        "    while True:\n"
        "        screen.erase()\n"
        "        screen.addstr(1, 2, 'size %d x %d ' % screen.getmaxyx())\n"
        "        key = screen.getch()\n"
        "        if key == ord('q'): return\n"
        "curses.wrapper(main)\n"
        "print('left')\n"
    )
    with terminal(rig, *options, "--", sys.executable, "-c", program) as screen:
        screen.expect("size 50 x 160")
        screen.resize(30, 100)
        screen.expect("size 30 x 100")
        screen.type("q")
        screen.expect("left")
        assert screen.wait() == 0


def test_python_at_the_terminal_is_itself(rig: Rig) -> None:
    """`python3 -i` through its launcher."""
    with terminal(rig, "--trace", "--", "bash", "-c", "python3 -i") as python:
        python.expect(">>>")
        python.type("open('i.txt', 'w').write('i') and print('do' + 'ne')\r")
        python.expect("done")
        python.type("exit(7)\r")
        assert python.wait() == 7
    (line,) = trace(rig)
    assert (line["command"], line["tty"], line["exit_code"]) == ("python3", True, 7)
    assert owners(rig)["i.txt"] == {(line["session_id"], line["id"])}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_program_that_a_signal_ends_is_seen_to_end_so(rig: Rig, number: signal.Signals) -> None:
    """The supervisor ends by the same signal."""
    done = run(rig, "--", "python3", "-c", f"import os; os.kill(os.getpid(), {int(number)})")
    expected = 1 if number == signal.SIGINT else -number  # Python turns SIGINT into its own end
    assert done.returncode in (expected, -number)


def test_the_panic_switch_and_a_vanished_folder(rig: Rig) -> None:
    """Off means off for what runs as well; a folder removed by hand is not missed."""
    switch = f"{AGENTDIFF} trace off >/dev/null; git init -q one; {AGENTDIFF} trace on >/dev/null"
    gone = 'rm -r "$(dirname "$(command -v git)")"; git init -q two'
    done = run(rig, "--trace", "--", "bash", "-c", f"{switch}; {gone}")
    assert (done.returncode, done.stderr) == (0, "")
    assert trace(rig) == []
    assert os.path.isdir(rig.workspace / "one")
    assert os.path.isdir(rig.workspace / "two")


def test_only_names_that_are_found_get_a_launcher(rig: Rig) -> None:
    """What is not on the PATH does not seem to be."""
    missing = [name for name in DEFAULT if shutil.which(name) is None]
    script = "for name in " + " ".join(missing or ["nosuchprogram"]) + "; do command -v $name; done"
    assert run(rig, "--trace", "--", "bash", "-c", script).stdout == ""
    folder = Path(rig.environment()["XDG_DATA_HOME"]) / "agentdiff" / "launchers"
    assert list(folder.iterdir()) == []  # nothing stays behind
