"""A home folder to install into."""

from pathlib import Path

from agentdiff.install import registry, status
from agentdiff.install.part import Site
from agentdiff.install.registry import Result
from agentdiff.locations import Locations

SETTINGS = {
    "claude": ".claude/settings.json",
    "codex": ".codex/hooks.json",
    "opencode": ".config/opencode/plugins/agentdiff.js",
    "copilot": ".copilot/hooks/agentdiff.json",
    "gemini": ".gemini/settings.json",
    "qwen": ".qwen/settings.json",
}
"""The file with the hooks in the user's home, by agent."""


class Home:
    """A home folder with nothing in it but what a test puts there."""

    def __init__(self, folder: Path, agent: str = "claude") -> None:
        self.folder = folder
        self.agent = agent
        # Without the agents that this machine may have, and without its compiler, which takes a
        # second for each hook client.
        self.environ = {"HOME": str(folder), "PATH": "/nonexistent"}
        self.settings = folder / SETTINGS[agent]
        self.locations = Locations.from_env(self.environ)

    def write(self, data: bytes) -> None:
        """Makes the user's settings."""
        self.settings.parent.mkdir(parents=True, exist_ok=True)
        self.settings.write_bytes(data)

    def install(self, scope: str = "user", *, dry_run: bool = False) -> Result:
        """Installs for a scope; the workspace is the folder ``ws``."""
        return registry.install(
            self.agent, scope, self.folder / "ws", self.locations, self.environ, dry_run
        )

    def uninstall(self, scope: str = "user", *, dry_run: bool = False) -> Result:
        """Takes the installation for a scope back."""
        return registry.uninstall(
            self.agent, scope, self.folder / "ws", self.locations, self.environ, dry_run
        )

    def status(self) -> status.InstalledState:
        """Returns what ``doctor`` would say of the agent."""
        states = status.status(self.folder / "ws", self.locations, self.environ)
        (state,) = (state for state in states if state.agent == self.agent)
        return state

    def site(self, scope: str = "user") -> Site:
        """Returns what an installation for a scope may name."""
        return Site(
            scope=scope,
            workspace=self.folder / "ws",
            locations=self.locations,
            environ=self.environ,
        )

    def tree(self) -> set[str]:
        """Returns every path in the home folder."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}
