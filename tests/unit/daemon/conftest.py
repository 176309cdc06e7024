"""The fixtures that daemon, source and command line tests share."""

from tests.unit.daemon.fixtures import daemon, hook_client, locations

__all__ = ["daemon", "hook_client", "locations"]
