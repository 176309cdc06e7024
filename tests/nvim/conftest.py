"""A real Neovim per test, alone in its own folders.

``NVIM_BIN`` chooses the Neovim: one per run, so that the suite is run once per supported version.
A daemon takes longest to start, so tests share one, each in a workspace of its own; a test that
asks for ``home`` has folders and daemon for itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pynvim
import pytest
from nvim_driver import CHECKOUT, DEADLINE_S, Editor, wait_for
from scripted_agent import Agent

from agentdiff.daemon.launch import ensure_running
from agentdiff.daemon.lifecycle import holder
from agentdiff.locations import Locations

NVIM = os.environ.get("NVIM_BIN") or str(CHECKOUT / ".cache/nvim/0.12/nvim")


def make_home(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of a user who has nothing; a short one for sockets; no daemon is left behind."""
    folder.mkdir()
    runtime = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    enter_home(folder, runtime, patch)
    yield folder
    stop_daemon(folder / "state" / "agentdiff" / "daemon.lock")
    shutil.rmtree(runtime, ignore_errors=True)


def enter_home(folder: Path, runtime: Path, patch: pytest.MonkeyPatch) -> None:
    """Sets the environment of that user."""
    for name in ("STATE", "CONFIG", "DATA", "CACHE"):
        patch.setenv(f"XDG_{name}_HOME", str(folder / name.lower()))
    patch.setenv("XDG_RUNTIME_DIR", str(runtime))
    patch.setenv("HOME", str(folder))
    patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("NVIM", "NVIM_LISTEN_ADDRESS", "VIMRUNTIME", "PYTHONPATH"):
        patch.delenv(name, raising=False)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user of this test's own."""
    yield from make_home(tmp_path / "home", monkeypatch)


@pytest.fixture(scope="session")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """The user whose daemon most tests share: home, and runtime folder."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in make_home(tmp_path_factory.mktemp("user") / "home", patch):
            yield folder, Path(os.environ["XDG_RUNTIME_DIR"])


@pytest.fixture
def user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folders of the test's user: its own when it asks for ``home``."""
    if "home" in request.fixturenames:
        return Path(request.getfixturevalue("home"))
    folder, runtime = request.getfixturevalue("shared_home")
    enter_home(folder, runtime, monkeypatch)
    return Path(folder)


def stop_daemon(lock: Path) -> None:
    """Ends the daemon that holds the lock file, and waits until it has let go of it."""
    # Not until its process is gone: init may take a second to reap an orphan.
    daemon = holder(lock)
    if daemon is not None:
        os.kill(daemon.pid, signal.SIGTERM)
        wait_for(lambda: holder(lock) != daemon, "the daemon's end")


def attach(socket: str) -> pynvim.Nvim | None:
    """Connects to a Neovim, None while it does not listen yet."""
    try:
        return pynvim.attach("socket", path=socket)
    except OSError:
        return None


@pytest.fixture
def spawn(user: Path, tmp_path: Path) -> Iterator[Callable[..., Editor]]:
    """Starts Neovims; all of them are gone afterwards."""
    started: list[tuple[subprocess.Popen[bytes], Editor]] = []
    sockets = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))

    def start(
        *arguments: str, cwd: Path | None = None, config: str = "", clean: bool = True
    ) -> Editor:
        socket = f"{sockets}/nvim{len(started)}"
        argv = [NVIM, *["--clean"] * clean, "-i", "NONE", "-n", "--headless", "--listen", socket]
        argv += ["--cmd", f"set rtp^={CHECKOUT} noswapfile lines=40 columns=100"]
        if config:
            argv += ["--cmd", config]
        process = subprocess.Popen(
            [*argv, *arguments],
            cwd=cwd or tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        editor = Editor(wait_for(lambda: attach(socket), "Neovim's socket"))
        started.append((process, editor))
        return editor

    yield start
    wrong = []
    for process, editor in started:
        with contextlib.suppress(OSError, EOFError):
            wrong.append(editor.messages())
            editor.nvim.command("qall!", async_=True)
        editor.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(sockets, ignore_errors=True)
    # The daemon closes a workspace whose folder is gone: there are not 300 inotify instances.
    shutil.rmtree(tmp_path / "work", ignore_errors=True)
    # Whatever a test is about, nothing of ours may have failed beside it.
    assert not [said for said in wrong if "stack traceback" in said or "Async request" in said]


@pytest.fixture
def editor(spawn: Callable[..., Editor]) -> Editor:
    """A Neovim with the plugin that attaches to nothing by itself."""
    return spawn(config="let g:agentdiff = #{auto_attach: v:false}")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A git work tree with one commit."""
    root = tmp_path / "work"
    root.mkdir()
    (root / "a.txt").write_text("".join(f"line {n}\n" for n in range(1, 21)))
    (root / "b.txt").write_text("one\ntwo\nthree\n")
    for arguments in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "start"],
    ):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


@pytest.fixture
def agent(user: Path, workspace: Path) -> Agent:
    """A session of an agent in the workspace."""
    ensure_running(Locations.from_env(os.environ), DEADLINE_S)
    return Agent(workspace)


@pytest.fixture
def reviewer(spawn: Callable[..., Editor], agent: Agent, workspace: Path) -> Editor:
    """A Neovim in the workspace that shows ``a.txt``, attached."""
    editor = spawn("a.txt", cwd=workspace)
    editor.wait("vim.b.agentdiff_workspace", "the buffer is watched")
    return editor
