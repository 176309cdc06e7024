"""The command line against a real daemon with the real engine, in a workspace of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from agentdiff.daemon import lifecycle
from agentdiff.workspace.blobs import BlobStore
from tests.unit.cli.shell import AFTER, BEFORE, Shell


def test_status_names_what_pends(pending: Shell) -> None:
    """The status shows file, size of the change, owner, and the prompt without its controls."""
    assert pending.run("status") == 0
    lines = pending.out.decode().split("\n")
    assert lines[0] == "1 file, 1 hunk pending  +1 -1"
    assert lines[1].split() == ["M", "a.txt", "1", "hunk", "+1", "-1", "claude", "·", "Edit"]
    assert lines[2] == "claude session-1 working  turn 1: make it\\nloud \\x1b[31m"


def test_status_names_what_is_not_covered(shell: Shell) -> None:
    """A few paths with the reason, and how many more there are."""
    for number in range(8):
        with open(shell.workspace / f"big{number}", "wb") as file:
            file.truncate(17 << 20)  # more than is kept; nothing of it is on the disk
    shell.hook("PreToolUse", tool="Bash", tool_input={"command": "true"})
    assert shell.run("status") == 0
    lines = [one for one in shell.out.decode().split("\n") if one.startswith("not covered: ")]
    assert lines[0].startswith("not covered: big0: oversized")
    assert (len(lines), lines[-1]) == (6, "not covered: 3 more (agentdiff status --json)")


def test_status_names_what_is_ignored(shell: Shell) -> None:
    """A command that rewrites an ignored folder leaves no other hint; that is no gap."""
    (shell.workspace / ".gitignore").write_text("dist/\nnode_modules/\nout/\n*.log\n")
    for name in ("dist", "node_modules", "out"):
        (shell.workspace / name).mkdir()
    with open(shell.workspace / "much.log", "wb") as file:
        file.truncate(1 << 20)
    shell.hook("PreToolUse", tool="Bash", tool_input={"command": "true"})
    answer = shell.json("status", "--json")
    ignored = ["dist/", "much.log", "node_modules/", "out/"]
    assert answer["coverage"] == [{"path": path, "reason": "ignored"} for path in ignored]
    assert answer["ignored"] == {"folders": 3, "files": 1}
    assert shell.run("status") == 0
    assert shell.out.decode().splitlines()[1] == (
        "ignored, not followed: 3 folders and 1 file (dist/, much.log, node_modules/, …); "
        "workspace.include names exceptions"
    )
    found = {one["id"]: one for one in shell.json("doctor", "--json")["checks"]}
    assert found["coverage"]["detail"] == "every path of the open workspaces is followed"


def test_status_json_is_the_documented_shape(pending: Shell) -> None:
    """``status --json`` has the documented top level."""
    answer = pending.json("status", "--json")
    wanted = {"v", "seq", "settled", "workspace", "daemon", "sessions", "files", "totals"}
    assert wanted - set(answer) == set()
    assert answer["workspace"] == str(pending.workspace)
    assert answer["totals"] == {"files": 1, "hunks": 1, "added": 1, "removed": 1}


def test_nothing_pends_at_first(shell: Shell) -> None:
    """A workspace that no agent touched has nothing to review."""
    assert shell.run("status") == 0
    assert shell.out == b"nothing pending\nstore: 0.0 of 512 MiB (workspace.store_mib)\n"


def test_status_says_how_full_the_store_is(shell: Shell) -> None:
    """Before it is full."""
    shell.locations.config_file.write_text("[otlp]\nport = 0\n[workspace]\nstore_mib = 7\n")
    (shell.workspace / "noise").write_bytes(os.urandom(1 << 20))
    shell.hook("PreToolUse", tool="Bash", tool_input={"command": "true"})
    shell.run("status")
    assert shell.out.decode().splitlines()[-1] == "store: 1.0 of 7 MiB (workspace.store_mib)"


def test_diff_is_exact_and_applies(pending: Shell) -> None:
    """The diff, applied to the old content by git, gives the new content."""
    assert pending.run("diff") == 0
    copy = pending.locations.state.parent / "copy"
    copy.mkdir()
    (copy / "a.txt").write_bytes(BEFORE)
    subprocess.run(["git", "apply", "-"], input=pending.out, cwd=copy, check=True)
    assert (copy / "a.txt").read_bytes() == AFTER


def test_diff_without_changes_exits_1(shell: Shell) -> None:
    """Nothing to show is exit code 1 and no output."""
    assert (shell.run("diff"), shell.out) == (1, b"")


@pytest.mark.parametrize(
    "chosen",
    [["--all"], ["a.txt"], ["."], ["--hunk", "ID"], ["--agent", "claude"], ["--call", "toolu_1"]],
)
def test_reject_restores_the_file(pending: Shell, chosen: list[str]) -> None:
    """Each way to choose the hunk rejects it on disk."""
    # The first number is another one's where the write was seen half done.
    (hunk,) = pending.json("status", "--json")["files"][0]["hunks"]
    words = [str(hunk["id"]) if word == "ID" else word for word in chosen]
    assert pending.run("reject", *words) == 0
    assert (pending.workspace / "a.txt").read_bytes() == BEFORE
    assert pending.out == b"rejected: 1 hunk in 1 file\n"


def test_reject_says_where_it_could_not_exchange(pending: Shell) -> None:
    """A file with a second name is written in place: done, and not as safe as usual."""
    (pending.workspace / "second").hardlink_to(pending.workspace / "a.txt")
    assert pending.run("reject", "a.txt") == 0
    assert pending.err.startswith("agentdiff: not replaced in one step (a hard link")
    assert pending.err.endswith(": a.txt\n")
    assert (pending.workspace / "second").read_bytes() == BEFORE


def test_accept_leaves_the_disk(pending: Shell) -> None:
    """Accepting changes the baseline only."""
    assert pending.run("accept", "--all") == 0
    assert (pending.workspace / "a.txt").read_bytes() == AFTER
    assert pending.json("status", "--json")["files"] == []


def test_paths_count_from_the_current_folder(
    pending: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path argument is relative to the current folder, not to the workspace."""
    monkeypatch.chdir(pending.workspace / "sub")
    assert pending.run("accept", "../a.txt") == 0


def test_directory_option_moves_the_command(
    pending: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``-C`` chooses the workspace, before or after the subcommand."""
    monkeypatch.chdir("/")
    where = str(pending.workspace)
    assert pending.json("-C", where, "status", "--json")["totals"]["files"] == 1
    assert pending.json("status", "--json", "-C", where)["totals"]["files"] == 1


def test_path_outside_the_workspace_is_refused(pending: Shell) -> None:
    """A path of elsewhere is exit code 3 and a reason."""
    assert pending.run("accept", "/etc/hostname") == 3
    assert "/etc/hostname is outside the workspace" in pending.err


def test_decision_about_nothing(pending: Shell) -> None:
    """A second decision finds nothing to do, and says so by exit code 1."""
    pending.run("accept", "--all")
    assert pending.run("accept", "--all") == 1
    assert pending.out == b"nothing to do\n"


def test_undo_and_redo(pending: Shell) -> None:
    """A decision is taken back and repeated; then there is nothing left to repeat."""
    pending.run("accept", "--all")
    assert pending.run("undo") == 0
    assert pending.json("status", "--json")["totals"]["files"] == 1
    assert pending.run("redo") == 0
    assert pending.json("status", "--json")["totals"]["files"] == 0
    assert pending.run("redo") == 1
    said = "nothing to redo; what was decided in an editor is undone there\n"
    assert pending.out.decode() == said


@pytest.mark.parametrize("command", ["diff", "accept", "reject"])
def test_an_unknown_call_is_a_usage_error(pending: Shell, command: str) -> None:
    """Nothing is decided, and it is said where the ids are."""
    assert pending.run(command, "--call", "toolu_9") == 2
    assert "call: no tool call 'toolu_9' here: see `agentdiff log`" in pending.err
    assert (pending.workspace / "a.txt").read_bytes() == AFTER


def test_diff_of_a_call(pending: Shell) -> None:
    """What a decision on it would be about."""
    assert pending.run("diff", "--call", "toolu_1") == 0
    assert pending.out.startswith(b"diff --git a/a.txt b/a.txt\n")


def test_log_lists_the_call(pending: Shell) -> None:
    """``log --json`` is an array with one object per tool call; without --json it is readable."""
    [call] = pending.json("log", "--json")
    assert (call["agent"], call["tool"], call["tool_call"]) == ("claude", "Edit", "toolu_1")
    pending.run("log")
    assert "\x1b" not in pending.out.decode()
    shown = pending.out.decode()
    assert re.search(r"(?m)^    Edit  [\d.]+ (?:ms|s)  toolu_1\n      a\.txt$", shown), shown


def test_baseline_show_is_exact(pending: Shell) -> None:
    """The base of a file comes out byte for byte."""
    assert pending.run("baseline", "show", "a.txt") == 0
    assert pending.out == BEFORE


def test_baseline_show_of_the_workspace_is_a_usage_error(pending: Shell) -> None:
    """It is no file, whatever it is called."""
    assert pending.run("baseline", "show", ".") == 2
    assert "it is the workspace itself; name a file in it" in pending.err


def test_baseline_list_names_turns_and_files(pending: Shell) -> None:
    """The restore points, and what differs from the baseline."""
    assert pending.run("baseline", "list") == 0
    turn, file = pending.out.decode().splitlines()
    assert turn.split()[:4] == ["prompt-1", "turn", "1", "claude"]
    assert file.split()[:2] == ["M", "a.txt"]


def test_baseline_restore_to_a_turn_is_undone(pending: Shell) -> None:
    """A file is put back to the start of a turn by its number, and ``undo`` takes that back."""
    pending.hook("UserPromptSubmit", prompt="again", prompt_id="prompt-2")
    pending.edit("a.txt", AFTER, BEFORE)
    path = pending.workspace / "a.txt"
    assert pending.run("baseline", "restore", "--turn", "2", "a.txt") == 0
    restored = path.read_bytes()
    assert pending.run("undo") == 0
    assert (restored, path.read_bytes()) == (AFTER, BEFORE)


def test_baseline_restore_of_the_tree(pending: Shell) -> None:
    """``restore .`` puts everything back."""
    assert pending.run("baseline", "restore", ".") == 0
    assert (pending.workspace / "a.txt").read_bytes() == BEFORE


def test_baseline_restore_names_an_unknown_turn(pending: Shell) -> None:
    """Nothing is written for a turn that there is not."""
    assert pending.run("baseline", "restore", "--turn", "7", "a.txt") == 2
    assert "no turn '7'" in pending.err
    assert (pending.workspace / "a.txt").read_bytes() == AFTER


def test_baseline_restore_to_whose_turn(pending: Shell) -> None:
    """An agent and a session without a turn are no reason to put everything back."""
    assert pending.run("baseline", "restore", "--agent", "claude", "a.txt") == 2
    assert "turn: missing" in pending.err
    assert pending.run("baseline", "restore", "--turn", "1", "--session", "none", "a.txt") == 2
    assert "no turn '1' of none here" in pending.err
    assert (pending.workspace / "a.txt").read_bytes() == AFTER
    assert pending.run("baseline", "restore", "--turn", "1", "--agent", "claude", "a.txt") == 0
    assert (pending.workspace / "a.txt").read_bytes() == BEFORE


def test_baseline_clear_touches_no_file(pending: Shell) -> None:
    """Nothing pends afterwards, and the disk is as it was."""
    assert pending.run("baseline", "clear") == 0
    assert pending.json("status", "--json")["files"] == []
    assert (pending.workspace / "a.txt").read_bytes() == AFTER


def test_baseline_set_restore_clear(pending: Shell) -> None:
    """The three moves of the baseline do what they are called."""
    assert pending.run("baseline", "restore", "a.txt") == 0
    assert (pending.workspace / "a.txt").read_bytes() == BEFORE
    pending.edit("a.txt", BEFORE, AFTER)
    assert pending.run("baseline", "set", "a.txt") == 0
    assert pending.json("status", "--json")["files"] == []
    pending.edit("a.txt", AFTER, BEFORE)
    assert pending.run("baseline", "clear") == 0
    assert pending.json("status", "--json")["files"] == []


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "required: COMMAND"),
        (["sttaus"], "invalid choice: 'sttaus'"),
        (["status", "--jsn"], "unrecognized arguments: --jsn"),
        (["accept"], "accept: say what"),
        (["accept", "--all", "a.txt"], "--all and PATH exclude each other"),
        (["reject", "--hunk", "x"], "--hunk x: expected ID or ID@GEN"),
        (["reject", "--hunk", "1@"], "--hunk 1@: expected ID or ID@GEN"),
        (["accept", "--all", "--seen", "x"], "argument --seen: invalid int value: 'x'"),
        (["-C", "/nonexistent", "status"], "-C /nonexistent: not a folder"),
        (["baseline"], "required: ACTION"),
        (["baseline", "restore"], "required: PATH"),
        (["install", "claude", "--scope", "all"], "argument --scope: invalid choice: 'all'"),
        (["daemon", "restart"], "invalid choice: 'restart'"),
        (["status", "--help=x"], "ignored explicit argument"),
        (["reject", ""], "PATH is empty"),
        (["-C", "", "purge"], "-C is empty"),
        (["baseline", "restore", "a.txt", ""], "PATH is empty"),
        (["accept", "--hunk", "9" * 20], "--hunk 99999999999999999999: expected ID or ID@GEN"),
        (["reject", "--hunk", "1@" + "9" * 5000], "expected ID or ID@GEN"),
        (["comment", "a.txt", "x", "--lines", "1-" + "9" * 20], "expected FIRST or FIRST-LAST"),
    ],
)
def test_usage_errors_name_the_mistake(shell: Shell, argv: list[str], complaint: str) -> None:
    """A wrong command line is exit code 2, names what is wrong, and starts no daemon."""
    assert shell.run(*argv) == 2
    assert complaint in shell.err
    assert not shell.locations.state.exists()


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["reject", "--all", "--reason", "\udcff"], "reason: it holds bytes that are not UTF-8"),
        (["accept", "--agent", "\udcff"], "selection.agent: it holds bytes that are not UTF-8"),
        (["comment", "a.txt", "\udcff"], "text: it holds bytes that are not UTF-8"),
        (["accept", "--all", "--seen", "9" * 20], f"selection.seen: {'9' * 20} is too large"),
    ],
)
def test_what_cannot_be_sent_is_a_usage_error(
    pending: Shell, argv: list[str], complaint: str
) -> None:
    """It names the parameter and the remedy, and nothing was decided."""
    assert pending.run(*argv) == 2
    assert complaint in pending.err
    assert (pending.workspace / "a.txt").read_bytes() == AFTER


def test_version(shell: Shell) -> None:
    """``--version`` prints name and version."""
    assert shell.run("--version") == 0
    assert shell.out.startswith(b"agentdiff 0.")


def test_no_home_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without HOME and XDG variables there is no place to look, and the message says so."""
    for name in list(os.environ):
        if name == "HOME" or name.startswith("XDG_"):
            monkeypatch.delenv(name)
    assert (shell.run("status"), shell.err) == (
        2,
        "agentdiff: HOME is not set in the environment\n",
    )


def test_daemon_life(shell: Shell) -> None:
    """start, status and stop agree with each other and with their exit codes."""
    assert shell.run("daemon", "status") == 4
    assert shell.run("daemon", "start") == 0
    status = shell.json("daemon", "status", "--json")
    wanted = {"pid", "version", "proto", "socket", "port", "uptime_s", "workspaces", "counters"}
    assert wanted - set(status) == set()
    holder = lifecycle.holder(shell.locations.lock_file)
    assert holder is not None
    assert status["pid"] == holder.pid
    assert shell.run("daemon", "stop") == 0
    assert lifecycle.holder(shell.locations.lock_file) is None
    assert shell.run("daemon", "stop") == 1


def test_daemon_of_another_version_is_stopped(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``daemon stop`` ends a daemon that it cannot talk to, by its pid."""
    shell.run("daemon", "start")
    monkeypatch.setattr(
        "agentdiff.wire.greeting",
        lambda kind: {"client": kind, "pid": 1, "proto": 99, "min_proto": 99},
    )
    assert shell.run("status") == 4
    assert "agentdiff daemon stop" in shell.err
    assert shell.run("daemon", "stop") == 0


def test_daemon_that_cannot_start_is_exit_4(shell: Shell) -> None:
    """A command that needs a daemon says why there is none, and where the log is."""
    (shell.locations.state.parent).mkdir(parents=True)
    shell.locations.state.write_bytes(b"in the way")
    assert shell.run("status") == 4
    assert str(shell.locations.log_file) in shell.err
    assert "File exists" in shell.err


def test_doctor_without_a_daemon(shell: Shell) -> None:
    """The doctor works alone, starts nothing, and fails only when a daemon is asked for."""
    checks = {check["id"]: check["level"] for check in shell.json("doctor", "--json")["checks"]}
    assert (checks["daemon"], shell.code) == ("warn", 0)
    assert shell.run("doctor", "--need-daemon") == 4
    assert not shell.locations.state.exists()


def test_doctor_finds_damage_in_what_was_kept(shell: Shell) -> None:
    """Every content is compared with its name, also when no daemon runs."""
    folder = shell.locations.workspaces / "w"
    folder.mkdir(parents=True)
    store = BlobStore(folder / "blobs.pack")
    store.put(b"content" * 99)
    store.close()
    checks = {check["id"]: check for check in shell.json("doctor", "--json")["checks"]}
    assert (checks["store"]["level"], checks["store"]["detail"][:12]) == ("ok", "1 workspaces")
    data = bytearray((folder / "blobs.pack").read_bytes())
    data[-3] ^= 1
    (folder / "blobs.pack").write_bytes(data)
    checks = {check["id"]: check for check in shell.json("doctor", "--json")["checks"]}
    assert (checks["store"]["level"], "is damaged" in checks["store"]["detail"]) == ("error", True)


def test_doctor_shows_settings_and_payloads(shell: Shell) -> None:
    """Wrong settings and payloads that made no sense are findings with a remedy."""
    shell.locations.config_file.write_text("[otlp]\nport = 0\nprot = 1\n")
    shell.run("daemon", "start")
    shell.hook("PreToolUse", session_id=5)
    checks = {check["id"]: check for check in shell.json("doctor", "--json")["checks"]}
    assert shell.code == 3
    assert "unknown key 'otlp.prot'" in checks["config"]["detail"]
    assert checks["payloads"]["level"] == "warn"
    assert checks["payloads"]["remedy"]


def test_doctor_finds_an_open_state_folder(shell: Shell) -> None:
    """A state folder that others may read is an error."""
    shell.run("daemon", "start")
    shell.locations.state.chmod(0o755)
    checks = {check["id"]: check for check in shell.json("doctor", "--json")["checks"]}
    assert checks["state"]["level"] == "error"
    assert checks["state"]["remedy"] == f"chmod 700 {shell.locations.state}"


def test_output_into_a_closed_pipe_is_quiet(pending: Shell) -> None:
    """``agentdiff diff | head -0`` ends without a traceback."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "agentdiff", "diff"],
            stdout=closed,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.stderr == b""
