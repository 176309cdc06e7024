"""The daemon as a process: one of a kind, started on demand, leaving cleanly."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from agentdiff.client import Client
from agentdiff.daemon import launch, lifecycle
from agentdiff.daemon.launch import DaemonUnavailable
from agentdiff.locations import Locations
from tests.unit.daemon import fixtures


def _pid(locations: Locations) -> int:
    holder = lifecycle.holder(locations.lock_file)
    assert holder is not None
    return holder.pid


def _is_socket(path: Path) -> bool:
    return path.exists() and stat.S_ISSOCK(path.stat().st_mode)


def test_starters_at_the_same_time_get_one_daemon(locations: Locations) -> None:
    """Four starters that race all return, and exactly one daemon was ready."""
    failures: list[OSError] = []
    barrier = threading.Barrier(4)

    def starter() -> None:
        barrier.wait()
        try:
            launch.ensure_running(locations, 30.0, argv=fixtures.argv(locations))
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=starter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert locations.log_file.read_text().count('"event":"ready"') == 1


def test_a_second_daemon_is_turned_away(daemon: Locations) -> None:
    """The loser of the lock says so and leaves the winner's sockets alone."""
    before = daemon.rpc_socket.stat().st_ino
    process = subprocess.run(fixtures.argv(daemon), capture_output=True, check=False, timeout=30)
    assert process.stdout == launch.ALREADY
    assert daemon.rpc_socket.stat().st_ino == before


def test_a_daemon_with_another_runtime_folder_is_found(daemon: Locations) -> None:
    """A starter whose XDG_RUNTIME_DIR differs uses the running daemon of the shared state."""
    elsewhere = replace(daemon, runtime=daemon.runtime.parent / "other")
    assert launch.ensure_running(elsewhere, 5.0, argv=["/nonexistent"]) == daemon


def test_the_daemon_of_another_state_folder_keeps_its_sockets(daemon: Locations) -> None:
    """A daemon refuses to replace sockets that answer, even though its own lock is free."""
    other = replace(daemon, state=daemon.state.parent / "state2")
    process = subprocess.run(
        fixtures.argv(other), capture_output=True, text=True, check=False, timeout=30
    )
    assert "another state folder answers" in process.stderr
    with Client(daemon, start=False) as client:
        assert client.daemon["pid"] == _pid(daemon)


def test_who_answers_is_used_whatever_the_state_folder(daemon: Locations) -> None:
    """There is one daemon per user: a starter with another XDG_STATE_HOME uses the one it meets."""
    other = replace(daemon, state=daemon.state.parent / "state2")
    assert launch.ensure_running(other, 5.0, argv=["/nonexistent"]) == other


def test_stale_sockets_are_replaced(locations: Locations) -> None:
    """Socket files of a daemon that was killed do not keep the next one from starting."""
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    killed = lifecycle.holder(locations.lock_file)
    os.kill(_pid(locations), signal.SIGKILL)
    fixtures.until(lambda: lifecycle.holder(locations.lock_file) != killed)
    assert _is_socket(locations.rpc_socket)
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    with Client(locations, start=False) as client:
        assert client.daemon["pid"] == _pid(locations)


def test_last_words_of_a_failing_start_are_reported(locations: Locations) -> None:
    """What a daemon that cannot start wrote last is in the error, and so is the log's path."""
    command = [sys.executable, "-c", "raise RuntimeError('no such luck')"]
    with pytest.raises(DaemonUnavailable) as caught:
        launch.ensure_running(locations, 20.0, argv=command)
    assert "RuntimeError: no such luck" in str(caught.value)
    assert str(locations.log_file) in str(caught.value)


def test_a_daemon_that_is_late_is_given_up(locations: Locations) -> None:
    """A start that says nothing in time fails instead of waiting for ever."""
    with pytest.raises(DaemonUnavailable, match="not ready in time"):
        launch.ensure_running(locations, 0.3, argv=["/bin/sleep", "20"])


def test_a_daemon_whose_starter_gave_up_serves_the_next(locations: Locations) -> None:
    """Ready late (a cold disk, a long log), it finds nobody who listens to that."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = fixtures.argv(locations)
    subprocess.run(command, stdout=write_end, stderr=write_end, check=True, timeout=30)
    os.close(write_end)
    fixtures.until(locations.log_file.exists)
    fixtures.until(lambda: '"ready"' in locations.log_file.read_text())
    with Client(locations, start=False) as client:
        assert client.daemon["pid"] == _pid(locations)


def test_environment_of_the_daemon_is_reduced() -> None:
    """Keys, proxies and git variables of the starter do not reach the daemon."""
    given = {"HOME": "/h", "PATH": "/p", "XDG_RUNTIME_DIR": "/r", "LANG": "C", "TMPDIR": "/t"}
    secrets = {"ANTHROPIC_API_KEY": "k", "GIT_DIR": "/g", "PYTHONPATH": "/x", "NVIM": "/n"}
    assert launch.environment({**given, **secrets}) == given


def test_sigterm_removes_the_sockets(daemon: Locations) -> None:
    """After a signal nothing of the daemon is left but its state."""
    fixtures.end(daemon)
    assert list(daemon.runtime.iterdir()) == []


def test_stop_request_is_answered(daemon: Locations) -> None:
    """``daemon.stop`` gets its answer before the daemon leaves."""
    holder = lifecycle.holder(daemon.lock_file)
    with Client(daemon, start=False) as client:
        assert client.call("daemon.stop") == {}
    fixtures.until(lambda: lifecycle.holder(daemon.lock_file) != holder)


def test_vanished_sockets_are_made_again(locations: Locations) -> None:
    """A removed runtime folder comes back, and connections that were open stay open."""
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations, "--tick", "0.05"))
    with Client(locations, start=False) as client:
        shutil.rmtree(locations.runtime)
        fixtures.until(lambda: _is_socket(locations.hook_socket))
        with Client(locations, start=False) as other:
            assert other.daemon["pid"] == client.call("daemon.status")["pid"]


def test_hooks_are_answered_on_a_socket_made_again(locations: Locations, hook_client: Path) -> None:
    """The hook socket works after it vanished."""
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations, "--tick", "0.05"))
    locations.hook_socket.unlink()
    fixtures.until(lambda: _is_socket(locations.hook_socket))
    assert fixtures.run_hook(hook_client, b"{}", "claude").stdout == "claude said “hi”\n".encode()


def test_a_removed_state_folder_ends_the_daemon(locations: Locations) -> None:
    """Without its lock file a daemon is nobody: it leaves."""
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations, "--tick", "0.05"))
    locations.lock_file.unlink()
    fixtures.until(lambda: not locations.rpc_socket.exists())


def test_an_idle_daemon_leaves(locations: Locations) -> None:
    """With no client, no session and no request for the configured time the daemon ends."""
    locations.config_file.write_text("[otlp]\nport = 0\n[daemon]\nidle_minutes = 0.0001\n")
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations, "--tick", "0.05"))
    fixtures.until(lambda: not locations.rpc_socket.exists())
    assert '"reason":"idle"' in locations.log_file.read_text()


def test_a_connected_client_keeps_the_daemon(locations: Locations) -> None:
    """An editor that says nothing for longer than the idle time still has its daemon."""
    locations.config_file.write_text("[otlp]\nport = 0\n[daemon]\nidle_minutes = 0.0001\n")
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations, "--tick", "0.05"))
    with Client(locations, kind="nvim") as client:
        # Each look after itself drains the spool: a file that disappears proves that one came.
        locations.spool.mkdir(exist_ok=True)
        for name in ("1-1.hook", "2-1.hook"):
            (locations.spool / name).write_bytes(b"junk")
            fixtures.until(lambda: not list(locations.spool.glob("*.hook")))
        assert client.call("daemon.status")["counters"]["clients"] == 1


def test_state_is_private(daemon: Locations) -> None:
    """Folders are 0700; token, log, lock and sockets are 0600."""
    folders = {daemon.state, daemon.runtime}
    files = {daemon.token_file, daemon.log_file, daemon.lock_file, daemon.rpc_socket}
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_token_survives_a_restart(daemon: Locations) -> None:
    """Agents' configurations hold the token: the next daemon uses the same one."""
    token = daemon.token_file.read_text()
    fixtures.end(daemon)
    launch.ensure_running(daemon, 20.0, argv=fixtures.argv(daemon))
    assert daemon.token_file.read_text() == token
    assert len(token.strip()) == 64


def test_problems_of_the_settings_are_logged(locations: Locations) -> None:
    """A wrong key does not keep the daemon from starting, and is in its log."""
    locations.config_file.write_text("[otlp]\nport = 0\nprot = 1\n")
    launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    assert "unknown key 'otlp.prot'" in locations.log_file.read_text()


def test_hooks_in_progress_are_finished(daemon: Locations, hook_client: Path) -> None:
    """A daemon that is told to leave answers the hook that waits for its baseline."""
    answers: list[bytes] = []

    def hook() -> None:
        answers.append(fixtures.run_hook(hook_client, b"slow", "claude").stdout)

    thread = threading.Thread(target=hook)
    with Client(daemon, start=False) as client:
        thread.start()
        fixtures.until(lambda: client.call("in_hook") == {"hooks": 1})
        client.call("daemon.stop")
    thread.join()
    assert answers == ["claude said “hi”\n".encode()]


def test_client_that_meets_a_stopping_daemon_starts_the_next(daemon: Locations) -> None:
    """A command right after ``daemon.stop`` is served by a new daemon, not refused."""
    first = _pid(daemon)
    with Client(daemon, start=False) as client:
        client.call("daemon.stop")
    launch.ensure_running(daemon, 20.0, argv=fixtures.argv(daemon))
    fixtures.until(lambda: _answering(daemon) not in (None, first))


def _answering(locations: Locations) -> int | None:
    try:
        with Client(locations, start=False) as client:
            return int(client.daemon["pid"])
    except DaemonUnavailable:
        launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
        return None
