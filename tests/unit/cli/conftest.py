"""The fixtures that daemon, source and command line tests share."""

from tests.unit.cli.shell import pending, shell
from tests.unit.daemon.fixtures import daemon, hook_client, locations

__all__ = ["daemon", "hook_client", "locations", "pending", "shell"]
