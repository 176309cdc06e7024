"""What a command line may change, in the words of an event.

Owns the step from `agentdiff.targets.shell` to `agentdiff.core.agent_events.Reach`.  Must not
resolve or trust a path.  Hop 2, called by `agentdiff.agents`.
"""

from __future__ import annotations

from agentdiff.core.agent_events import Reach
from agentdiff.targets.shell import analyse


def reach_of(command: bytes | None, cwd: bytes | None, *, guessed: bool = False) -> Reach | None:
    """Returns what a command line may change, None for a tool that has none.

    Args:
        command: the exact text that a shell gets.
        cwd: absolute folder where the shell starts, None when the payload does not tell.
        guessed: whether the shell may as well start elsewhere: then paths that are relative to
            `cwd` are likely, and the answer is complete only if there are none.
    """
    if command is None:
        return None
    said = analyse(command, cwd)
    sure = analyse(command, None) if guessed else said
    return Reach(
        paths=tuple(dict.fromkeys(each.path for each in said.effects if not each.deep)),
        below=tuple(dict.fromkeys(each.path for each in said.effects if each.deep)),
        complete=not sure.unknown,
    )
