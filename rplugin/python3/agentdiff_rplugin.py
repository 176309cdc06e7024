"""The remote plugin: the endpoint of ``lua/agentdiff/rpc.lua``, nothing else (hop 7).

Not named ``agentdiff.py``: pynvim would import the installed package of that name instead, and
register nothing, without an error.  At import time only the standard library and pynvim are needed,
so that a broken installation is reported by ``:checkhealth agentdiff`` and not as a traceback.
"""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pynvim

SOURCES = str(Path(__file__).resolve().parents[2] / "src")
NEEDED = ("orjson", "agentdiff.wire", "agentdiff.nvim.editor")


@pynvim.plugin
class AgentDiff:
    """Two functions: one that answers, one that takes messages."""

    def __init__(self, nvim: pynvim.Nvim) -> None:
        self._nvim = nvim
        self._session: Any = None

    @pynvim.function("AgentDiffPing", sync=True)
    def ping(self, _: list[Any]) -> dict[str, Any]:
        """Answers who runs here, and what could not be imported."""
        return {
            "python": sys.executable,
            "version": platform.python_version(),
            "pynvim": str(pynvim.__version__),
            "problem": self._problem(),
        }

    @pynvim.function("AgentDiffSend", sync=False)
    def send(self, args: list[Any]) -> None:
        """Passes a message of Lua, ``[kind, payload]``, to the session; the first starts it."""
        kind, payload = args
        if self._session is None:
            problem = self._problem()
            if problem:
                message = {"message": problem, "id": payload.get("id")}
                self._nvim.exec_lua(
                    "require('agentdiff.rpc').deliver(...)", [("broken", message)], async_=True
                )
                return
            self._session = import_module("agentdiff.nvim.editor").start(self._nvim)
        self._session.receive(kind, payload)

    @pynvim.shutdown_hook
    def shutdown(self) -> None:
        """Ends the session's thread."""
        if self._session is not None:
            self._session.stop()

    def _problem(self) -> str:
        """Returns why the package cannot be imported, empty when it can."""
        if SOURCES not in sys.path:
            sys.path.insert(0, SOURCES)
        for name in NEEDED:
            try:
                import_module(name)
            except ImportError as error:
                return f"{error} (in {sys.executable}): run `make install` in the plugin's folder"
        return ""
