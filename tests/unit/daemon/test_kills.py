"""A short run of `tests.kills`; `make deep` has the long ones."""

from __future__ import annotations

import pytest

from tests.kills.run import Run
from tests.kills.user import User

EVENTS = 20
KILL_EVERY = 7
# Edits, a shell command, parallel calls, decisions, and two kills; nothing that takes long.
SEED = 6


@pytest.mark.timeout(600)  # a few seconds, with the patience of everything that waits inside
def test_nothing_is_lost_when_daemons_are_killed() -> None:
    """What the recorder knows is what pends, what remains, and what comes back."""
    user = User()
    try:
        outcome = Run(user, SEED, KILL_EVERY, None).play(EVENTS)
    finally:
        user.close()
    assert outcome.looks > 1
