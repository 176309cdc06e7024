"""What the user decided and said reaches the real agent's model once, at its next prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.agent_claude import ClaudeCode
from e2e.case import TEN, played
from e2e.driver import step
from e2e.model_server import ModelServer, Scenario, Step
from e2e.rig import Rig, Turn

REASON = 'say "line 2", as the specification does'
COMMENT = "why is this line gone?"


def _asked(rig: Rig, resume: Turn | None) -> str:
    """Plays a turn without tools; returns what the model was asked."""
    scenario = Scenario(
        steps=(Step(text="understood"),), start=0 if resume is None else resume.scenario.end
    )
    with rig.run(scenario, resume=None if resume is None else resume.session) as run:
        pass
    return _bodies(run.model)


def _bodies(model: ModelServer) -> str:
    return "\n".join(asked.body for asked in model.asked if asked.track != "helper")


@pytest.mark.smoke
def test_claude_reads_reason_and_comment_once(claude: ClaudeCode) -> None:
    """In the resumed session; a session that comes later is not told again."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare({b"a.txt": TEN})
        claude.install(rig)
        ws = rig.workspace
        (turn,) = played(
            rig,
            step(claude.read(ws, b"a.txt")),
            step(claude.edit(ws, b"a.txt", "line 2\n", "line two\n")),
            step(claude.edit(ws, b"a.txt", "line 8\n", "")),
        )
        first, second = rig.status()["files"][0]["hunks"]
        rig.agentdiff("comment", "a.txt", COMMENT, "--hunk", str(second["id"]))
        rig.agentdiff("reject", "--hunk", str(first["id"]), "--reason", REASON)
        waiting: dict[str, Any] = json.loads(rig.agentdiff("feedback", "--json"))
        assert {note["session"] for note in waiting["notes"]} == {turn.session}
        asked = _asked(rig, turn)
        for text in (REASON, COMMENT, "+line two", "a.txt"):
            assert asked.count(json.dumps(text)[1:-1]) >= 1, text
        assert rig.agentdiff("feedback", expect=1) == b"nothing waits to be told\n"
        assert COMMENT not in _asked(rig, None)


def test_undo_withdraws_what_was_not_told(claude: ClaudeCode) -> None:
    """A rejection that is taken back before the agent hears of it never happened."""
    with Rig(agent=claude, kind="git") as rig:
        rig.prepare({b"a.txt": TEN})
        claude.install(rig)
        ws = rig.workspace
        (turn,) = played(
            rig,
            step(claude.read(ws, b"a.txt")),
            step(claude.edit(ws, b"a.txt", "line 2\n", "line two\n")),
        )
        rig.agentdiff("reject", "--all", "--reason", REASON)
        rig.agentdiff("undo")
        assert "specification" not in _asked(rig, turn)
