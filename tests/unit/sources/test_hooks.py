"""``hook.sock`` and its two clients, with a real daemon process around a small backend."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agentdiff.client import Client
from agentdiff.daemon.ports import HookAnswer, PreImage
from agentdiff.locations import Locations
from agentdiff.sources import hooks, spool
from tests.unit.daemon import fixtures

TAKEN = HookAnswer(certain=True, text="")
GREETING = "claude said “hi”\n".encode()


def _malformed(locations: Locations) -> list[str]:
    """Returns the reasons that the daemon counted, oldest first."""
    with Client(locations, start=False) as client:
        counted = client.call("daemon.status")["counters"]["hooks"]
    return [item["reason"] for item in counted["reasons"]]


def _python_hook(
    locations: Locations,
    payload: bytes,
    *,
    agent: str = "claude",
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the fallback client as the perl one would."""
    where = ["--socket", str(locations.hook_socket), "--state", str(locations.state)]
    return subprocess.run(
        [sys.executable, "-E", "-P", "-m", "agentdiff", "hook", agent, *where],
        input=payload,
        capture_output=True,
        check=False,
        timeout=60,
        env={"HOME": str(locations.config.parent), "PATH": os.defpath, **(env or {})},
    )


def test_answer_holds_the_protocol_and_the_text(daemon: Locations) -> None:
    """The answer is the documented line."""
    payload = b'{"x":1}'
    header = b'{"proto":1,"min_proto":1,"agent":"claude","len":%d}\n' % len(payload)
    assert fixtures.talk(daemon, header + payload) == {
        "proto": 1,
        "ok": True,
        "certain": True,
        "print": GREETING.decode(),
    }


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "connection ended inside the header line"),
        (b"GET / HTTP/1.1\r\n\r\n", "header: not JSON"),
        (b"[1]\n", "header: a JSON object was expected"),
        (b'{"proto":2,"min_proto":2,"agent":"a","len":0}\n', "proto: no common version"),
        (b'{"proto":1,"min_proto":1,"len":0}\n', "agent: missing"),
        (b'{"proto":1,"min_proto":1,"agent":"a"}\n', "len: not a size"),
        (b'{"proto":1,"min_proto":1,"agent":"a","len":-1}\n', "len: not a size"),
        (b'{"proto":1,"min_proto":1,"agent":"a","len":9}\nshort', "len: connection ended"),
        (b"x" * 70000, "header line of more than"),
        (b'{"proto":1,"min_proto":1,"agent":"a","len":3}\nbad', "tool_input: not good"),
    ],
)
def test_nonsense_is_answered_and_counted(daemon: Locations, data: bytes, reason: str) -> None:
    """What makes no sense gets an error, and ``doctor`` can say why."""
    answer = fixtures.talk(daemon, data)
    assert answer["ok"] is False
    assert str(answer["error"]).startswith(reason)
    assert _malformed(daemon)[-1].startswith(reason)


def test_too_large_payload_is_refused(daemon: Locations) -> None:
    """More than 32 MiB is an error, and the sender gets to read it."""
    size = hooks.MAX_PAYLOAD_BYTES + 1
    header = b'{"proto":1,"min_proto":1,"agent":"a","len":%d}\n' % size
    assert str(fixtures.talk(daemon, header + bytes(size))["error"]).startswith(
        "len: 33554433 bytes"
    )


def test_waiting_hook_delays_no_other(daemon: Locations, hook_client: Path) -> None:
    """Hooks whose baseline takes long leave the others' answers alone."""
    slow = [
        threading.Thread(target=fixtures.run_hook, args=(hook_client, b"slow", "claude"))
        for _ in range(12)
    ]
    for thread in slow:
        thread.start()
    with Client(daemon, start=False) as client:
        fixtures.until(lambda: client.call("in_hook") == {"hooks": 12})
        assert fixtures.run_hook(hook_client, b"{}", "claude").stdout == GREETING
    for thread in slow:
        thread.join()


def test_client_prints_the_text(daemon: Locations, hook_client: Path) -> None:
    """The client prints what the daemon wants the agent to read, and exits 0."""
    done = fixtures.run_hook(hook_client, b"{}", "claude")
    assert (done.returncode, done.stdout, done.stderr) == (0, GREETING, b"")


@pytest.mark.parametrize("payload", [b"bad", b"", b"\xff\0\n{" * 50000])
def test_client_hands_on_any_bytes(daemon: Locations, hook_client: Path, payload: bytes) -> None:
    """Whatever the payload, the client exits 0 and is quiet on standard error."""
    done = fixtures.run_hook(hook_client, payload, "claude")
    assert (done.returncode, done.stderr) == (0, b"")


def test_client_obeys_its_arguments(daemon: Locations, hook_client: Path) -> None:
    """A socket given on the command line wins over the rendered one."""
    rendered = bytes(daemon.hook_socket)
    elsewhere = b"/nonexistent/".ljust(
        len(rendered), b"x"
    )  # of the same length: it may be a program
    hook_client.write_bytes(hook_client.read_bytes().replace(rendered, elsewhere))
    where = ("--socket", str(daemon.hook_socket), "--state", str(daemon.state))
    assert fixtures.run_hook(hook_client, b"{}", "claude", *where).stdout == GREETING


@pytest.mark.parametrize(
    "environment",
    [
        {"PERL_UNICODE": "SDA"},
        {"PERL5LIB": "/nonexistent"},
        {"LC_ALL": "xx_XX.bogus"},
        {"PYTHONPATH": "/nonexistent", "PYTHONHOME": "/nonexistent", "PYTHONVERBOSE": "1"},
    ],
)
def test_client_ignores_an_agents_environment(
    daemon: Locations,
    hook_client: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
) -> None:
    """Perl's and Python's own variables change neither what is sent nor what is printed."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert fixtures.run_hook(hook_client, "“q”".encode(), "claude").stdout == GREETING
    with Client(daemon, start=False) as client:
        assert client.call("hooks")["hooks"] == [["claude", "“q”"]]


def _one_answer(locations: Locations, answer: bytes) -> threading.Thread:
    """Starts a daemon of one hook that gives this answer."""
    locations.runtime.mkdir(exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(locations.hook_socket))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with listener, connection:
            connection.recv(65536)
            if answer:
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "printed"),
    [
        (rb'{"ok":true,"print":"a\"b\\c\n\u001b\u00e9\/"}', b'a"b\\c\n\x1b\xc3\xa9/'),
        (b'{"ok":true,"print":"' + b"line\\n" * 50000 + b'"}', b"line\n" * 50000),
        (rb'{"ok":false,"error":"\"print\":\"no\""}', b""),
        (b'{"ok":true,"print":""}', b""),
        (b"garbage", b""),
    ],
)
def test_client_reads_json_strings(
    locations: Locations, hook_client: Path, answer: bytes, printed: bytes
) -> None:
    """Every escape of JSON is undone, and text in other fields is not taken for text to print."""
    thread = _one_answer(locations, answer + b"\n")
    done = fixtures.run_hook(hook_client, b"{}", "claude")
    thread.join()
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")


def test_client_survives_a_closed_standard_output(daemon: Locations, hook_client: Path) -> None:
    """An agent that does not read gets neither an error nor a message."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.Popen(
        [hook_client, "claude"], stdin=subprocess.PIPE, stdout=write_end, stderr=subprocess.PIPE
    )
    os.close(write_end)
    _, complaint = process.communicate(b"{}", timeout=60)
    assert (process.returncode, complaint) == (0, b"")


def test_client_without_daemon_runs_the_fallback(locations: Locations, hook_client: Path) -> None:
    """The fallback gets the same payload and the resolved places, isolated from the environment."""
    payload = b"\0payload \xff" * 20000
    done = fixtures.run_hook(hook_client, payload, "claude")
    fallback = hook_client.parent / "fallback"
    words = (fallback.parent / "fallback.args").read_text().split("\n")[:-1]
    where = ["--socket", str(locations.hook_socket), "--state", str(locations.state)]
    assert words == ["-E", "-P", "-m", "agentdiff", "hook", "claude", *where]
    assert (fallback.parent / "fallback.stdin").read_bytes() == payload
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_client_exits_0_however_the_fallback_ends(locations: Locations, hook_client: Path) -> None:
    """A Python without agentdiff fails, and reads nothing; what it prints is for the agent."""
    fallback = hook_client.parent / "fallback"
    fallback.write_text("#!/bin/sh\nexec 0<&-\necho told\nexit 1\n")
    done = fixtures.run_hook(hook_client, b"{}" * 500_000, "")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"told\n", b"")


def test_client_falls_back_when_the_daemon_dies(locations: Locations, hook_client: Path) -> None:
    """A connection that ends without an answer is no daemon."""
    thread = _one_answer(locations, b"")
    done = fixtures.run_hook(hook_client, b"{}", "claude")
    thread.join()
    assert (hook_client.parent / "fallback.stdin").read_bytes() == b"{}"
    assert done.returncode == 0


def test_client_falls_back_in_any_environment(
    locations: Locations, hook_client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The payload reaches the fallback unchanged although perl was told to recode it."""
    monkeypatch.setenv("PERL_UNICODE", "SDA")
    payload = "“\xff”".encode() + b"\xff"
    fixtures.run_hook(hook_client, payload, "claude")
    assert (hook_client.parent / "fallback.stdin").read_bytes() == payload


def test_client_without_anything_exits_0(locations: Locations, hook_client: Path) -> None:
    """Neither daemon nor Python: the agent notices nothing."""
    (hook_client.parent / "fallback").unlink()
    done = fixtures.run_hook(hook_client, b"{}", "claude")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_python_client_talks_to_the_daemon(daemon: Locations) -> None:
    """The fallback hands the payload on when a daemon answers."""
    done = _python_hook(daemon, b"{}")
    assert (done.returncode, done.stdout, done.stderr) == (0, GREETING, b"")


@pytest.mark.parametrize("words", [(), ("",)])
def test_python_client_needs_the_agents_name(words: tuple[str, ...]) -> None:
    """Without a name it says so; the agent whose hook that may be goes on all the same."""
    command = [sys.executable, "-m", "agentdiff", "hook", *words]
    done = subprocess.run(command, input=b"", capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"usage: agentdiff hook AGENT" in done.stderr


def _edit_of(path: Path) -> bytes:
    """Returns the payload of a Claude Code Edit."""
    payload = {
        "session_id": "s",
        "transcript_path": "/t",
        "cwd": str(path.parent),
        "prompt_id": "p",
        "permission_mode": "default",
        "hook_event_name": "PreToolUse",
        "tool_name": "Edit",
        "tool_input": {"file_path": str(path), "old_string": "a", "new_string": "b"},
        "tool_use_id": "toolu_1",
    }
    return json.dumps(payload).encode()


def _unstartable(locations: Locations) -> None:
    """Makes every start of a daemon fail at once: its runtime folder cannot exist."""
    locations.runtime.parent.mkdir(exist_ok=True)
    locations.runtime.write_bytes(b"in the way")


def test_without_any_daemon_the_hook_is_spooled(locations: Locations, tmp_path: Path) -> None:
    """The payload is kept together with what the named file holds now."""
    named = tmp_path / "named.txt"
    named.write_bytes(b"before\xff\r\n")
    named.chmod(0o640)
    _unstartable(locations)
    done = _python_hook(locations, _edit_of(named))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    [kept] = locations.spool.iterdir()
    agent, payload, _, images, _ = spool.parse(kept.read_bytes())
    assert (agent, payload) == ("claude", _edit_of(named))
    assert images == (PreImage(path=os.fsencode(named), data=b"before\xff\r\n", mode=0o640),)


def test_spooled_hooks_come_first(locations: Locations, hook_client: Path) -> None:
    """A daemon that starts hands on what was spooled, oldest first, before it answers anything."""
    for received_ns in (20, 3, 100):
        spool.write(locations.spool, "claude", b"%d" % received_ns, received_ns, [])
    fixtures.launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    fixtures.run_hook(hook_client, b"now", "claude")
    with Client(locations, start=False) as client:
        assert [payload for _, payload in client.call("hooks")["hooks"]] == [
            "3",
            "20",
            "100",
            "now",
        ]
    assert list(locations.spool.iterdir()) == []


def test_hook_spooled_while_a_daemon_runs_comes_before_the_next(
    daemon: Locations, hook_client: Path
) -> None:
    """A hook that was kept although a daemon came up is not left for the next start."""
    spool.write(daemon.spool, "claude", b"kept", 5, [])
    fixtures.run_hook(hook_client, b"now", "claude")
    with Client(daemon, start=False) as client:
        assert [payload for _, payload in client.call("hooks")["hooks"]] == ["kept", "now"]


@pytest.mark.parametrize("content", [b"junk", b"{}\n", b"", b"\xff\xfe"])
def test_bad_spool_file_is_moved_aside(locations: Locations, content: bytes) -> None:
    """A file that makes no sense is kept for a look, counted, and not tried again."""
    locations.spool.mkdir(parents=True)
    (locations.spool / "0000000000000000001-1.hook").write_bytes(content)
    fixtures.launch.ensure_running(locations, 20.0, argv=fixtures.argv(locations))
    assert len(_malformed(locations)) == 1
    assert (locations.spool / "bad" / "0000000000000000001-1.hook").read_bytes() == content


def _spool(folder: Path, replay: spool.Replay, *, digested: bool = True) -> spool.Spool:
    return spool.Spool(
        folder,
        replay,
        digested=lambda: digested,
        on_replayed=lambda: None,
        on_bad=lambda *_: None,
        logger=logging.getLogger("spool"),
    )


def test_a_clock_that_was_set_back_does_not_change_the_order(tmp_path: Path) -> None:
    """What came later is replayed later, whatever the clock said."""
    minute_ns = 60_000_000_000
    for number in (5, 6, 1, 2):
        spool.write(tmp_path, "claude", b"%d" % number, number * minute_ns, [])
    told: list[bytes] = []
    _spool(tmp_path, lambda *given: told.append(given[1]) or TAKEN).drain()
    assert told == [b"5", b"6", b"1", b"2"]


def test_a_spooled_hook_stays_until_it_is_in_the_log(tmp_path: Path) -> None:
    """A daemon that cannot write its log tells it once, and leaves it to the next one."""
    spool.write(tmp_path, "claude", b"kept", 5, [])
    told: list[bytes] = []
    for digested in (False, True):
        daemon = _spool(tmp_path, lambda *given: told.append(given[1]) or TAKEN, digested=digested)
        daemon.drain()
        daemon.drain()
    assert (told, list(tmp_path.iterdir())) == ([b"kept"] * 2, [])


def test_a_spooled_hook_survives_the_daemons_that_die_over_it_but_not_for_ever(
    tmp_path: Path,
) -> None:
    """Three daemons get their try, and in each of them nothing comes before it."""
    spool.write(tmp_path, "claude", b"deadly", 5, [])
    tries = []

    def die(*_: object) -> HookAnswer:
        tries.append(1)
        raise KeyboardInterrupt

    for _ in range(spool.MAX_TRIES):
        with pytest.raises(KeyboardInterrupt):
            _spool(tmp_path, die).drain()
    _spool(tmp_path, die).drain()
    left = [path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.hook")]
    assert (len(tries), left) == (spool.MAX_TRIES, ["bad"])


def test_a_spooled_hook_whose_workspace_cannot_be_used_waits(tmp_path: Path) -> None:
    """It is tried once by each daemon, and counted as waiting."""
    spool.write(tmp_path, "claude", b"kept", 5, [])
    tries = []

    def refuse(*_: object) -> HookAnswer:
        tries.append(1)
        raise OSError(13, "Permission denied")

    daemon = _spool(tmp_path, refuse)
    daemon.drain()
    daemon.drain()
    assert (len(tries), len(daemon.waiting())) == (1, 1)


def test_a_spooled_hook_that_cannot_be_read_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No descriptor left, for one: that says nothing about the hook, and is said once."""
    spool.write(tmp_path, "claude", b"kept", 5, [])
    told: list[bytes] = []
    daemon = _spool(tmp_path, lambda *given: told.append(given[1]) or TAKEN)
    with monkeypatch.context() as without:

        def refuse(path: Path) -> bytes:
            raise OSError(errno.EMFILE, "Too many open files", str(path))

        without.setattr(Path, "read_bytes", refuse)
        daemon.drain()
        daemon.drain()
    assert (told, len(daemon.waiting())) == ([], 1)
    daemon.drain()
    assert (told, daemon.waiting(), daemon.set_aside()) == ([b"kept"], [], 0)


@pytest.mark.parametrize(("kept", "told"), [("run-1", "run-1"), ("", None), (None, None)])
def test_a_spooled_hook_names_the_run_around_it(
    tmp_path: Path, kept: str | None, told: str | None
) -> None:
    """A file of an older version does not."""
    path = spool.write(tmp_path, "claude", b"{}", 5, [], kept or "")
    assert path is not None
    if kept is None:
        line, _, payload = path.read_bytes().partition(b"\n")
        header = json.loads(line)
        del header["within"]
        path.write_bytes(json.dumps(header).encode() + b"\n" + payload)
    given: list[tuple[object, ...]] = []
    _spool(tmp_path, lambda *hook: given.append(hook) or TAKEN).drain()
    assert given == [("claude", b"{}", 5, (), told)]


def test_two_hooks_of_one_moment_are_both_kept(tmp_path: Path) -> None:
    """As of two threads of one program, on a coarse clock."""
    kept = [spool.write(tmp_path, "run", payload, 5, []) for payload in (b"1", b"2")]
    assert [path.read_bytes()[-1:] for path in sorted(tmp_path.iterdir())] == [b"1", b"2"]
    assert len(set(kept)) == 2


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "nul"])
def test_no_preimage_of_what_is_not_a_file(tmp_path: Path, kind: str) -> None:
    """Links, FIFOs, folders and impossible names have no pre-image, and nothing blocks."""
    path = tmp_path / "it"
    if kind == "link":
        path.symlink_to("/etc/hostname")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    raw = b"\0" if kind == "nul" else os.fsencode(path)
    assert spool.read_preimage(raw) is None


def test_preimage_of_nothing_says_nothing(tmp_path: Path) -> None:
    """A file that a tool will create has a pre-image: it was absent."""
    path = os.fsencode(tmp_path / "missing" / "file")
    assert spool.read_preimage(path) == PreImage(path=path, data=None)


def test_spool_does_not_grow_without_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that nobody empties stops at its limit and keeps the oldest."""
    monkeypatch.setattr(spool, "MAX_FILES", 2)
    kept = [spool.write(tmp_path, "claude", b"", number, []) for number in (1, 2, 3)]
    assert [path is None for path in kept] == [False, False, True]


@pytest.mark.parametrize(("given", "told"), [("run-1.a_b", "run-1.a_b"), ('x"\n', "x__"), ("", "")])
def test_client_names_the_run_around_it(
    locations: Locations,
    hook_client: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: str,
    told: str,
) -> None:
    """Every client sends ``AGENTDIFF_SESSION``, so that commands of a trace find their call."""
    monkeypatch.setenv("AGENTDIFF_SESSION", given)
    locations.prepare()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(locations.hook_socket))
        listener.listen()
        client = threading.Thread(target=fixtures.run_hook, args=(hook_client, b"{}", "claude"))
        client.start()
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as incoming:
            header = json.loads(incoming.readline())
            assert incoming.read(2) == b"{}"
            connection.sendall(b'{"proto":1,"ok":true,"certain":true,"print":""}\n')
        client.join()
    assert (header["agent"], header["within"]) == ("claude", told)
