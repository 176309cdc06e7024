"""What is on the screen, and which hunks lines of it belong to.

Owns the two view models of doc/protocol.md (*review view*, *inline view*): their flat form for Lua,
and the way back from rows and lines to a `decide` selection.  Must not do any I/O.  Hop 7 on the
way out, hop 1 on the way in.

Rows of the review buffer are 0-based, lines of a file 1-based; ranges of both are inclusive, as an
editor's are.  Line ranges inside a hunk are 0-based and half-open, as the protocol wants them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Json: TypeAlias = dict[str, Any]
Scope: TypeAlias = Literal["hunk", "lines", "file", "all"]

ROW_LETTERS = {
    "title": "t",
    "file": "f",
    "meta": "m",
    "hunk": "h",
    "context": "c",
    "deleted": "d",
    "added": "a",
    "nonl": "n",
    "blank": "b",
}
"""One letter per row: 100,000 rows cross to Lua as one string instead of 100,000 tables."""


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
        filters: ``agent``, ``session``, ``turn``, ``path`` that it was asked with.
    """

    token: int
    data: Json
    filters: Mapping[str, Any]

    def payload(self) -> Json:
        """Returns the flat form that Lua draws.

        ``kinds`` has one letter per row (`ROW_LETTERS`), ``lnums`` the 1-based line of the file
        that a row shows or stands above, 0 for none.
        """
        rows = self.data["rows"]
        hunks = self.data["hunks"]
        return {
            "token": self.token,
            "seq": self.data["seq"],
            "lines": self.data["lines"],
            "kinds": "".join(ROW_LETTERS.get(row[0], "b") for row in rows),
            "lnums": [self._lnum(row) for row in rows],
            "files": self.data["files"],
            "hunks": [
                {
                    "id": hunk["id"],
                    "row": hunk["row"],
                    "rows": hunk["rows"],
                    "file": hunk["file"],
                    "mixed": bool(hunk.get("mixed")),
                    "owner": hunk.get("owner") or "",
                }
                for hunk in hunks
            ],
            "filters": dict(self.filters),
        }

    def _lnum(self, row: Sequence[Any]) -> int:
        kind, _, hunk, _, new = row
        if kind == "context":
            return int(new)
        if hunk < 0:
            return 0
        start = int(self.data["hunks"][hunk].get("start") or 0)
        return max(1, start + int(new)) if kind == "added" else max(1, start)

    def select(self, scope: Scope, first: int, last: int) -> Json | None:
        """Returns the `decide` selection for rows `first` to `last`, None when nothing is there."""
        if scope == "all":
            return self._everything()
        rows = self.data["rows"]
        last = min(last, len(rows) - 1)
        if not 0 <= first <= last:
            return None
        if scope == "file":
            return self._files({rows[row][1] for row in range(first, last + 1)})
        if scope == "hunk" and first == last:
            found = self._hunk_near(first)
            return None if found is None else _picks([self._pick(found)])
        return self._lines(first, last)

    def _everything(self) -> Json:
        selection: Json = {
            name: self.filters[name]
            for name in ("agent", "session", "turn")
            if self.filters.get(name)
        }
        if self.filters.get("path"):
            selection["paths"] = [self.filters["path"]]
        else:
            selection["all"] = True
        selection["seen"] = self.data["seq"]
        return selection

    def _files(self, indices: Iterable[int]) -> Json | None:
        chosen = [self.data["files"][index] for index in sorted(indices) if index >= 0]
        if not chosen:
            return None
        everything = self._everything()
        everything.pop("all", None)
        return {**everything, "paths": [path_ref(item) for item in chosen]}

    def _pick(self, index: int) -> Json:
        hunk = self.data["hunks"][index]
        return {"id": hunk["id"], "gen": hunk["gen"]}

    def _hunk_near(self, row: int) -> int | None:
        """Returns the hunk that the row belongs to, or that its group of context lines shows."""
        _, file, hunk, _, _ = self.data["rows"][row]
        if hunk >= 0:
            return int(hunk)
        spans = [
            (max(item["row"] - row, row - (item["row"] + item["rows"] - 1), 0), index)
            for index, item in enumerate(self.data["hunks"])
            if item["file"] == file
        ]
        kind = self.data["rows"][row][0]
        if not spans or kind not in ("context", "nonl", "meta", "hunk"):
            return None
        return min(spans)[1]

    def _lines(self, first: int, last: int) -> Json | None:
        rows = self.data["rows"]
        picked: dict[int, tuple[list[int], list[int]]] = {}
        named: dict[int, None] = {}
        for kind, _, hunk, old, new in rows[first : last + 1]:
            if hunk < 0:
                continue
            if kind in ("hunk", "meta"):
                named[hunk] = None
            elif kind in ("deleted", "added"):
                olds, news = picked.setdefault(hunk, ([], []))
                if kind == "deleted":
                    olds.append(old)
                else:
                    news.append(new)
        picks = []
        for hunk in sorted({*picked, *named}):
            pick = self._pick(hunk)
            if hunk in picked and not self._whole(hunk, picked[hunk]):
                olds, news = picked[hunk]
                pick["old"], pick["new"] = _span(olds), _span(news)
            picks.append(pick)
        if picks:
            return _picks(picks)
        return self._files({row[1] for row in rows[first : last + 1] if row[0] == "file"})

    def _whole(self, hunk: int, picked: tuple[list[int], list[int]]) -> bool:
        item = self.data["hunks"][hunk]
        body = self.data["rows"][item["row"] : item["row"] + item["rows"]]
        olds = sum(1 for row in body if row[0] == "deleted" and row[2] == hunk)
        news = sum(1 for row in body if row[0] == "added" and row[2] == hunk)
        return (olds, news) == (len(picked[0]), len(picked[1]))


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
        """Returns the form that Lua draws; `name` is the buffer's name."""
        return {
            "token": self.token,
            "seq": self.seq,
            "path": name,
            "status": self.data.get("status") or "",
            "coverage": self.data.get("coverage") or "",
            "hunks": [
                {
                    "id": hunk["id"],
                    "kind": hunk.get("kind") or "text",
                    "start": hunk["start"],
                    "added": hunk["added"],
                    "removed": hunk["removed"],
                    "deleted": hunk.get("deleted") or [],
                    "mixed": bool(hunk.get("mixed")),
                    "owner": hunk.get("owner") or "",
                }
                for hunk in self.data.get("hunks") or []
            ],
        }

    def select(self, scope: Scope, first: int, last: int) -> Json | None:
        """Returns the `decide` selection for lines `first` to `last`, None when nothing is there.

        A pure deletion belongs to the line above it (line 1 at the top), unless another hunk has
        that line; with a single line the one below it will do as well.  Changed lines pair with the
        deleted lines when there are equally many; else the deleted lines go with the first added.
        """
        hunks = self.data.get("hunks") or []
        if scope in ("file", "all"):
            return {"paths": [path_ref(self.data)], "seen": self.seq} if hunks else None
        inside = [hunk for hunk in hunks if first <= _last(hunk) and last >= _first(hunk)]
        if not inside and first == last:
            inside = [hunk for hunk in hunks if not hunk["added"] and hunk["start"] + 1 == first]
        if scope == "hunk" and first == last:
            # A hunk with lines of its own is what the cursor stands on; a deletion merely borders.
            inside = sorted(inside, key=lambda hunk: not hunk["added"])[:1]
            return _picks([_whole(hunk) for hunk in inside]) if inside else None
        return _picks([_part(hunk, first, last) for hunk in inside]) if inside else None

    def by_id(self, ids: Sequence[int]) -> Json | None:
        """Returns the selection of whole hunks: for a buffer whose lines are not the file's."""
        found = [_whole(hunk) for hunk in self.data.get("hunks") or [] if hunk["id"] in ids]
        return _picks(found) if found else None


def _picks(picks: list[Json]) -> Json:
    return {"hunks": picks}


def _span(numbers: Sequence[int]) -> list[int]:
    return [min(numbers), max(numbers) + 1] if numbers else [0, 0]


def _first(hunk: Json) -> int:
    return max(1, int(hunk["start"]))


def _last(hunk: Json) -> int:
    return max(_first(hunk), int(hunk["start"]) + int(hunk["added"]) - 1)


def _whole(hunk: Json) -> Json:
    return {"id": hunk["id"], "gen": hunk["gen"]}


def _part(hunk: Json, first: int, last: int) -> Json:
    added, removed = int(hunk["added"]), int(hunk["removed"])
    start = int(hunk["start"])
    new = [max(0, first - start), min(added, last - start + 1)]
    if not added or hunk.get("kind", "text") != "text" or new == [0, added]:
        return _whole(hunk)
    old = new if added == removed else [0, removed if new[0] == 0 else 0]
    return {**_whole(hunk), "old": list(old), "new": new}
