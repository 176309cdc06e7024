"""Where agentdiff keeps things: resolved once from the environment, then passed around as a value.

Owns the XDG rules and every file name under them.  Must not create anything except in `prepare`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """The four folders of one user.

    Attributes:
        state: logs, blobs, token, spool; survives restarts.
        runtime: sockets; may vanish at logout.
        config: ``config.toml``.
        data: the installed hook client; outside checkout and virtual environment.
    """

    state: Path
    runtime: Path
    config: Path
    data: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Locations:
        """Resolves the folders by the XDG rules.

        Args:
            environ: usually ``os.environ``; needs ``HOME`` unless every XDG variable is set.

        Raises:
            KeyError: neither ``HOME`` nor the XDG variable that replaces it is set.
        """

        def xdg(name: str, fallback: str) -> Path:
            value = environ.get(name, "")
            # The XDG rules say that relative values are invalid and must be ignored.
            base = Path(value) if value.startswith("/") else Path(environ["HOME"]) / fallback
            return base / "agentdiff"

        runtime = environ.get("XDG_RUNTIME_DIR", "")
        return cls(
            state=xdg("XDG_STATE_HOME", ".local/state"),
            runtime=Path(runtime) / "agentdiff"
            if runtime.startswith("/")
            else xdg("XDG_CACHE_HOME", ".cache") / "run",
            config=xdg("XDG_CONFIG_HOME", ".config"),
            data=xdg("XDG_DATA_HOME", ".local/share"),
        )

    @property
    def hook_socket(self) -> Path:
        """Socket that hook clients talk to (a thread of its own answers)."""
        return self.runtime / "hook.sock"

    @property
    def rpc_socket(self) -> Path:
        """Socket that command line and Neovim talk to."""
        return self.runtime / "rpc.sock"

    @property
    def lock_file(self) -> Path:
        """Locked with flock by the one running daemon; holds its pid."""
        return self.state / "daemon.lock"

    @property
    def token_file(self) -> Path:
        """Secret for the OTLP listener, mode 0600."""
        return self.state / "token"

    @property
    def log_file(self) -> Path:
        """The daemon's structured log (JSON Lines, rotated)."""
        return self.state / "daemon.log"

    @property
    def spool(self) -> Path:
        """Payloads that no daemon could take."""
        return self.state / "spool"

    @property
    def journal(self) -> Path:
        """Tool calls that were answered and are not in a log yet."""
        return self.state / "calls.journal"

    @property
    def workspaces(self) -> Path:
        """One folder per workspace."""
        return self.state / "workspaces"

    def workspace_folder(self, root: bytes) -> Path:
        """Returns the folder of a workspace; its name is made from the root's exact bytes."""
        return self.workspaces / hashlib.sha256(root).hexdigest()[:16]

    @property
    def hook_client(self) -> Path:
        """The installed hook command: stable across upgrades."""
        return self.data / "bin" / "agentdiff-hook"

    @property
    def launcher(self) -> Path:
        """The compiled launcher of the command trace, kept from one run to the next."""
        return self.data / "launcher"

    @property
    def trace(self) -> Path:
        """The command trace: its log, and the file ``off`` while it is switched off."""
        return self.state / "trace"

    @property
    def launchers(self) -> Path:
        """One folder of launchers for each traced run, as long as it lasts."""
        return self.data / "launchers"

    @property
    def config_file(self) -> Path:
        """The daemon's settings."""
        return self.config / "config.toml"

    def prepare(self) -> None:
        """Creates the folders of state, workspaces and sockets, private to the user (0700).

        Raises:
            PermissionError: a folder exists and belongs to somebody else.
            OSError: it cannot be made.
        """
        for folder in (self.state, self.runtime, self.workspaces):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = folder.stat().st_uid
            if owner != os.getuid():
                raise PermissionError(f"{folder} belongs to uid {owner}, not to you: remove it")
            folder.chmod(0o700)
