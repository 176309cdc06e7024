"""Requests of command line and Neovim → events.

Owns the reading of request parameters (doc/protocol.md, *selection* and its neighbours): every
wrong parameter is a ``usage`` error that names it.  Must not touch disk or state.  Hop 1: a key
press starts here and goes the same road as an agent's hook.
"""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeVar

from agentdiff.core.events import (
    DecisionRequested,
    EditorClaimed,
    HunkPick,
    Selection,
)
from agentdiff.daemon.ports import RequestError

T = TypeVar("T", str, int, bool)

CLAIM_WAIT_NS = 30_000_000_000
"""How far back the time of a claim is believed."""


def optional(params: Mapping[str, object], name: str, kind: type[T]) -> T | None:
    """Returns the parameter, None when it is missing or null.

    Raises:
        RequestError: ``usage``, it has another type.
    """
    value = params.get(name)
    if value is None:
        return None
    # bool is an int in Python, but ``true`` is not a number in JSON.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise RequestError("usage", f"{name}: expected {kind.__name__}, got {value!r}")
    return value


def required(params: Mapping[str, object], name: str, kind: type[T]) -> T:
    """Returns the parameter.

    Raises:
        RequestError: ``usage``, it is missing or has another type.
    """
    value = optional(params, name, kind)
    if value is None:
        raise RequestError("usage", f"{name}: missing")
    return value


def flag(params: Mapping[str, object], name: str) -> bool:
    """Returns a boolean parameter, False when it is missing."""
    return bool(optional(params, name, bool))


def decoded(params: Mapping[str, object], name: str) -> bytes:
    """Returns the bytes of a required ``…_b64`` parameter."""
    try:
        return b64decode(required(params, name, str), validate=True)
    except ValueError as error:  # `binascii.Error`, or characters that are no ASCII
        raise RequestError("usage", f"{name}: not base64: {error}") from error


def folder(params: Mapping[str, object]) -> tuple[Literal["cwd", "workspace"], bytes]:
    """Returns which of ``cwd`` and ``workspace`` names the workspace, and that absolute path.

    Raises:
        RequestError: ``usage``, neither is there, or it is not absolute.
    """
    names: tuple[Literal["workspace", "cwd"], ...] = ("workspace", "cwd")
    for name in names:
        if params.get(f"{name}_b64") is not None:
            path = decoded(params, f"{name}_b64")
        elif (value := optional(params, name, str)) is not None:
            path = os.fsencode(value)
        else:
            continue
        if not path.startswith(b"/") or b"\0" in path:
            raise RequestError("usage", f"{name}: not an absolute path: {path!r}")
        return name, path
    raise RequestError("usage", "cwd: missing (or workspace)")


def inside(path: bytes, root: bytes) -> bytes:
    """Returns a path of a request relative to the workspace root; the root itself is ``b"."``.

    Args:
        path: relative to the root, or absolute (the command line does not know the root).
        root: absolute workspace root, empty to leave `path` as it is.

    Raises:
        RequestError: ``refused``, it is outside; by its text alone: nothing is resolved here.
    """
    if not root:
        return path
    relative = os.path.relpath(os.path.join(root, path), root)
    if relative == b".." or relative.startswith(b"../"):
        shown = path.decode("utf-8", "replace")
        raise RequestError("refused", f"{shown} is outside the workspace {os.fsdecode(root)}")
    return relative


def one_path(value: object, name: str) -> bytes:
    """Returns a path given as a string or as an object with ``path_b64`` (exact) or ``path``.

    Raises:
        RequestError: ``usage``, it is neither, or empty, or holds a NUL.
    """
    if isinstance(value, str):
        path = os.fsencode(value)
    elif isinstance(value, dict) and "path_b64" in value:
        path = decoded(value, "path_b64")
    elif isinstance(value, dict):
        path = os.fsencode(required(value, "path", str))
    else:
        raise RequestError("usage", f"{name}: a path is a string or an object with path_b64")
    if not path or b"\0" in path:
        raise RequestError("usage", f"{name}: not a path: {path!r}")
    return path


def path_of(params: Mapping[str, object], root: bytes = b"") -> bytes:
    """Returns the path of a request about one file (``path_b64``, else ``path``), see `inside`."""
    named = {name: params[name] for name in ("path", "path_b64") if name in params}
    return inside(one_path(named, "path"), root)


def paths(params: Mapping[str, object], root: bytes = b"") -> tuple[bytes, ...]:
    """Returns the parameter ``paths``, empty for everything: it is missing, or names the root."""
    value = params.get("paths")
    if value is None:
        return ()
    if not isinstance(value, list):
        raise RequestError("usage", "paths: expected a list")
    named = tuple(inside(one_path(item, "paths"), root) for item in value)
    return () if b"." in named else named


def _line_range(pick: Mapping[str, object], name: str) -> tuple[int, int] | None:
    """Returns the 0-based half-open line range of a pick, None when it has none."""
    match pick.get(name):
        case None:
            return None
        case [int(start), int(stop)] if 0 <= start <= stop:
            return start, stop
        case value:
            raise RequestError("usage", f"hunks: {name} is not a [from, to) range: {value!r}")


def _picks(value: object) -> tuple[HunkPick, ...]:
    if not isinstance(value, list):
        raise RequestError("usage", "hunks: expected a list")
    picks = []
    for item in value:
        if not isinstance(item, dict):
            raise RequestError("usage", "hunks: expected a list of objects with id")
        old, new = _line_range(item, "old"), _line_range(item, "new")
        if old is not None or new is not None:
            old, new = old or (0, 0), new or (0, 0)
        picks.append(
            HunkPick(
                hunk=required(item, "id", int), gen=optional(item, "gen", int), old=old, new=new
            )
        )
    return tuple(picks)


def owner(params: Mapping[str, object]) -> Selection:
    """Returns a selection of nothing but whose changes are meant."""
    call = optional(params, "call", str)
    return Selection(
        agent=optional(params, "agent", str),
        session=optional(params, "session", str),
        turn=optional(params, "turn", str),
        calls=() if call is None else (call,),
    )


def selection(value: object, root: bytes = b"") -> Selection:
    """Returns the *selection* of doc/protocol.md.

    Raises:
        RequestError: ``usage``, not exactly one of ``all``, ``paths`` and ``hunks`` is given, or
            one is malformed.
    """
    if not isinstance(value, dict):
        raise RequestError("usage", "selection: expected an object")
    everything = flag(value, "all")
    chosen = [name for name in ("paths", "hunks") if value.get(name)] + ["all"] * everything
    if len(chosen) != 1:
        given = " and ".join(chosen) or "none"
        raise RequestError("usage", f"selection: exactly one of all, paths, hunks (given: {given})")
    named = paths(value, root)
    return replace(
        owner(value),
        everything=everything or (chosen == ["paths"] and not named),
        paths=named,
        picks=_picks(value.get("hunks") or []),
        include_external=flag(value, "external"),
        seen=optional(value, "seen", int),
    )


def decision(
    params: Mapping[str, object],
    client: str,
    received_ns: int,
    request: int = 0,
    root: bytes = b"",
) -> DecisionRequested:
    """Reads the parameters of ``decide``; `request` is the engine's own number for the answer."""
    op = required(params, "op", str)
    if op not in ("accept", "reject"):
        raise RequestError("usage", f"op: accept or reject, not {op!r}")
    return DecisionRequested(
        op="accept" if op == "accept" else "reject",
        selection=selection(params.get("selection"), root),
        client=client,
        received_ns=received_ns,
        request=request,
        reason=optional(params, "reason", str) or "",
        discard_user=flag(params, "discard_user"),
    )


def claim(params: Mapping[str, object], client: str, received_ns: int) -> EditorClaimed:
    """Reads the notification ``claim``; its path is relative to the workspace root.

    A claim that waited, for a daemon or for the editor's own host, says when it was made: what was
    seen before that cannot be its write.  Not further back than `CLAIM_WAIT_NS`, so that it does
    not expire on arrival.  A proof says when its write had not begun yet.
    """

    def believed(name: str, otherwise_ns: int) -> int:
        said_ns = (optional(params, name, int) or 0) * 1000
        return max(said_ns, received_ns - CLAIM_WAIT_NS) if said_ns else otherwise_ns

    at_ns = min(believed("at_us", received_ns), received_ns)
    return EditorClaimed(
        client=client,
        path=path_of(params),
        data=decoded(params, "data_b64"),
        written=flag(params, "written"),
        received_ns=at_ns,
        since_ns=min(believed("since_us", at_ns), at_ns),
    )
