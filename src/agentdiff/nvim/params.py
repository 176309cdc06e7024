"""Parameters of requests that come from what Lua sent.

Owns how a folder and a file are named to the daemon.  Must not do any I/O.  Hop 1.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.paths import path_param, relative, resolve
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


def decided(payload: Json, selection: Json, workspace: Workspace) -> Json:
    """Returns the parameters of `decide`: what is selected, as far as the payload's filters go."""
    filters = ("agent", "session", "turn", "external")
    chosen = {**selection, **{name: payload[name] for name in filters if payload.get(name)}}
    extra = {name: payload[name] for name in ("reason", "discard_user") if payload.get(name)}
    return {**workspace.params, "op": payload["op"], "selection": chosen, **extra}
