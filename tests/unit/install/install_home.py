"""A home folder to install into."""

import os
from pathlib import Path

from agentdiff.install import registry
from agentdiff.install.registry import Result
from agentdiff.locations import Locations


class Home:
    """A home folder with nothing in it but what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
        self.settings = folder / ".claude" / "settings.json"
        self.locations = Locations.from_env(self.environ)

    def write(self, data: bytes) -> None:
        """Makes the user's settings."""
        self.settings.parent.mkdir(exist_ok=True)
        self.settings.write_bytes(data)

    def install(self, scope: str = "user", *, dry_run: bool = False) -> Result:
        """Installs for a scope; the workspace is the folder ``ws``."""
        return registry.install(
            "claude", scope, self.folder / "ws", self.locations, self.environ, dry_run
        )

    def uninstall(self, scope: str = "user", *, dry_run: bool = False) -> Result:
        """Takes the installation for a scope back."""
        return registry.uninstall(
            "claude", scope, self.folder / "ws", self.locations, self.environ, dry_run
        )

    def status(self) -> registry.InstalledState:
        """Returns what ``doctor`` would say of Claude Code."""
        (state,) = registry.status(self.folder / "ws", self.locations, self.environ)
        return state

    def tree(self) -> set[str]:
        """Returns every path in the home folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
