"""A Neovim with a screen for the rows that measure drawing.

Owns its process, the connection, and a user interface that takes what is drawn and drops it:
without one nothing is drawn at all.  Must not measure.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgpack
import pynvim

from tests.bench.harness import Skipped

CHECKOUT = Path(__file__).resolve().parents[2]
COLUMNS, LINES = 160, 50
_START_S = 20.0


def binary() -> str:
    """Returns the Neovim to measure: ``NVIM_BIN``, else the fetched one, else the one on PATH.

    Raises:
        Skipped: there is none.
    """
    fetched = CHECKOUT / ".cache/nvim/0.12/nvim"
    found = os.environ.get("NVIM_BIN") or (str(fetched) if fetched.exists() else "")
    found = found or shutil.which("nvim") or ""
    if not found:
        raise Skipped("no Neovim")
    return found


def plugins(*names: str) -> Path:
    """Returns the first of these folders of ``PLUGINS_DIR``.

    Raises:
        Skipped: no such folder.
    """
    folder = os.environ.get("PLUGINS_DIR")
    if not folder:
        raise Skipped("no PLUGINS_DIR")
    for name in names:
        if Path(folder, name).is_dir():
            return Path(folder, name)
    raise Skipped(f"no {' or '.join(names)} in PLUGINS_DIR")


class Neovim:
    """Use as a context manager; leaving ends it."""

    def __init__(self, cwd: Path, *rtp: Path, config: str = "") -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="ad-", dir="/tmp"))
        path = str(self._folder / "nvim")
        argv = [binary(), "--clean", "-i", "NONE", "-n", "--headless", "--listen", path]
        for folder in (CHECKOUT, *rtp):
            argv += ["--cmd", f"set rtp^={folder}"]
        if config:
            argv += ["--cmd", config]
        self._process = subprocess.Popen(
            argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._nvim = self._attached(path)
        self._screen = socket.socket(socket.AF_UNIX)
        self._screen.connect(path)
        options = {"ext_linegrid": True, "rgb": True}
        attach = [0, 1, "nvim_ui_attach", [COLUMNS, LINES, options]]
        self._screen.sendall(msgpack.packb(attach))
        threading.Thread(target=self._drop, daemon=True).start()
        self.wait("#vim.api.nvim_list_uis() > 0")

    @staticmethod
    def _attached(path: str) -> pynvim.Nvim:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            with suppress(OSError):
                return pynvim.attach("socket", path=path)
            time.sleep(0.01)
        raise TimeoutError(f"Neovim did not listen on {path}")

    def _drop(self) -> None:
        with suppress(OSError):
            while self._screen.recv(1 << 16):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError, EOFError):
            self._nvim.command("qall!", async_=True)
        self._nvim.close()
        self._screen.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def lua(self, code: str, *args: Any) -> Any:
        """Runs Lua and returns its value."""
        return self._nvim.exec_lua(code, *args)

    def wait(self, expression: str) -> None:
        """Lets Neovim work until a Lua expression is true.

        Raises:
            TimeoutError: it did not become true.
        """
        deadline = time.monotonic() + _START_S
        while not self.lua("return " + expression):
            if time.monotonic() > deadline:
                said = self._nvim.api.exec2("messages", {"output": True})["output"]
                raise TimeoutError(f"waited for {expression}; Neovim says: {said}")
            time.sleep(0.005)
