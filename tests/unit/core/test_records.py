"""Records: what the log holds reads back as what was written, for every kind."""

from __future__ import annotations

from typing import get_args

import orjson
import pytest

from agentdiff.core.agent_events import Reach
from agentdiff.core.codec import SCHEMA
from agentdiff.core.entries import ABSENT_REF, File
from agentdiff.core.owners import USER, Owner
from agentdiff.core.records import (
    CallClosed,
    CallOpened,
    CallReported,
    CommentMade,
    DecisionIntended,
    DecisionItem,
    DecisionMade,
    DecisionTurned,
    FeedbackTold,
    HunksCommitted,
    PathChanged,
    PathParked,
    Record,
    SessionChanged,
    TurnAliased,
    TurnFinished,
    TurnStarted,
    decode_record,
    encode_record,
)

WHO = {"agent": "claude", "session": "s", "at_ns": 7}
STATE = {"path": "p", "base": ["absent"], "cur": ["absent"], "hunks": [], "meta": [], "gen": 1}
ITEM = DecisionItem(
    path=b"\xff",
    changes=(1, 2),
    before=STATE,
    after=None,
    cur_before=File(data=b"a").ref(),
    cur_after=ABSENT_REF,
)
RECORDS: list[Record] = [
    SessionChanged(**WHO, state="idle", cwd=b"/w \xff"),
    TurnStarted(**WHO, turn="t", n=1, prompt="do\nit"),
    TurnAliased(**WHO, turn="t", alias="u"),
    TurnFinished(**WHO, turn="t"),
    CallOpened(
        **WHO,
        subagent=None,
        turn="t",
        tool_call="c",
        tool="Bash",
        scope="paths",
        targets=(b"a", b"\xff"),
        command=None,
        cwd=b"/w",
    ),
    CallOpened(
        **WHO,
        subagent="a",
        turn="t",
        tool_call="d",
        tool="Bash",
        scope="tree",
        targets=(),
        command="x > y",
        cwd=b"/w",
        reach=Reach(paths=(b"y", b"\xff"), below=(b"",), complete=True),
    ),
    CallClosed(**WHO, tool_call="c", outcome="ok", background="b"),
    PathParked(path=b"\xff", state=STATE, at_ns=1),
    PathParked(path=b"\xff", state=None, at_ns=1),
    HunksCommitted(**WHO, commit="abc1234", changes=(1, 2)),
    PathChanged(
        path=b"\xff", before=ABSENT_REF, after=File(data=b"").ref(), owner=USER, state=None, at_ns=1
    ),
    PathChanged(path=b"p", before=ABSENT_REF, after=ABSENT_REF, owner=USER, state=STATE, at_ns=1),
    PathChanged(
        path=b"p",
        before=ABSENT_REF,
        after=ABSENT_REF,
        owner=USER,
        state=None,
        at_ns=1,
        since=3,
        came_from=b"\xff/q",
        steps=(
            (File(data=b"").ref(), USER),
            (ABSENT_REF, Owner(kind="external", evidence="external")),
        ),
    ),
    DecisionIntended(decision=1, client="cli", op="reject", reason="", items=(ITEM,), at_ns=1),
    DecisionMade(decision=1, client="cli", op="reject", reason="no", items=(ITEM,), at_ns=1),
    DecisionTurned(decision=1, undone=True, items=(ITEM, ITEM), at_ns=1),
    CallReported(**WHO, tool_call="c", decided_by="user", trace="00-1-2-01"),
    CommentMade(
        client="cli",
        path=b"\xff",
        text="why?",
        hunk=None,
        lines=(1, 2),
        to=(("claude", "s"),),
        excerpt="+x\n",
        at_ns=1,
    ),
    FeedbackTold(notes=("7.0", "7.1"), agent="claude", session="s", at_ns=1),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_come_back_from_their_stored_form(record: Record) -> None:
    """Every field, through JSON, with paths that are not UTF-8."""
    assert decode_record(orjson.loads(orjson.dumps(encode_record(record)))) == record


def test_every_kind_of_record_is_covered() -> None:
    """The table above forgets none."""
    assert {type(record) for record in RECORDS} == set(get_args(Record))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_records_carry_schema_and_kind(record: Record) -> None:
    """A later version can tell what it reads."""
    body = encode_record(record)
    assert (body["v"], body["kind"]) == (SCHEMA, type(record).__name__)


def test_an_unknown_kind_is_an_error() -> None:
    """It is never skipped in silence."""
    with pytest.raises(KeyError):
        decode_record({"v": 1, "kind": "Nonsense"})
