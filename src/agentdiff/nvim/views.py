"""What is on the screen, and which hunks lines of it belong to.

Owns the two view models of doc/protocol.md (*review view*, *inline view*): their flat form for Lua,
and the way back from rows and lines to a `decide` selection.  Must not do any I/O.  Hop 7 on the
way out, hop 1 on the way in.

Rows of the review buffer are 0-based, lines of a file 1-based; ranges of both are inclusive, as an
editor's are.  Line ranges inside a hunk are 0-based and half-open, as the protocol wants them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import orjson

from agentdiff.nvim.splices import splices

Json: TypeAlias = dict[str, Any]
Scope: TypeAlias = Literal["hunk", "lines", "file", "group", "all"]

_OWNER_FILTERS = ("agent", "session", "turn", "call")


def path_ref(item: Mapping[str, Any]) -> str | Json:
    """Returns how a request names the path of a view's file: exact, also when it is not UTF-8."""
    if "path_b64" in item:
        return {"path_b64": item["path_b64"]}
    return str(item["path"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """A review as it was drawn.

    Attributes:
        token: names this version of the view in intents that come back from Lua.
        data: the daemon's *review view*.
        filters: ``agent``, ``session``, ``turn``, ``call``, ``path``, ``group`` that it was asked
            with.
    """

    token: int
    data: Json
    filters: Mapping[str, Any]

    def payload(self, known: ReviewView | None = None) -> Json:
        """Returns the flat form that Lua draws.

        Args:
            known: the version that Lua has, None when it has none: what differs from it is sent as
                ``splices``, else all ``lines``.

        The first screen needs text and ``kinds`` only: where everything is goes as one string of
        JSON (``index``), which Lua reads when it first asks.
        """
        text: Json = {"base": 0, "lines": self.data["lines"]}
        if known is not None:
            text = {"base": known.token, "splices": splices(known.data, self.data)}
        index = {
            "groups": self.data["groups"],
            "files": self.data["files"],
            "hunks": {
                name: [hunk[name] for hunk in self.data["hunks"]]
                for name in ("id", "row", "rows", "file", "new")
            },
        }
        return {
            **text,
            "token": self.token,
            "seq": self.data["seq"],
            "group": self.data["group"],
            "kinds": self.data["kinds"],
            "index": orjson.dumps(index).decode(),
            "filters": dict(self.filters),
        }

    def select(self, scope: Scope, first: int, last: int, count: int = 1) -> Json | None:
        """Returns the `decide` selection for rows `first` to `last`, None when nothing is there.

        A heading stands for what is below it.  With `count`, so many hunks from that of `first` on.
        """
        if scope == "all":
            return self._everything()
        last = min(last, len(self.data["kinds"]) - 1)
        if not 0 <= first <= last:
            return None
        if scope == "group":
            return self._groups({self._at("groups", row) for row in range(first, last + 1)})
        if scope == "file":
            return self._files({self._at("files", row) for row in range(first, last + 1)})
        if scope == "hunk" and first == last:
            return self._counted(first, count)
        return self._lines(first, last)

    def _counted(self, row: int, count: int) -> Json | None:
        kind = self.data["kinds"][row]
        if kind == "t":
            return self._groups({self._at("groups", row)})
        if kind == "f":
            return self._files({self._at("files", row)})
        found = self._hunk(row)
        if found is None:
            return None
        return _picks([self._pick(n) for n in range(found, self._end(found, count))])

    def _end(self, first: int, count: int) -> int:
        return min(first + max(count, 1), len(self.data["hunks"]))

    def _everything(self) -> Json:
        selection: Json = {
            name: self.filters[name] for name in _OWNER_FILTERS if self.filters.get(name)
        }
        if self.filters.get("path"):
            selection["paths"] = [path_ref(self.filters)]
        else:
            selection["all"] = True
        selection["seen"] = self.data["seq"]
        return selection

    def _groups(self, indices: Iterable[int]) -> Json | None:
        wanted = set(indices)
        return self._files(
            n for n, item in enumerate(self.data["files"]) if item["group"] in wanted and wanted
        )

    def _files(self, indices: Iterable[int]) -> Json | None:
        chosen = sorted(index for index in set(indices) if index >= 0)
        items = [self.data["files"][index] for index in chosen]
        if not items:
            return None
        if all(item["whole"] for item in items):
            everything = self._everything()
            everything.pop("all", None)
            return {**everything, "paths": [path_ref(item) for item in items]}
        # Only a part of the file stands here: the rest of it belongs to another heading.
        return _picks(
            [self._pick(n) for n, hunk in enumerate(self.data["hunks"]) if hunk["file"] in chosen]
        )

    def _pick(self, index: int) -> Json:
        hunk = self.data["hunks"][index]
        return {"id": hunk["id"], "gen": hunk["gen"]}

    def _at(self, what: Literal["groups", "files"], row: int) -> int:
        """Returns the index of the group or file that a row is below, -1 when there is none."""
        found = bisect_right(self.data[what], row, key=lambda item: item["row"]) - 1
        if what == "files" and found >= 0 and self.data["kinds"][row] == "t":
            return -1
        return found

    def _hunk(self, row: int) -> int | None:
        """Returns the index of the hunk that a row belongs to."""
        found = bisect_right(self.data["hunks"], row, key=lambda item: item["row"]) - 1
        if found < 0:
            return None
        hunk = self.data["hunks"][found]
        return found if row < hunk["row"] + hunk["rows"] else None

    def _lines(self, first: int, last: int) -> Json | None:
        """Returns the selection of exactly the changed lines among some rows."""
        picks = []
        kinds = self.data["kinds"]
        for index, hunk in enumerate(self.data["hunks"]):
            start, end = hunk["row"], hunk["row"] + hunk["rows"]
            if end <= first or start > last:
                continue
            olds, news = _counted_within(kinds, start, end, first, last)
            named = first <= start
            whole = olds == (0, kinds.count("d", start, end)) and news == (
                0,
                kinds.count("a", start, end),
            )
            pick = self._pick(index)
            if olds[0] == olds[1] and news[0] == news[1]:
                if named:
                    picks.append(pick)
            elif whole:
                picks.append(pick)
            else:
                picks.append({**pick, "old": _span(olds), "new": _span(news)})
        if picks:
            return _picks(picks)
        rows = [row for row in range(first, last + 1) if kinds[row] == "f"]
        return self._files({self._at("files", row) for row in rows})


def _counted_within(
    kinds: str, start: int, end: int, first: int, last: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Returns which old and which new lines of a hunk stand in rows `first` to `last`."""
    low, high = max(start, first), min(end, last + 1)
    return (
        (kinds.count("d", start, low), kinds.count("d", start, high)),
        (kinds.count("a", start, low), kinds.count("a", start, high)),
    )


class _Hunk(NamedTuple):
    """One change of an inline view, as the protocol describes it."""

    id: int
    gen: int
    start: int
    added: int
    removed: int

    @property
    def first(self) -> int:
        """The first line that it has, or borders on."""
        return max(1, self.start)

    @property
    def last(self) -> int:
        """The last one."""
        return max(self.first, self.start + self.added - 1)

    def pick(self) -> Json:
        """Returns all of it as an item of a selection."""
        return {"id": self.id, "gen": self.gen}

    def part(self, first: int, last: int) -> Json:
        """Returns what of it lies in some lines, as an item of a selection."""
        new = [max(0, first - self.start), min(self.added, last - self.start + 1)]
        if not self.added or new == [0, self.added]:
            return self.pick()
        old = new if self.added == self.removed else [0, self.removed if new[0] == 0 else 0]
        return {**self.pick(), "old": list(old), "new": new}


_DRAWN = ("id", "start", "added", "removed", "deleted", "owners", "owner", "mixed", "odd")
NO_HUNKS: Json = {name: [] for name in (*_DRAWN, "gen")}
"""What *inline view* has of a file with nothing pending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InlineView:
    """The hunks of one file as they were drawn into its buffer.

    Attributes:
        token: names this version of the view in intents that come back from Lua.
        seq: log sequence number of the view.
        data: the daemon's *inline view*.
    """

    token: int
    seq: int
    data: Json

    def payload(self, name: str) -> Json:
        """Returns the form that Lua draws; `name` is the buffer's name.

        ``hunks`` is the JSON of what is drawn of them: Neovim takes one string twenty times faster
        than the objects, and one that equals the last need not be read.
        """
        hunks = self.data["hunks"]
        return {
            "token": self.token,
            "seq": self.seq,
            "path": name,
            "status": self.data.get("status") or "",
            "coverage": self.data.get("coverage") or "",
            "moved_to": self.data.get("new_path") or "",
            "hunks": orjson.dumps({what: hunks[what] for what in _DRAWN}).decode(),
        }

    def select(self, scope: Scope, first: int, last: int) -> Json | None:
        """Returns the `decide` selection for lines `first` to `last`, None when nothing is there.

        A pure deletion belongs to the line above it (line 1 at the top), unless another hunk has
        that line; with a single line the one below it will do as well.  Changed lines pair with the
        deleted lines when there are equally many; else the deleted lines go with the first added.
        """
        hunks = self._hunks()
        if scope in ("file", "all"):
            return {"paths": [path_ref(self.data)], "seen": self.seq} if hunks else None
        if self.data.get("status") == "deleted":
            # The buffer still shows the text: every line of it is the hunk's.
            return _picks([hunk.pick() for hunk in hunks]) if hunks else None
        inside = [hunk for hunk in hunks if first <= hunk.last and last >= hunk.first]
        if not inside and first == last:
            inside = [hunk for hunk in hunks if not hunk.added and hunk.start + 1 == first]
        if scope == "hunk" and first == last:
            # A hunk with lines of its own is what the cursor stands on; a deletion merely borders.
            inside = sorted(inside, key=lambda hunk: not hunk.added)[:1]
            return _picks([hunk.pick() for hunk in inside]) if inside else None
        return _picks([hunk.part(first, last) for hunk in inside]) if inside else None

    def by_id(self, ids: Sequence[int]) -> Json | None:
        """Returns the selection of whole hunks: for a buffer whose lines are not the file's."""
        found = [hunk.pick() for hunk in self._hunks() if hunk.id in ids]
        return _picks(found) if found else None

    def _hunks(self) -> list[_Hunk]:
        return list(map(_Hunk, *(self.data["hunks"][name] for name in _Hunk._fields)))


def _picks(picks: list[Json]) -> Json:
    return {"hunks": picks}


def _span(span: tuple[int, int]) -> list[int]:
    return list(span) if span[0] < span[1] else [0, 0]
