"""Parameters of requests that come from what Lua sent.

Owns how a folder and a file are named to the daemon.  Must not do any I/O, but for the look that
resolves links.  Hop 1.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.paths import path_key, path_param, relative, resolve, to_bytes
from agentdiff.nvim.screen import Workspace

Json: TypeAlias = dict[str, Any]


def folder_param(path: bytes) -> str:
    """Returns an absolute folder as JSON can hold it.

    Raises:
        RequestError: the name is not UTF-8; the protocol names workspaces by text.
    """
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError("refused", f"the folder's name is not UTF-8: {path!r}") from error


def exact(params: Json, payload: Json, workspace: Workspace) -> Json:
    """Adds the path of the payload's file to the parameters, relative and exact.

    Raises:
        RequestError: the file is in no workspace.
    """
    if not payload.get("path"):
        return params
    inside = relative(resolve(payload["path"]), workspace.root)
    if inside is None:
        raise RequestError("refused", f"{payload['path']} is in no workspace")
    named = path_param(inside)
    if payload.get("as_list"):
        return {**params, "paths": [named.get("path", named)]}
    return {**params, **named}


def filters(payload: Json, workspace: Workspace) -> Json:
    """Returns what a review is limited to: a ``path`` that is absolute becomes relative and exact.

    A name that is not UTF-8 is there twice: to be shown (``path``) and to be meant (``path_b64``).
    Without a ``group`` that of the open review stays, else it is the payload's.

    Raises:
        RequestError: the path is not in the workspace.
    """
    chosen = dict(payload.get("filters") or {})
    group = (workspace.review or {}).get("group") or payload.get("group")
    if group:
        chosen.setdefault("group", group)
    given = to_bytes(chosen.get("path") or "")
    if not given.startswith(b"/"):
        return chosen
    # A link at its end is itself what is under review, not what it leads to.
    folder, name = os.path.split(given)
    path = os.path.normpath(os.path.join(os.path.realpath(folder), name))
    if path == workspace.root:
        return {key: value for key, value in chosen.items() if key != "path"}
    inside = relative(path, workspace.root)
    if inside is None:
        shown, root = path_key(path), path_key(workspace.root)
        raise RequestError("refused", f"{shown} is outside the workspace {root}")
    return {**chosen, "path": path_key(inside), **path_param(inside)}


def decided(payload: Json, selection: Json, workspace: Workspace) -> Json:
    """Returns the parameters of `decide`: what is selected, as far as the payload's filters go."""
    filters = ("agent", "session", "turn", "call", "external")
    chosen = {**selection, **{name: payload[name] for name in filters if payload.get(name)}}
    extra = {name: payload[name] for name in ("reason", "discard_user") if payload.get(name)}
    return {**workspace.params, "op": payload["op"], "selection": chosen, **extra}
