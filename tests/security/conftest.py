"""A user with a daemon of their own, a workspace, and a secret beside it."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.security.victim import Victim


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These start processes, of which a slow machine may need many minutes for a handful."""
    for item in items:
        if item.path.parent.name == "security":
            item.add_marker(pytest.mark.timeout(400))


@pytest.fixture(scope="session")
def victim() -> Iterator[Victim]:
    """The user whom everybody attacks; one daemon for all tests of a process."""
    folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))  # short, for sockets
    user = Victim(folder)
    try:
        user.start()
        yield user
    finally:
        user.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workspace(victim: Victim, tmp_path: Path) -> Path:
    """A git work tree with one commit, in which the agent has just begun to work."""
    return victim.workspace(tmp_path / "work")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder beside the workspace that nothing may touch; checked at the end of the test."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a.txt").write_text("one\ntwo\n")
    (folder / "secret.txt").write_text("outside-secret-8d1f\n")
    before = _look(folder)
    yield folder
    assert _look(folder) == before


def _look(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    found: dict[str, tuple[int, int, bytes]] = {}
    for one in (folder, *sorted(folder.rglob("*"))):
        status = one.lstat()
        content = one.read_bytes() if one.is_file() else b""
        found[str(one)] = (status.st_mode, status.st_ino, content)
    return found


@pytest.fixture
def as_nobody() -> Callable[[Callable[[], str]], str]:
    """Runs a function as another local user, in a process of its own, and returns what it says."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")

    def run(act: Callable[[], str]) -> str:
        read_end, write_end = os.pipe()
        with (
            warnings.catch_warnings()
        ):  # newer Pythons warn where there are threads, as under xdist
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            try:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                os.write(write_end, act().encode())
            except BaseException as error:  # noqa: BLE001 - the parent shall see it
                os.write(write_end, repr(error).encode())
            os._exit(0)
        os.close(write_end)
        with open(read_end, "rb") as said:
            text = said.read().decode()
        os.waitpid(child, 0)
        return text

    return run
