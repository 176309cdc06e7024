"""Hooks in a settings file of JSON: one group of ours, behind those of others, for each event.

Owns the edits of ``{"hooks": {<event>: [{"matcher": …, "hooks": [<hook>, …]}, …]}}``, the shape
that Claude Code, Codex, Gemini CLI and Qwen Code share.  Must not know any of them.  No I/O.

Ours is always appended: Codex trusts a hook by its place, so that one put before those of the user
would take their trust away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from agentdiff.install.jsonsplice import Document, dotted
from agentdiff.install.jsonsplice import Path as Place
from agentdiff.install.jsontree import Node
from agentdiff.install.part import Inspection, Site
from agentdiff.install.record import Found

Hook: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksJson:
    """A `agentdiff.install.part.Part`: settings with hooks.

    Attributes:
        locate: returns where the file of a site is.
        events: every event that is registered, in this order.
        hook: returns the hook for a site.
        for_event: returns the hook for one event from that; usually the same.
        is_ours: tells whether a hook, as a plain object, is one that `hook` once returned.
        switches: top-level keys that keep hooks from running while they are true, with why.
        needs: places that keep hooks from running while they are false, with why.
        comments: whether the agent accepts comments and trailing commas.
    """

    locate: Callable[[Site], Path]
    events: tuple[str, ...]
    hook: Callable[[Site], Hook]
    is_ours: Callable[[Mapping[str, Any]], bool]
    scopes: tuple[str, ...] = ("user", "project", "local")
    main: bool = True
    switches: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[Place, str] = field(default_factory=dict)
    comments: bool = False
    for_event: Callable[[str, Hook], Hook] = lambda _, hook: hook

    def path(self, site: Site) -> Path:
        """See `Part.path`."""
        return self.locate(site)

    def installed(self, old: bytes | None, site: Site, found: Found) -> bytes | None:
        """See `Part.installed`."""
        document = self.document(old or b"")
        if document.blank:
            found.blank = True
            document.begin()
        found.kept |= self.add(document, self.hook(site))
        return document.to_bytes() + (b"\n" if old is None else b"")

    def removed(self, old: bytes, found: Found) -> bytes | None:
        """See `Part.removed`."""
        document = self.document(old)
        if document.blank:
            return old
        ours = self.is_present(document)
        self.remove(document, found.kept)
        if ours and not document.root.children:
            if found.created:
                return None
            if found.blank:
                document.end()
        return document.to_bytes()

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """See `Part.inspect`."""
        document = self.document(data)
        if document.blank or not self.is_present(document):
            return Inspection(present=False, current=False)
        probe = self.document(data)
        self.add(probe, self.hook(site))
        return Inspection(
            present=True, current=probe.to_bytes() == data, warnings=self._warnings(document)
        )

    def document(self, data: bytes) -> Document:
        """Returns the settings, parsed.

        Raises:
            JsonSyntaxError: they are not the JSON that this agent accepts.
        """
        return Document(data, comments=self.comments)

    def add(self, document: Document, hook: Hook) -> dict[Place, str]:
        """Registers `hook` once for each of `events`, in the place of what is there of ours.

        Returns:
            What was there and empty, see `Document.append`.

        Raises:
            TypeError: the settings have something else where hooks belong.
        """
        kept: dict[Place, str] = {}
        for event in dict.fromkeys((*_events(document), *self.events)):
            own = self.for_event(event, hook)
            group: Hook = {"matcher": "", "hooks": [own]}
            ours = self._ours(document, event)
            stale = ours if event not in self.events else ours[1:]
            for place in reversed(stale):
                document.remove(place, {})
            if event not in self.events:
                continue
            if not ours:
                kept |= document.append(("hooks", event), group)
            else:
                _update(document, ours[0], group if len(ours[0]) == 3 else own)
        return kept

    def remove(self, document: Document, kept: Mapping[Place, str]) -> None:
        """Removes every hook of ours, and what it leaves empty unless it is in `kept`.

        Raises:
            TypeError: the settings have something else where hooks belong.
        """
        for event in _events(document):
            for place in reversed(self._ours(document, event)):
                document.remove(place, kept)

    def is_present(self, document: Document) -> bool:
        """Tells whether anything of ours is in the settings.

        Raises:
            TypeError: as `add`.
        """
        return any(self._ours(document, event) for event in _events(document))

    def places(self, document: Document) -> dict[str, list[Place]]:
        """Returns where our hooks are, by event.

        Raises:
            TypeError: as `add`.
        """
        return {event: self._ours(document, event) for event in _events(document)}

    def _warnings(self, document: Document) -> tuple[str, ...]:
        rules: list[tuple[Place, bool, str]] = [
            ((name,), True, why) for name, why in self.switches.items()
        ]
        rules += [(place, False, why) for place, why in self.needs.items()]
        found = ((place, wrong, why, document.find(place)) for place, wrong, why in rules)
        return tuple(
            f"{dotted(place)}: {why}"
            for place, wrong, why, node in found
            if node and node.value is wrong
        )

    def _ours(self, document: Document, event: str) -> list[Place]:
        """Returns where our hooks for an event are: whole groups, or hooks in a group of others."""
        groups = document.find(("hooks", event))
        if groups is None:
            return []
        if groups.kind != "array":
            raise TypeError(f"{dotted(('hooks', event))} is not an array")
        places: list[Place] = []
        for at, group in enumerate(groups.children):
            hooks = group.node.child("hooks")
            if hooks is None or hooks.node.kind != "array":
                continue
            own = [
                number for number, hook in enumerate(hooks.node.children) if self._is_own(hook.node)
            ]
            if own and len(own) == len(hooks.node.children):
                places.append(("hooks", event, at))
            else:
                places += [("hooks", event, at, "hooks", number) for number in own]
        return places

    def _is_own(self, node: Node) -> bool:
        hook: Any = node.plain()
        return isinstance(hook, dict) and self.is_ours(hook)


def _events(document: Document) -> tuple[str, ...]:
    if document.root.kind != "object" and not document.blank:
        raise TypeError("the root is not an object")
    hooks = document.find(("hooks",))
    if hooks is None:
        return ()
    if hooks.kind != "object":
        raise TypeError("hooks is not an object")
    return tuple(dict.fromkeys(child.key for child in hooks.children if child.key is not None))


def _update(document: Document, place: Place, value: Hook) -> None:
    node = document.find(place)
    if node is not None and node.plain() != value:
        document.replace(place, value)
