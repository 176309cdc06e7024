"""A real Neovim per test, alone in its own folders.

``NVIM_BIN`` chooses the Neovim: one per run, so that the suite is run once per supported version.
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
from nvim_driver import CHECKOUT, Editor, wait_for
from scripted_agent import Agent

from agentdiff.daemon.launch import ensure_running
from agentdiff.daemon.lifecycle import holder
from agentdiff.locations import Locations

NVIM = os.environ.get("NVIM_BIN") or str(CHECKOUT / ".cache/nvim/0.12/nvim")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Folders of a user who has nothing; a short one for sockets; no daemon is left behind."""
    home = tmp_path / "home"
    home.mkdir()
    runtime = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
    for name in ("STATE", "CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    for name in ("NVIM", "NVIM_LISTEN_ADDRESS", "VIMRUNTIME", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    yield home
    stop_daemon(home / "state" / "agentdiff" / "daemon.lock")
    shutil.rmtree(runtime, ignore_errors=True)


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
def spawn(home: Path) -> Iterator[Callable[..., Editor]]:
    """Starts Neovims; all of them are gone afterwards."""
    started: list[tuple[subprocess.Popen[bytes], Editor]] = []
    runtime = os.environ["XDG_RUNTIME_DIR"]

    def start(
        *arguments: str, cwd: Path | None = None, config: str = "", clean: bool = True
    ) -> Editor:
        socket = f"{runtime}/nvim{len(started)}"
        argv = [NVIM, *["--clean"] * clean, "-i", "NONE", "-n", "--headless", "--listen", socket]
        argv += ["--cmd", f"set rtp^={CHECKOUT} noswapfile lines=40 columns=100"]
        if config:
            argv += ["--cmd", config]
        process = subprocess.Popen(
            [*argv, *arguments],
            cwd=cwd or home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        editor = Editor(wait_for(lambda: attach(socket), "Neovim's socket"))
        started.append((process, editor))
        return editor

    yield start
    for process, editor in started:
        with contextlib.suppress(OSError):
            editor.nvim.command("qall!", async_=True)
        editor.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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
def agent(home: Path, workspace: Path) -> Agent:
    """A session of an agent in the workspace, on a daemon of its own."""
    ensure_running(Locations.from_env(os.environ))
    return Agent(workspace)


@pytest.fixture
def reviewer(spawn: Callable[..., Editor], agent: Agent, workspace: Path) -> Editor:
    """A Neovim in the workspace that shows ``a.txt``, attached."""
    editor = spawn("a.txt", cwd=workspace)
    editor.wait("vim.b.agentdiff_workspace", "the buffer is watched")
    return editor
