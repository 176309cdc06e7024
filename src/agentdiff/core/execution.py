"""Carrying out a decision: which writes it orders, what their outcomes mean, what is answered.

Owns the progress of the one decision in flight (the engine performs its writes before it takes the
next event).  Must not plan accepts and rejects (`agentdiff.core.decisions`) nor write.  Hop 4.

Theory.  A decision is logged as intended and synced before the first write; each write is a
compare-and-swap.  Where the disk turned out to hold something else, that is observed first, and the
decision is planned again for the changes that are still there.  What was carried out is logged as
made: one undoable step, however many paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from agentdiff.core import events as ev
from agentdiff.core import restoring, turning
from agentdiff.core.codec import path_fields
from agentdiff.core.commands import Answer, Append, Command, Publish, WriteEntry
from agentdiff.core.decisions import (
    PathPlan,
    Plan,
    Refusal,
    creates,
    held_back,
    plan,
    plan_path,
    still_meant,
)
from agentdiff.core.edits import plan_edits
from agentdiff.core.entries import Entry
from agentdiff.core.pathstate import describe
from agentdiff.core.records import (
    DecisionIntended,
    DecisionItem,
    DecisionMade,
    DecisionTurned,
)
from agentdiff.core.scoping import pinned
from agentdiff.core.settled import Verdict

if TYPE_CHECKING:
    from agentdiff.core.ledger import Ledger

MAX_TRIES = 3
_Request: TypeAlias = (
    ev.DecisionRequested | ev.EditRequested | ev.UndoRequested | ev.RestoreRequested
)


@dataclass(slots=True)
class _Execution:
    event: _Request
    decision: int
    op: str
    plan: Plan
    todo: dict[bytes, PathPlan] = field(default_factory=dict)
    # Path to write → path whose deletion waits for that.
    held: dict[bytes, bytes] = field(default_factory=dict)
    done: list[PathPlan] = field(default_factory=list)
    tries: dict[bytes, int] = field(default_factory=dict)
    weak: list[bytes] = field(default_factory=list)
    # Of a rename that is turned: path → the other one.
    halves: dict[bytes, bytes] = field(default_factory=dict)
    failed: set[bytes] = field(default_factory=set)
    # What was done and is being taken back, by path.
    back: dict[bytes, PathPlan] = field(default_factory=dict)


class Executor:
    """Performs decisions, undos and restores, one at a time."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._running: _Execution | None = None

    def handle(self, event: ev.Event) -> list[Command]:
        """Returns the commands for a request, or for the outcome of one of its writes."""
        match event:
            case ev.DecisionRequested():
                return self._decide(event)
            case ev.EditRequested():
                planned = plan_edits(self._ledger.paths, event.edits, self._ledger.new_id)
                return self._start(_Execution(event, self._ledger.new_id(), "edit", planned))
            case ev.UndoRequested():
                return self._turn(event)
            case ev.RestoreRequested():
                return self._restore(event)
            case ev.EntryWritten():
                return self._written(event)
            case _:
                return []

    def _changed_since(self, path: bytes, seen: int) -> bool:
        return self._ledger.changed_at.get(path, 0) > seen

    # --- the kinds of request --------------------------------------------------------------------

    def _decide(self, event: ev.DecisionRequested) -> list[Command]:
        ledger = self._ledger
        meant = pinned(ledger.sessions, event.selection)
        if isinstance(meant, str):
            planned = Plan([], [Refusal(path=b"", change=None, reason=meant)], [])
        else:
            event = replace(event, selection=meant)
            planned = plan(ledger.paths, event, self._changed_since, ledger.new_id)
        return self._start(_Execution(event, ledger.new_id(), event.label or event.op, planned))

    def _turn(self, event: ev.UndoRequested) -> list[Command]:
        verb = "redo" if event.redo else "undo"
        turned = Plan([], [], [])
        if event.decision is None:
            return [Answer(request=event.request, result=self._result(verb, None, turned, []))]
        ledger, in_effect = self._ledger, Verdict(event.decision, undone=event.redo)
        waited = partial(ledger.observer.parking.settled, in_effect)
        planned = turning.planned(
            ledger.paths, ledger.renamed, event, ledger.where, waited, ledger.new_id
        )
        return self._start(_Execution(event, event.decision, verb, planned))

    def _restore(self, event: ev.RestoreRequested) -> list[Command]:
        ledger = self._ledger
        restored = restoring.planned(
            ledger.paths, ledger.observer.parking, event.contents, ledger.apart, ledger.new_id
        )
        return self._start(_Execution(event, ledger.new_id(), "restore", restored))

    # --- progress --------------------------------------------------------------------------------

    def _start(self, run: _Execution) -> list[Command]:
        compared = isinstance(run.event, ev.UndoRequested)
        run.halves = turning.halves(run.plan.paths) if compared else {}
        for planned in run.plan.paths:
            if compared or planned.cur_before != planned.cur_after:
                run.todo[planned.path] = planned
            else:
                run.done.append(planned)
        self._running = run
        if not run.todo:
            return self._finish(run)
        commands: list[Command] = []
        if any(planned.cur_before != planned.cur_after for planned in run.todo.values()):
            commands.append(self._intend(run))
        run.held = held_back(run.todo)
        # What is deleted makes room first, the deepest before the folder it is in.
        now = [one for path, one in run.todo.items() if path not in run.held.values()]
        return [*commands, *(_write(planned) for planned in sorted(now, key=creates))]

    def _intend(self, run: _Execution) -> Append:
        written = (one for one in run.done if one.cur_before != one.cur_after)
        planned = (*written, *run.todo.values())
        intended = DecisionIntended(
            decision=run.decision,
            client=run.event.client,
            op=run.op,
            reason=_reason(run.event),
            items=tuple(one.item() for one in planned),
            at_ns=run.event.received_ns,
        )
        return self._ledger.commit(intended, entries=_entries(planned), durable=True)

    def _written(self, event: ev.EntryWritten) -> list[Command]:
        run = self._running
        if run is None or event.path not in run.todo:
            return []
        planned = run.todo.pop(event.path)
        if event.path in run.back:
            return self._taken_back(run, planned, event)
        held = run.held.pop(event.path, None)
        commands: list[Command] = []
        if event.failed:
            run.plan.refused.append(Refusal(path=event.path, change=None, reason=event.failed))
        elif event.found is not None:
            commands = self._found_other(run, planned, event.found, event.received_ns)
        else:
            run.done.append(planned)
            if held is not None:
                commands.append(_write(run.todo[held]))
            if planned.cur_before != planned.cur_after:
                self._ledger.observer.note_own_write(
                    event.path, event.received_ns, planned.cur_before, planned.cur_after
                )
            if event.weak:
                run.weak.append(event.path)
        if held is not None and planned not in run.done:
            del run.todo[held]
            run.plan.refused.append(_other_half(held, event.path))
        if planned not in run.done:
            run.failed.add(event.path)
        commands += self._take_back(run, event.path)
        return commands if run.todo else [*commands, *self._finish(run)]

    def _take_back(self, run: _Execution, path: bytes) -> list[Command]:
        """Takes back the one half of a rename that was done, if the other could not be."""
        both = {path, run.halves[path]} if path in run.halves else set[bytes]()
        failed = both & run.failed
        done = next((one for one in run.done if one.path in both), None)
        if not failed or done is None:
            return []
        run.done.remove(done)
        run.plan.refused.append(_other_half(done.path, *failed))
        if done.cur_before == done.cur_after:
            return []
        back = replace(done, cur_before=done.cur_after, cur_after=done.cur_before)
        run.todo[done.path], run.back[done.path] = back, done
        return [_write(back)]

    def _taken_back(
        self, run: _Execution, planned: PathPlan, event: ev.EntryWritten
    ) -> list[Command]:
        if event.failed or event.found is not None:
            run.done.append(run.back[event.path])  # somebody wrote there: so it is, after all
        else:
            self._ledger.observer.note_own_write(
                event.path, event.received_ns, planned.cur_before, planned.cur_after
            )
        return [] if run.todo else self._finish(run)

    def _found_other(
        self, run: _Execution, planned: PathPlan, found: Entry, now_ns: int
    ) -> list[Command]:
        """Observes what was on disk instead, then plans again for what is left of the decision."""
        path, commands = planned.path, list[Command]()
        if path in self._ledger.paths:
            observed = ev.FileObserved(
                path=path, before=planned.cur_before, after=found, received_ns=now_ns
            )
            commands = self._ledger.handle(observed)
            if path not in self._ledger.paths:
                # What pended is gone with it: the watcher, which knows only what was there before,
                # would make that the base.
                self._ledger.observer.note_own_write(path, now_ns, planned.cur_before, found)
        # Else nothing pends there, and only the watcher knows what was there last.
        run.tries[path] = run.tries.get(path, 0) + 1
        state = self._ledger.paths.get(path)
        request = run.event
        single = isinstance(request, ev.DecisionRequested) and not _renames(planned)
        if not single or run.tries[path] >= MAX_TRIES:
            turned = isinstance(request, ev.UndoRequested)
            run.plan.refused.append(turning.moved_on(path) if turned else _overtaken(path, found))
            return commands
        assert isinstance(request, ev.DecisionRequested)
        whatever = request.selection.takes_whatever_is_there
        left = still_meant(planned, state, whatever=whatever)
        for change in planned.picks:
            if change not in left:
                run.plan.refused.append(_overtaken(path, found, change))
        if state is None or not left:
            return commands
        again = plan_path(state, request, left, self._ledger.new_id)
        if isinstance(again, Refusal):
            run.plan.refused.append(again)
            return commands
        run.todo[path] = again
        # A crash after this write finds what was planned now, and not what was planned first.
        return [*commands, self._intend(run), _write(again)]

    def _finish(self, run: _Execution) -> list[Command]:
        self._running = None
        items = tuple(planned.item() for planned in run.done)
        states = {planned.path: planned.after for planned in run.done}
        commands: list[Command] = []
        over = run.decision in self._ledger.unfinished
        turned = run.event.items if isinstance(run.event, ev.UndoRequested) else ()
        passed_over = bool(turned and run.plan.refused)
        # One of which nothing was done is over too: no restart may find it done by coincidence.
        if items or over or passed_over:
            record = _record(
                decision=run.decision,
                client=run.event.client,
                op=run.op,
                reason=_reason(run.event),
                items=items,
                at_ns=run.event.received_ns,
                refused=bool(run.plan.refused),
                left=sum(item.path not in states for item in turned),
            )
            commands.append(self._ledger.commit(record, states, _entries(run.done), durable=True))
            asides = (state for one in run.done for state in one.asides)
            commands += [self._ledger.park(state, 0, run.event.received_ns) for state in asides]
        written = [one.path for one in run.done if one.cur_before != one.cur_after]
        result = self._result(run.op, run.decision if items else None, run.plan, run.done)
        result["written"] = [path_fields(path)["path"] for path in written]
        result["weak"] = [path_fields(path)["path"] for path in run.weak]
        # Of a rename only one half may have been done.
        commands += self._ledger.observer.pairing.mend(run.event.received_ns)
        publish = Publish(files=tuple(states), written=tuple(written))
        return [*commands, publish, Answer(request=run.event.request, result=result)]

    def _result(
        self, op: str, decision: int | None, planned: Plan, done: Sequence[PathPlan]
    ) -> dict[str, Any]:
        return {
            "v": 1,
            "seq": self._ledger.seq,
            "decision": decision,
            "op": op,
            "done": [{**path_fields(one.path), "hunks": list(one.picks)} for one in done],
            "refused": [refusal.to_json() for refusal in planned.refused],
            "moved_on": [path_fields(path)["path"] for path in planned.moved_on],
            "written": [],
            "weak": [],
        }

    def recover(self, intended: DecisionIntended, found: Sequence[ev.LoadedItem]) -> list[Command]:
        """Completes a decision that a crash interrupted, for the paths whose write had happened.

        Args:
            intended: the decision.
            found: its items whose content after the decision was found on disk.
        """
        plans = [
            PathPlan(
                path=item.path,
                picks=dict.fromkeys(() if item.before is None else item.before.ids),
                before=item.before,
                after=item.after,
                cur_before=item.cur_before,
                cur_after=item.cur_after,
            )
            for item in found
        ]
        record = _record(
            decision=intended.decision,
            client=intended.client,
            op=intended.op,
            reason=intended.reason,
            items=tuple(planned.item() for planned in plans),
            at_ns=intended.at_ns,
        )
        states = {planned.path: planned.after for planned in plans}
        made = self._ledger.commit(record, states, durable=True)
        return [made, *self._ledger.observer.pairing.mend(intended.at_ns)]


def _record(
    *,
    decision: int,
    client: str,
    op: str,
    reason: str,
    items: tuple[DecisionItem, ...],
    at_ns: int,
    refused: bool = False,
    left: int | None = None,
) -> DecisionMade | DecisionTurned:
    """Returns the record of what was carried out: a new decision, or the turn of an old one."""
    if op in ("undo", "redo"):
        undone = op == "undo"
        return DecisionTurned(
            decision=decision,
            undone=undone,
            items=items,
            at_ns=at_ns,
            refused=refused,
            left=left,
        )
    return DecisionMade(
        decision=decision, client=client, op=op, reason=reason, items=items, at_ns=at_ns
    )


def _renames(planned: PathPlan) -> bool:
    """Whether a plan is one half of a rename: the new path, or the old one that nothing picks."""
    renamed = planned.before is not None and planned.before.origin is not None
    return renamed or not planned.picks


def _write(planned: PathPlan) -> WriteEntry:
    return WriteEntry(path=planned.path, expect=planned.cur_before, write=planned.cur_after)


def _entries(plans: Sequence[PathPlan]) -> tuple[Entry, ...]:
    return tuple(entry for planned in plans for entry in planned.entries())


def _reason(event: _Request) -> str:
    return event.reason if isinstance(event, ev.DecisionRequested) else ""


def _other_half(path: bytes, other: bytes) -> Refusal:
    reason = f"it stays, because {other.decode(errors='replace')} could not be written"
    return Refusal(path=path, change=None, reason=reason)


def _overtaken(path: bytes, found: Entry, change: int | None = None) -> Refusal:
    hunk = "" if change is None else ", and the hunk with it"
    reason = f"the file changed meanwhile (now {describe(found)}){hunk}: look again"
    return Refusal(path=path, change=change, reason=reason)
