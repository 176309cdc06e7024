"""The launchers, run for real by real shells; the daemon's place is taken by a list."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentdiff.sources.trace.folder import Launchers, remove_stale
from agentdiff.sources.trace.log import NAME, TraceLog, read
from agentdiff.sources.trace.rules import Rule
from agentdiff.sources.trace.server import Policy
from tests.unit.daemon.fixtures import until
from tests.unit.sources.trace_rig import DEADLINE_S, KINDS, each_kind, kind, traced

pytestmark = [
    pytest.mark.skipif(not KINDS, reason="launchers need perl or a C compiler"),
    pytest.mark.usefixtures(each_kind.__name__),
]


def test_a_command_is_logged_and_one_that_writes_is_told() -> None:
    """Every field of a line; the event comes before the command and again after it."""
    with traced() as run:
        run("git", "config", "--local", "user.name", "x")
        run("git", "status", "--short")
        first, second = run.log(2)
        assert run.events() == [
            ("command_started", "git config --local user.name x"),
            ("command_finished", "git config --local user.name x"),
        ]
        assert run.told[0]["call"] == run.told[1]["call"] == first["id"]
        assert run.told[1]["outcome"] == "ok"
        assert first["argv"] == ["git", "config", "--local", "user.name", "x"]
        assert second["command"] == "git"
        assert second["session_id"] == run.session.id
        assert second["cwd"] == str(run.root / "ws")
        assert second["exit_code"] == 0
        fields = "ts command argv cwd exit_code duration_ms pid ppid user host platform mode tty"
        assert set(fields.split()) <= second.keys()
        assert datetime.fromisoformat(first["ts"]).utcoffset() == timedelta(0)  # RFC 3339
        assert (run.root / "log" / NAME).stat().st_mode & 0o777 == 0o600


def test_lookup_finds_the_launcher_first_and_the_program_behind_it() -> None:
    """`which -a`, `type -a` and login shells agree; a shell and a missing program get none."""
    with traced() as run:
        mine = str(run.launchers.bin / "git")
        real = shutil.which("git", path=run.launchers.original_path)
        listed = run("bash", "-c", "type -a git; which -a git; command -v absent; true").split()
        assert listed.index(mine) < listed.index(str(real))
        assert "absent" not in run.launchers.tools
        for argv in (["bash", "-lc"], ["bash", "-c"], ["sh", "-c"]):
            assert run(*argv, "command -v git").strip() == mine
        assert run("bash", "-c", "command -v bash").strip() != str(run.launchers.bin / "bash")


def test_the_environment_keeps_the_path_that_was(tmp_path: Path) -> None:
    """Each folder once, in both; launchers of a run around this one are in neither."""
    given = {"PATH": "/usr/bin:/bin:/usr/bin", "KEPT": "yes", "SHIM_ACTIVE": "x"}
    outer = _launchers(tmp_path / "outer", given)
    first = outer.environment(given, tmp_path / "sock")
    assert first["PATH"] == f"{outer.bin}:/usr/bin:/bin"
    assert first["ORIGINAL_PATH"] == "/usr/bin:/bin"
    assert (first["KEPT"], "SHIM_ACTIVE" in first) == ("yes", False)
    inner = _launchers(tmp_path / "inner", first)
    second = inner.environment(first, tmp_path / "sock")
    assert second["PATH"] == f"{inner.bin}:/usr/bin:/bin"
    assert second["ORIGINAL_PATH"] == "/usr/bin:/bin"
    assert "AGENTDIFF_BASH_ENV" not in second


def test_launchers_are_real_files_of_ours_alone(tmp_path: Path) -> None:
    """A link would let a program see another name than its own; others must not write them."""
    found = _launchers(tmp_path / "run", {"PATH": os.environ["PATH"]})
    files = list(found.bin.iterdir())
    assert files
    for place in files:
        status = place.lstat()
        assert (stat.S_ISREG(status.st_mode), status.st_nlink) == (True, 1)
        assert status.st_mode & 0o777 == 0o700
    assert found.bin.stat().st_mode & 0o777 == 0o700


def _launchers(folder: Path, environ: dict[str, str]) -> Launchers:
    """Launchers for everything that is on the PATH of `environ`."""
    off, tools = folder / "off", ("git", "python3")
    return Launchers(folder, off=off, tools=tools, environ=environ, **kind())


def test_exit_codes_and_pipelines_are_those_of_the_programs() -> None:
    """A code, a signal, PIPESTATUS, and what goes through a pipe."""
    with traced() as run:
        run("python3", "-c", "import sys; sys.exit(5)", code=5)
        run("python3", "-c", "import os; os.kill(os.getpid(), 9)", code=-9)
        script = (
            "python3 -c 'print(2)' | python3 -c 'import sys; sys.exit(int(input()) + 1)'; "
            "echo ${PIPESTATUS[@]}"
        )
        assert run("bash", "-c", script).split() == ["0", "3"]
        assert sorted(line["exit_code"] for line in run.log(4)) == [0, 3, 5, 137]


def test_a_program_that_is_gone_is_not_found() -> None:
    """127, as without launchers; it is logged."""
    with traced() as run:
        shutil.copy(run.launchers.bin / "git", run.launchers.bin / "vanished")
        run("bash", "-c", "vanished", code=127)
        assert [line["exit_code"] for line in run.log(1)] == [127]


def test_only_the_re_entry_of_the_same_exec_is_passed_over() -> None:
    """A wrapper that becomes the launcher again is logged once; its children are logged."""
    with traced() as run:
        wrapper = run.root / "tools" / "wrapped"
        wrapper.write_text(
            '#!/bin/sh\nif [ -n "$AGAIN" ]; then git --version; exit 0; fi\nAGAIN=1 exec wrapped\n'
        )
        wrapper.chmod(0o755)
        shutil.copy(run.launchers.bin / "git", run.launchers.bin / "wrapped")
        run("wrapped")
        lines = run.log(2)
        assert sorted(line["command"] for line in lines) == ["git", "wrapped"]
        outer = next(line for line in lines if line["command"] == "wrapped")
        inner = next(line for line in lines if line["command"] == "git")
        assert inner["parent"] == outer["id"]


def test_two_folders_of_launchers_do_not_call_each_other_for_ever() -> None:
    """A second folder on the PATH, as of a run with another HOME, ends at the real program."""
    with traced() as outer, traced() as inner:
        inner.environ["PATH"] = (
            f"{inner.launchers.bin}:{outer.launchers.bin}:{inner.launchers.original_path}"
        )
        assert inner("git", "--version").startswith("git version")
        assert len(inner.log(1)) == 1


def test_a_link_to_the_launchers_does_not_lead_back_to_them() -> None:
    """As where a start file puts canonical names into the PATH."""
    with traced() as run:
        link = run.root / "link"
        link.symlink_to(run.launchers.bin)
        run.environ["PATH"] = f"{link}/:{run.environ['PATH']}:{run.launchers.bin}/"
        assert run("git", "--version").startswith("git version")
        assert len(run.log(1)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGALRM])
def test_a_signal_to_the_launcher_reaches_the_program(number: signal.Signals) -> None:
    """The program does with it what it likes, and its exit code is the launcher's."""
    # Waits for it: a handler could run too late, when Python sleeps already, and not wake it.
    script = (
        "import signal, sys\n"
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {{{int(number)}}})\n"
        "print('ready', flush=True)\n"
        f"signal.sigwait({{{int(number)}}})\n"
        "sys.exit(7)\n"
    )
    with traced() as run:
        # Whoever runs the tests in the background may ignore it, and that is inherited.
        before = signal.signal(number, signal.SIG_DFL)
        process = run.popen("python3", "-c", script, start_new_session=True)
        signal.signal(number, before)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 7


def test_a_stopped_program_stops_its_launcher_and_goes_on_with_it() -> None:
    """A shell that waits for the launcher sees a stopped job, and `fg` lets both go on."""
    script = "import os, signal; os.kill(os.getpid(), signal.SIGSTOP); print('went on')"
    with traced() as run:
        process = run.popen("python3", "-c", script, start_new_session=True)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        os.killpg(process.pid, signal.SIGCONT)
        out, _ = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, out) == (0, "went on\n")


def test_one_switch_turns_everything_off() -> None:
    """Also for launchers that are in place already."""
    with traced() as run:
        run.off.touch()
        run("git", "init", "-q", "inner")
        assert run.told == []
        run.off.unlink()
        run("git", "status")
        run.log(1)


def test_without_a_supervisor_the_program_runs_alone() -> None:
    """Commands that outlive their run are not disturbed."""
    with traced() as run:
        run.environ["AGENTDIFF_TRACE"] = str(run.root / "nobody")
        assert run("git", "--version").startswith("git version")
        assert list(read(run.root / "log")) == []


def test_a_folder_that_vanishes_breaks_nothing() -> None:
    """Neither a new shell nor one that has used a launcher before."""
    with traced() as run:
        script = f"git --version && rm -r '{run.launchers.folder}' && git --version"
        for shell in ("bash", "sh"):
            assert run(shell, "-c", script).count("git version") == 2
            assert run(shell, "-c", "git --version").startswith("git version")
            run.launchers = Launchers(
                run.launchers.folder, off=run.off, tools=("git",), environ=run.environ, **kind()
            )


def test_the_users_own_bash_env_is_read(tmp_path: Path) -> None:
    """Ours comes first and passes on, however the user's is called."""
    own = tmp_path / "bash_env.sh"
    own.write_text("MINE=yes\n")
    with traced(BASH_ENV=str(own)) as run:
        assert run("bash", "-c", "echo $MINE") == "yes\n"


def test_rules_deny_and_only_show() -> None:
    """126 and 0; neither runs anything, both are logged."""
    policy = Policy(
        rules=(
            Rule(command="git push*", action="deny"),
            Rule(command="git init*", action="dry-run"),
        )
    )
    with traced(policy) as run:
        run("git", "push", "origin", code=126)
        run("git", "init", "inner")
        assert not (run.root / "ws" / "inner").exists()
        assert [line["mode"] for line in run.log(2)] == ["deny", "dry-run"]
        assert run.told == []


def test_names_of_variables_are_logged_but_no_values() -> None:
    """`env_diff` and `stderr_bytes` are there when they are asked for."""
    with traced(Policy(env_diff=True, stderr_bytes=True)) as run:
        run.environ["AGENTDIFF_TRACE_ENV"] = "1"
        run(
            "bash",
            "-c",
            "HOME=/nowhere ADDED=secretvalue python3 -c 'import sys; "
            'sys.stderr.write("four")\' 2> err',
        )
        (line,) = run.log(1)
        assert "ADDED" in line["env_diff"]["added"]
        assert line["env_diff"]["changed"] == ["HOME"]
        assert line["stderr_bytes"] == 4
        assert "secretvalue" not in (run.root / "log" / NAME).read_text()


def test_a_log_that_grows_is_put_aside(tmp_path: Path) -> None:
    """The newest files are kept, and read back in order."""
    log = TraceLog(tmp_path, max_bytes=200, keep=2)
    for number in range(20):
        log.write({"number": number, "padding": "x" * 50})
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, f"{NAME}.1", f"{NAME}.2"]
    numbers = [one["number"] for one in read(tmp_path)]
    assert numbers == list(range(20 - len(numbers), 20))


def test_a_log_that_cannot_be_written_is_said_once_and_stops_nobody() -> None:
    """A full disk, a foreign folder."""
    with traced() as run:
        (run.root / "log" / NAME).mkdir()
        run("git", "--version")
        run("git", "init", "-q", "inner")
        until(lambda: len(run.told) == 2)
        assert run.complaints == ["the trace cannot be written: Is a directory"]


def test_folders_of_runs_that_were_killed_are_removed(tmp_path: Path) -> None:
    """A folder whose run lives stays."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name, pid in (("dead", dead.pid), ("alive", os.getpid())):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{pid}.pid").touch()
    remove_stale(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["alive"]
