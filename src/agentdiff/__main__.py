"""``python -m agentdiff``: the command line, with a short way for hooks.

A hook must not pay for parsers and formatters, so the one word is looked at before anything is
imported.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Runs the command line; returns its exit code."""
    if sys.argv[1:2] == ["hook"]:
        from agentdiff.cli.hook import main as hook

        return hook(sys.argv[2:])
    from agentdiff.cli.main import main as command_line

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
