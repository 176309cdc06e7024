"""The user's rules: commands that are refused, or shown and not run.

Owns matching.  There is no rule unless the user wrote one.  Pure.
"""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Action: TypeAlias = Literal["deny", "dry-run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of ``[trace]``.

    Attributes:
        command: shell pattern (``*``, ``?``, ``[…]``) for the whole command line, such as
            ``git push*``; case counts.
        action: ``deny`` refuses it with exit code 126, ``dry-run`` only shows it and succeeds.
    """

    command: str
    action: Action


def first_match(rules: Sequence[Rule], tool: str, arguments: Sequence[str]) -> Rule | None:
    """Returns the first rule that a command falls under, None for the usual case."""
    line = shlex.join([tool, *arguments])
    plain = " ".join([tool, *arguments])
    for rule in rules:
        if any(fnmatch.fnmatchcase(text, rule.command) for text in (line, plain)):
            return rule
    return None
