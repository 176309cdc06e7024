"""What the user wants an agent to know: rejected changes with their reasons, and comments.

Owns which notes wait, for whom, and that each is told once.  Must not decide when: an agent is told
at a prompt or a session start (`agentdiff.daemon.telling`), a person when they ask.  The words are
`agentdiff.core.notes`'.  Hop 4.

Notes are folded from records, like everything that lasts: a decision that took something of an
agent's away, a comment, an undo.  What was told is a record too, so that neither a restart nor a
second delivery of the same prompt tells it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from agentdiff.core.codec import Json, decode_owner
from agentdiff.core.commands import Answer, Command, Publish
from agentdiff.core.entries import Ref
from agentdiff.core.events import CommentAdded
from agentdiff.core.owners import Owner
from agentdiff.core.records import (
    CommentMade,
    Decided,
    DecisionItem,
    DecisionMade,
    DecisionTurned,
    FeedbackTold,
    Record,
)

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger

Address: TypeAlias = tuple[str, str]
"""(agent, session); the agent is empty where only the session is known (shared changes)."""
NoteKind: TypeAlias = Literal["rejected", "restored", "comment"]

TOLD_KEPT = 200
EXCERPT_CHARS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing to tell.

    Attributes:
        id: ``<number of its record>.<n>``: a record makes one note for each path and each session.
        source: id of the decision, 0 for a comment.
        kind: ``restored`` takes a rejection back that had been told already.
        text: the reason or the comment, may be empty for a rejection.
        to: whom it concerns; None for whichever agent asks first.
        before: content before a decision, after it in `after`; both None for a comment.
        hunk: the change that a comment is about, None for none.
        lines: first and last line of a comment, 1-based, None for none.
        excerpt: the lines that a comment is about, as a diff shows them.
        told_ns: when it was told, 0 while it waits.
    """

    id: str
    source: int
    kind: NoteKind
    path: bytes
    text: str
    to: Address | None
    at_ns: int
    before: Ref | None = None
    after: Ref | None = None
    hunk: int | None = None
    lines: tuple[int, int] | None = None
    excerpt: str = ""
    told_ns: int = 0


class Feedback:
    """The notes of one workspace; changed only by `fold`.

    Attributes:
        waiting: notes that nobody was told yet, oldest first.
        told: the newest ones that were told, oldest first.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.waiting: list[Note] = []
        self.told: deque[Note] = deque(maxlen=TOLD_KEPT)

    def fold(self, record: Record, seq: int) -> None:
        """Applies the record with this sequence number; records of other kinds are ignored."""
        match record:
            case DecisionMade():
                self.waiting += _notes(record, record.items, record.at_ns, seq)
            case DecisionTurned():
                self._turned(record, seq)
            case CommentMade():
                self.waiting += _comments(record, seq)
            case FeedbackTold():
                told = set(record.notes)
                out = [note for note in self.waiting if note.id in told]
                self.told += [replace(note, told_ns=record.at_ns) for note in out]
                self.waiting = [note for note in self.waiting if note.id not in told]
            case _:
                pass

    def _turned(self, record: DecisionTurned, seq: int) -> None:
        """An undo withdraws what waits; of what was told, the opposite is told."""
        made = self._ledger.decisions.get(record.decision)
        if made is None or not record.items:
            return
        if not record.undone:
            self.waiting += _notes(made, record.items, record.at_ns, seq)
            return
        paths = {item.path for item in record.items}
        known = {(note.to, note.path) for note in self.told if note.source == record.decision}
        self.waiting = [
            note
            for note in self.waiting
            if note.source != record.decision or note.path not in paths
        ]
        undone = [item.swapped() for item in record.items]
        self.waiting += [
            replace(note, kind="restored", text="")
            for note in _notes(made, undone, made.at_ns, seq)
            if (note.to, note.path) in known
        ]

    # --- questions -------------------------------------------------------------------------------

    def waiting_for(self, agent: str, session: str, now_ns: int) -> list[Note]:
        """Returns what one session is to be told, oldest first.

        A note for a session that is over goes to the next session of the same agent: the user does
        not care in which conversation it is heeded.
        """
        return [note for note in self.waiting if self._concerns(note, agent, session, now_ns)]

    def _concerns(self, note: Note, agent: str, session: str, now_ns: int) -> bool:
        if note.to is None:
            return True
        to_agent, to_session = note.to
        if to_session == session and to_agent in ("", agent):
            return True
        known = self._ledger.sessions.by_key.get(note.to)
        return to_agent == agent and (known is None or not known.live(now_ns))

    def telling(
        self, notes: Iterable[Note], agent: str, session: str, now_ns: int
    ) -> list[Command]:
        """Returns what records that these notes were told to somebody (to a person: no agent)."""
        ids = tuple(dict.fromkeys(note.id for note in notes))
        told = FeedbackTold(notes=ids, agent=agent, session=session, at_ns=now_ns)
        return [self._ledger.commit(told)] if ids else []

    # --- comments --------------------------------------------------------------------------------

    def comment(self, event: CommentAdded) -> list[Command]:
        """Returns what follows from a comment: its record, and the answer."""
        owners, excerpt = self._about(event)
        made = CommentMade(
            client=event.client,
            path=event.path,
            text=event.text,
            hunk=event.hunk,
            lines=event.lines or (),
            to=_addresses(owners),
            excerpt=excerpt,
            at_ns=event.received_ns,
        )
        append = self._ledger.commit(made)
        result = {
            "v": 1,
            "seq": self._ledger.seq,
            "comment": self._ledger.seq,
            "to": [{"agent": agent, "session": session} for agent, session in made.to],
        }
        return [append, Publish(), Answer(request=event.request, result=result)]

    def _about(self, event: CommentAdded) -> tuple[list[Owner], str]:
        """Returns whose change a comment is about, and its lines as a diff shows them."""
        state = self._ledger.paths.get(event.path)
        if state is None:
            return [], ""
        text = state.text if state.hunks else None
        first, last = event.lines or (1, 0)
        chosen = [
            hunk
            for hunk in state.hunks
            if hunk.id == event.hunk or (hunk.b0 < last and first - 1 < max(hunk.b1, hunk.b0 + 1))
        ]
        rows = [b"-" + line for h in chosen for line in (text.base[h.a0 : h.a1] if text else ())]
        rows += [b"+" + line for h in chosen for line in (text.cur[h.b0 : h.b1] if text else ())]
        owners = [owner for hunk in chosen for owner in hunk.owners]
        if not chosen:
            changes = state.changes()
            about = [changes[event.hunk]] if event.hunk in changes else list(changes.values())
            owners = [owner for change in about for owner in change.owners]
        return owners, b"".join(rows).decode(errors="replace")[:EXCERPT_CHARS]


def _notes(made: Decided, items: Iterable[DecisionItem], at_ns: int, seq: int) -> list[Note]:
    """Returns what a decision means for agents: only what it took away from the disk counts."""
    out: list[Note] = []
    for item in items:
        if item.cur_before == item.cur_after:
            continue
        for to in _addresses(_decided(item)):
            note = Note(
                id=f"{seq}.{len(out)}",
                source=made.decision,
                kind="rejected",
                path=item.path,
                text=made.reason,
                to=to,
                at_ns=at_ns,
                before=item.cur_before,
                after=item.cur_after,
            )
            out.append(note)
    return out


def _decided(item: DecisionItem) -> list[Owner]:
    """Returns the owners of the changes that a decision was about; of all when it names none."""
    state: Json | None = item.before
    if state is None:
        return []
    table = state["owners"]
    used: dict[int, None] = {}
    for change, *_, old, new in state["hunks"]:
        if not item.changes or change in item.changes:
            used |= dict.fromkeys(index for index, _ in (*old, *new))
    for change, _, _, owners in state["meta"]:
        if not item.changes or change in item.changes:
            used |= dict.fromkeys(index for index, _ in owners)
    return [decode_owner(table[index]) for index in used]


def _addresses(owners: Iterable[Owner]) -> tuple[Address, ...]:
    """Returns the sessions that owners stand for; users, git and strangers have none."""
    found: dict[Address, None] = {}
    for owner in owners:
        if owner.kind == "agent" and owner.agent and owner.session:
            found[owner.agent, owner.session] = None
        elif owner.kind == "shared":
            found |= dict.fromkeys((one.agent or "", one.session or "") for one in owner.among)
    return tuple(found)


def _comments(record: CommentMade, seq: int) -> list[Note]:
    addresses: tuple[Address | None, ...] = record.to or (None,)
    return [
        Note(
            id=f"{seq}.{number}",
            source=0,
            kind="comment",
            path=record.path,
            text=record.text,
            to=to,
            at_ns=record.at_ns,
            hunk=record.hunk,
            lines=(record.lines[0], record.lines[1]) if record.lines else None,
            excerpt=record.excerpt,
        )
        for number, to in enumerate(addresses)
    ]
