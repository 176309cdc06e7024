"""What the ledger orders, performed on a real disk: every change, crashes, hostile trees."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentdiff.core.commands import Append, WriteEntry
from agentdiff.core.entries import ABSENT, ABSENT_REF, Directory, File, Link, Other
from agentdiff.core.events import DecisionRequested, Selection
from agentdiff.daemon import rescue
from agentdiff.daemon.desk import Desk
from agentdiff.daemon.ports import PreImage
from tests.unit.daemon.bench import Bench

BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"
NEW = b"1\ntwo\n3\n4\n5\n6\n7\n8\n"
# watchdog's own, harmless: a directory that appears within another new one is added twice.
pytestmark = pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine and a workspace with one file; Claude Code has been given a prompt."""
    found = Bench(tmp_path)
    (found.root / "f").write_bytes(BASE)
    found.prompt()
    found.call("status")
    yield found
    found.engine.close()
    assert found.engine.counters["bugs"] == 0


def desk_of(bench: Bench) -> Desk:
    """Returns the open workspace; the worker has nothing to do."""
    bench.call("status")
    return bench.engine.desk(bytes(bench.root.resolve()))


def look(path: Path) -> tuple[object, ...]:
    """Returns what is at a path, comparable."""
    if path.is_symlink():
        return ("link", os.readlink(path))
    if not path.exists():
        return ("absent",)
    if path.is_dir():
        return ("dir", sorted(p.name for p in path.iterdir()))
    return ("file", path.read_bytes(), path.stat().st_mode & 0o7777)


def clear(path: Path) -> None:
    """Removes whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def becomes(data: bytes, mode: int = 0o644) -> Callable[[Path], None]:
    """Returns what makes a path a file."""

    def act(path: Path) -> None:
        clear(path)
        path.write_bytes(data)
        path.chmod(mode)

    return act


def link_to(target: str) -> Callable[[Path], None]:
    """Returns what makes a path a symbolic link."""

    def act(path: Path) -> None:
        clear(path)
        path.symlink_to(target)

    return act


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(becomes(BASE), becomes(NEW), id="text"),
        pytest.param(clear, becomes(NEW), id="created"),
        pytest.param(becomes(BASE), clear, id="deleted"),
        pytest.param(clear, becomes(b""), id="created empty"),
        pytest.param(becomes(b""), clear, id="deleted empty"),
        pytest.param(becomes(BASE), becomes(b""), id="emptied"),
        pytest.param(becomes(b"\0a"), becomes(b"\0b"), id="binary"),
        pytest.param(becomes(BASE), becomes(BASE, 0o755), id="executable"),
        pytest.param(becomes(BASE), becomes(BASE, 0o600), id="private"),
        pytest.param(becomes(BASE), becomes(NEW, 0o755), id="mode and text"),
        pytest.param(becomes(BASE), link_to("elsewhere"), id="file became link"),
        pytest.param(link_to("elsewhere"), becomes(BASE), id="link became file"),
        pytest.param(link_to("a"), link_to("b"), id="link"),
        pytest.param(becomes(b"a\r\nb"), becomes(b"a\nb\n"), id="line ends"),
        pytest.param(becomes(b"\xff\xfe\x0c"), becomes(b"\xef\xbb\xbfx"), id="not UTF-8"),
    ],
)
def test_reject_and_undo_restore_everything_of_a_path(
    bench: Bench, before: Callable[[Path], None], after: Callable[[Path], None]
) -> None:
    """P3, P11 on disk: bytes, mode, type and existence."""
    path = bench.root / "p"
    before(path)
    bench.call("baseline.set")
    then = look(path)
    bench.shell(lambda: after(path))
    now = look(path)
    assert list(bench.status()) == ["p"]
    bench.decide("reject")
    assert (look(path), bench.status()) == (then, {})
    assert bench.call("undo")["refused"] == []
    assert (look(path), list(bench.status())) == (now, ["p"])


@pytest.mark.parametrize("restarted", [False, True])
def test_a_folder_that_comes_back_lets_nobody_else_in(bench: Bench, restarted: bool) -> None:
    """The agent removed it; a daemon that never saw it goes by the file that is in it."""
    place = bench.root / "sec"
    place.mkdir(mode=0o700)
    (place / "key").write_bytes(b"secret\n")
    (place / "key").chmod(0o600)
    (place / "readme").write_bytes(b"text\n")
    bench.call("baseline.set")
    bench.shell(lambda: shutil.rmtree(place))
    assert list(bench.status()) == ["sec/key", "sec/readme"]
    if restarted:
        bench.restart()
    bench.decide("reject")
    assert (place / "readme").read_bytes() == b"text\n"
    assert place.stat().st_mode & 0o7777 == 0o700


def test_the_bits_of_folders_that_are_gone_are_kept_for_a_while(bench: Bench) -> None:
    """Not for ever: tests make and remove thousands."""
    table = desk_of(bench).tracker.table
    table.folders |= {b"gone%d" % n: 0o700 for n in range(9_999)} | {b"there": 0o755}
    table.keep_folders({b"", b"there"})
    assert table.folders[b"gone1"] == 0o700
    table.folders |= {b"gone%d" % n: 0o700 for n in range(10_002)}
    table.keep_folders({b"", b"there"})
    assert table.folders.keys() == {b"", b"there"}


# --- hostile trees -------------------------------------------------------------------------------


def test_a_reject_never_follows_a_link_out_of_the_workspace(bench: Bench, tmp_path: Path) -> None:
    """The folder became a link after the write was seen: what it points to is not touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "new").write_bytes(b"x\n")
    bench.write("d/new", b"x\n")
    hunk = bench.status()["d/new"]["hunks"][0]["id"]
    shutil.rmtree(bench.root / "d")
    (bench.root / "d").symlink_to(outside)
    bench.decide("reject", hunks=[{"id": hunk}])
    assert (outside / "new").read_bytes() == b"x\n"


def in_the_place_of_f(bench: Bench) -> None:
    """Puts a folder with a file of somebody's where the agent had changed a file."""
    bench.write("f", NEW)
    (bench.root / "f").unlink()
    (bench.root / "f").mkdir()
    (bench.root / "f" / "precious").write_bytes(b"x\n")


def test_a_folder_in_the_place_of_a_file_is_not_emptied(bench: Bench) -> None:
    """What is in it is no agent's: a reject of everything of agents cannot take its place."""
    in_the_place_of_f(bench)
    answer = bench.decide("reject", hunks=[{"id": bench.status()["f"]["hunks"][0]["id"]}])
    assert (bench.tree(), answer["written"]) == ({"f/precious": b"x\n"}, [])
    assert [refused["path"] for refused in answer["refused"]] == ["f"]


def test_a_folder_that_is_rejected_by_name_comes_back_by_undo(bench: Bench) -> None:
    """Named, everything below it is decided too; nothing is lost."""
    in_the_place_of_f(bench)
    bench.decide("reject", paths=["f"])
    assert bench.tree() == {"f": BASE}
    assert bench.call("undo")["refused"] == []
    assert bench.tree() == {"f/precious": b"x\n"}


def test_a_hard_link_is_written_in_place_and_said(bench: Bench, tmp_path: Path) -> None:
    """Exchange would part the two names; the weaker guarantee is in the answer."""
    other = bench.root / "same"
    os.link(bench.root / "f", other)
    bench.call("baseline.set")
    bench.write("f", NEW)
    answer = bench.decide("reject", paths=["f"])
    assert answer["weak"] == ["f"]
    assert (other.read_bytes(), (bench.root / "f").stat().st_nlink) == (BASE, 2)


def test_a_file_that_cannot_be_written_is_refused_with_the_reason(bench: Bench) -> None:
    """The path stays pending, the others are done."""
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    bench.write("d/new", b"x\n")
    bench.write("f", NEW, call="toolu_2")
    (bench.root / "d").chmod(0o500)
    answer = bench.decide("reject")
    (bench.root / "d").chmod(0o700)
    assert [refused["path"] for refused in answer["refused"]] == ["d/new"]
    assert list(bench.status()) == ["d/new"]


# --- crashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [True, False])
def test_a_crash_within_a_reject_is_cleared_up(bench: Bench, written: bool) -> None:
    """The disk shows how far it came: done and undoable, or pending as before."""
    bench.write("f", NEW)
    desk = desk_of(bench)
    request = DecisionRequested(
        op="reject", selection=Selection(everything=True), client="cli", received_ns=1
    )
    for command in desk.ledger.handle(request):
        if isinstance(command, Append):
            desk.perform([command])
        elif isinstance(command, WriteEntry) and written:
            (bench.root / "f").write_bytes(BASE)
    bench.restart()
    assert list(bench.status()) == ([] if written else ["f"])
    assert bench.tree() == {"f": BASE if written else NEW}
    bench.call("undo")
    assert bench.tree() == {"f": NEW}


# A write that a crash ends when the names are exchanged; somebody else writes just before.
_KILLED = """
import os, signal, sys
from agentdiff.core.entries import File
from agentdiff.workspace import exchange, files
root, mode, before, race, after = sys.argv[1].encode(), int(sys.argv[2]), *sys.argv[3:]
swap = exchange.exchange
def killed(fd, temp, name):
    if race:
        with open(os.path.join(root, name), "wb") as file:
            file.write(race.encode())
    swap(fd, temp, name)
    os.kill(os.getpid(), signal.SIGKILL)
exchange.exchange = killed
files.write_entry(
    files.Root(root),
    b"f",
    expect=File(data=before.encode(), mode=mode),
    write=File(data=after.encode(), mode=mode),
)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="names are exchanged in one step")
@pytest.mark.parametrize("race", [b"", b"somebody else's\n"], ids=["alone", "with another"])
def test_a_crash_within_a_write_leaves_nothing_behind(bench: Bench, race: bytes) -> None:
    """The temporary name goes, and what only it held is in the store."""
    bench.write("f", NEW)
    desk = desk_of(bench)
    request = DecisionRequested(
        op="reject", selection=Selection(everything=True), client="cli", received_ns=1
    )
    desk.perform(c for c in desk.ledger.handle(request) if isinstance(c, Append))
    bench.engine.close()
    mode = (bench.root / "f").stat().st_mode & 0o7777
    words = [str(bench.root), str(mode), NEW.decode(), race.decode(), BASE.decode()]
    killed = subprocess.run([sys.executable, "-c", _KILLED, *words], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert sorted(bench.tree().values()) == sorted([BASE, race or NEW])
    bench.start()
    assert list(bench.status()) == []
    assert bench.tree() == {"f": BASE}
    kept = File(data=race or NEW, mode=mode)
    assert desk_of(bench).recall.load(kept.ref()) == kept


def test_what_a_crash_left_and_nobody_can_keep_stays(bench: Bench) -> None:
    """A folder that is not empty, and a file that is longer than what is kept."""
    desk = desk_of(bench)
    (bench.root / ".agentdiff-1.tmp").mkdir()
    (bench.root / ".agentdiff-1.tmp" / "precious").write_bytes(b"1\n")
    (bench.root / ".agentdiff-2.tmp").write_bytes(b"12345")
    (bench.root / ".agentdiff-3.tmp").symlink_to("elsewhere")
    rescue.clear_up(desk.recall, logging.getLogger(), desk.held, [b"f", b"gone/g"], 4)
    left = {path.name for path in bench.root.iterdir()}
    assert left == {"f", ".agentdiff-1.tmp", ".agentdiff-2.tmp"}
    assert desk.recall.load(Link(target=b"elsewhere").ref()) == Link(target=b"elsewhere")


# --- contents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "entry",
    [
        ABSENT,
        Directory(mode=0o700),
        Other(kind="fifo", stamp="1"),
        File(data=b"\xff\0", mode=0o600),
        Link(target=b"\xff"),
    ],
)
def test_a_ref_brings_its_entry_back(bench: Bench, entry: File | Link | Directory | Other) -> None:
    """Contents come from the blob store."""
    desk = desk_of(bench)
    if isinstance(entry, File | Link):
        desk.blobs.put(entry.data if isinstance(entry, File) else entry.target)
    assert desk.recall.load(entry.ref()) == entry


def test_content_that_is_gone_says_so(bench: Bench) -> None:
    """It is not taken for absent: a reject would delete a file for it."""
    found = desk_of(bench).recall.load(File(data=b"never stored").ref())
    assert found == Other(kind=found.kind, stamp=File(data=b"never stored").oid)  # type: ignore[union-attr]
    assert found.ref() != ABSENT_REF


def test_the_base_of_a_clean_path_is_what_is_there(bench: Bench) -> None:
    """Also where nothing is."""
    desk = desk_of(bench)
    assert desk.base_of(b"f") == File(data=BASE, mode=(bench.root / "f").stat().st_mode & 0o7777)
    assert desk.base_of(b"nothing/here") == ABSENT


@pytest.mark.parametrize("path", [b"/etc/passwd", b"../outside", b"", b"a\0b"])
def test_a_pre_image_outside_the_workspace_is_ignored(bench: Bench, path: bytes) -> None:
    """A spooled payload is as little to be trusted as any."""
    desk = desk_of(bench)
    desk.seed(PreImage(path=path, data=b"x"))
    assert desk.ledger.paths == {}
