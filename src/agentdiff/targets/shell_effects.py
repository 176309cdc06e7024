"""What a command line does to files, as far as can be told; and one call of a program.

Owns `ShellTargets`, the result, and `Call`, through which the tables of programs speak.  Must not
know any program.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from agentdiff.targets.shell_syntax import Word

EffectKind: TypeAlias = Literal["write", "create", "delete", "move-from", "move-to", "mode"]
Cwds: TypeAlias = frozenset[bytes] | None
"""Where a command may run: absolute paths, or None when it is not known."""

MAX_EFFECTS: Final = 200
MAX_CWDS: Final = 8

_DEVICES: Final = frozenset(
    b"/dev/" + name
    for name in (b"null", b"zero", b"full", b"tty", b"stdin", b"stdout", b"stderr", b"random")
)
_DEVICE_FOLDERS: Final = (b"/dev/fd/", b"/dev/pts/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One path that may be changed.

    Attributes:
        path: absolute, dots removed from its text, not resolved; nothing about it is trusted.
        kind: ``write`` content (there or not before), ``create`` a file, link or folder,
            ``delete``, ``move-from`` and ``move-to``, ``mode`` permissions or owner.
        deep: whether everything below it may be changed as well.
    """

    path: bytes
    kind: EffectKind
    deep: bool = False

    def covers(self, path: bytes) -> bool:
        """Whether a path is the one of this effect or, for a deep one, lies below it."""
        return path == self.path or (self.deep and path.startswith(self.path.rstrip(b"/") + b"/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellTargets:
    """What a command line may change.

    Attributes:
        effects: the paths that are known, in the order of the text, each once.
        reasons: why other paths may be changed as well; empty when `effects` is complete.
    """

    effects: tuple[Effect, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether it may touch anything."""
        return bool(self.reasons)

    @property
    def readonly(self) -> bool:
        """Whether it is proved that nothing is written, git's own folder aside."""
        return not self.reasons and not self.effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    """One argument of a program.

    Attributes:
        text: what the program gets, None when only a shell could know.
        head: the literal text that it starts with.
        globs: whether only file names decide it.  That a file name starts with ``-`` is not
            reckoned with.
    """

    text: str | None
    head: str = ""
    globs: bool = False

    @property
    def may_be_option(self) -> bool:
        """Whether the program may take it for an option."""
        if self.text is not None:
            return self.text.startswith("-") and len(self.text) > 1
        return self.head.startswith("-") or (not self.head and not self.globs)


UNKNOWN_NAME: Final = Arg(text=None, globs=True)
"""A file name that another program finds (``xargs``, ``find -exec``)."""


@dataclass(slots=True)
class Notes:
    """What was found so far."""

    effects: dict[Effect, None] = field(default_factory=dict)
    reasons: dict[str, None] = field(default_factory=dict)

    def targets(self) -> ShellTargets:
        """Returns the result."""
        return ShellTargets(effects=tuple(self.effects), reasons=tuple(self.reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One program with its arguments, and where its effects are noted.

    Attributes:
        name: the program, without its folder.
        args: its arguments.
        cwds: where it may run.
        stdin: the here-document that it reads, None when it reads something else.
        notes: shared by the whole command line.
        run: looks at another call that this one makes: its words, program first.
    """

    name: str
    args: Sequence[Arg]
    cwds: Cwds
    stdin: Word | None
    notes: Notes
    run: Callable[[Sequence[Arg], Cwds], None]

    def unknown(self, reason: str) -> None:
        """Notes that anything may be touched."""
        self.notes.reasons[reason] = None

    def note(self, kind: EffectKind, arg: Arg, *, deep: bool = False, below: str = "") -> None:
        """Notes the path that an argument names, or the one called `below` in it."""
        if arg.text is None:
            self.unknown(f"{self.name} changes a path that only the shell knows")
            return
        if not arg.text:
            return
        path = posixpath.join(arg.text, below) if below else arg.text
        for place in places(path, self.cwds):
            self.note_path(kind, place, deep=deep)
        if self.cwds is None and not path.startswith("/"):
            self.unknown("changes a path below a folder that is not known")

    def note_path(self, kind: EffectKind, path: bytes, *, deep: bool = False) -> None:
        """Notes an absolute path."""
        if path in _DEVICES or path.startswith(_DEVICE_FOLDERS):
            return
        if len(self.notes.effects) >= MAX_EFFECTS:
            self.unknown(f"names more than {MAX_EFFECTS} paths")
            return
        self.notes.effects[Effect(path=path, kind=kind, deep=deep)] = None


def places(path: str, cwds: Cwds) -> list[bytes]:
    """Returns where a path may be, from each folder; none when it is relative to the unknown."""
    raw = path.encode("latin-1")
    if raw.startswith(b"/"):
        return [_plain(raw)]
    return [_plain(posixpath.join(cwd, raw)) for cwd in sorted(cwds or ())]


def _plain(path: bytes) -> bytes:
    return b"/" + posixpath.normpath(path).lstrip(b"/")


def joined(left: Cwds, right: Cwds) -> Cwds:
    """Returns the folders of both; too many are not known."""
    if left is None or right is None:
        return None
    both = left | right
    return both if len(both) <= MAX_CWDS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options that a program knows: letters and long names, alone or with a value."""

    flags: str = ""
    takes: str = ""
    long_flags: frozenset[str] = frozenset()
    long_takes: frozenset[str] = frozenset()
    stops: bool = False
    """Whether options end at the first operand, as for a program that runs another one."""


@dataclass(slots=True)
class Given:
    """The options and operands of one call; an option given without a value has None."""

    options: dict[str, list[Arg | None]] = field(default_factory=dict)
    operands: list[Arg] = field(default_factory=list)

    def has(self, *names: str) -> bool:
        """Whether one of these options is given."""
        return any(name in self.options for name in names)

    def value(self, *names: str) -> Arg | None:
        """Returns the last value of these options."""
        values = [value for name in names for value in self.options.get(name, [])]
        return values[-1] if values else None


def read_options(args: Sequence[Arg], known: Options) -> Given | None:
    """Returns what is given; None when an argument may be an option that is not known."""
    given = Given()
    todo = list(reversed(args))
    while todo:
        arg = todo.pop()
        if not arg.may_be_option:
            given.operands.append(arg)
            if known.stops:
                break
            continue
        if arg.text is None:
            return None
        if arg.text == "--":
            break
        if not (_long if arg.text.startswith("--") else _short)(arg.text, known, given, todo):
            return None
    given.operands += reversed(todo)
    return given


def _long(text: str, known: Options, given: Given, todo: list[Arg]) -> bool:
    name, equals, value = text[2:].partition("=")
    found: Arg | None = Arg(text=value, head=value) if equals else None
    if name in known.long_takes and not equals:
        if not todo:
            return False
        found = todo.pop()
    elif name not in known.long_takes and name not in known.long_flags:
        return False  # a flag may have an optional value, which is always joined to it
    given.options.setdefault(name, []).append(found)
    return True


def _short(text: str, known: Options, given: Given, todo: list[Arg]) -> bool:
    for at, letter in enumerate(text[1:], start=2):
        found: Arg | None = None
        if letter in known.takes:
            rest = text[at:]
            if not rest and not todo:
                return False
            found = Arg(text=rest, head=rest) if rest else todo.pop()
        elif letter not in known.flags:
            return False
        given.options.setdefault(letter, []).append(found)
        if found is not None:
            break
    return True
