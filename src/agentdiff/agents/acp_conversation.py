"""One connection of the Agent Client Protocol, followed from outside.

Owns what has to be remembered between messages: which request an answer belongs to, what is known
of a tool call, which turn is under way.  Must not read or write: it is fed the messages of both
sides and returns what the daemon is to be told.  Hop 2, before `agentdiff.agents.acp`.

A message that makes no sense is passed over: the two sides know better than we do what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Json: TypeAlias = dict[str, Any]

_FIELDS: Final = ("title", "kind", "status", "content", "locations", "rawInput", "_meta")
_OVER: Final = frozenset({"completed", "failed", "cancelled"})
_OF_PATHS: Final = frozenset({"edit", "delete", "move"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the daemon is to be told.

    Attributes:
        payload: for `agentdiff.agents.acp.parse`.
        held: the message may go on only when the baseline is taken.
    """

    payload: bytes = field(repr=False)
    held: bool = False


@dataclass(slots=True)
class _Session:
    cwd: str
    turn: str = ""
    loading: bool = False
    calls: dict[str, Json] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)


class Conversation:
    """Both directions of one connection.

    Args:
        agent: its name; the same as that of its own hooks, so that both tell of one session.
        nonce: makes ids of turns unique among connections to the same session.
        cwd: where the proxy runs, for sessions that say no folder.
    """

    def __init__(self, agent: str, nonce: str, cwd: str) -> None:
        self._agent = agent
        self._nonce = nonce
        self._cwd = cwd
        self._turns = 0
        self._sessions: dict[str, _Session] = {}
        self._asked_by_client: dict[str, tuple[str, Json]] = {}
        self._asked_by_agent: dict[str, tuple[str, str, str]] = {}
        self._terminals: dict[str, tuple[str, str]] = {}

    # --- what the two sides say ------------------------------------------------------------------

    def from_client(self, message: object) -> list[Told]:
        """Takes a message on its way to the agent."""
        if not isinstance(message, dict):
            return []
        method, params = message.get("method"), _object(message.get("params"))
        if method is None:
            return self._answered_by_client(message)
        if "id" in message:
            self._asked_by_client[_key(message["id"])] = (str(method), params)
        name = str(params.get("sessionId", ""))
        if method in ("session/load", "session/resume") and name:
            self._sessions[name] = _Session(self._folder(params), loading=True)
            return [self._told("session", name, reason="resume")]
        if method == "session/prompt" and name:
            return self._prompt(name, params)
        if method in ("session/close", "session/delete") and name in self._sessions:
            return self._close(name)
        return []

    def from_agent(self, message: object) -> list[Told]:
        """Takes a message on its way to the client."""
        if not isinstance(message, dict):
            return []
        method, params = message.get("method"), _object(message.get("params"))
        if method is None:
            return self._answered_by_agent(message)
        handler = self._HANDLERS.get(str(method))
        name = str(params.get("sessionId", ""))
        if handler is None or not name:
            return []
        self._sessions.setdefault(name, _Session(self._cwd))
        return handler(self, name, params, _key(message.get("id")))

    def end(self) -> list[Told]:
        """Says what ends with the connection."""
        return [told for name in list(self._sessions) for told in self._close(name)]

    # --- the client's requests and their answers -------------------------------------------------

    def _prompt(self, name: str, params: Json) -> list[Told]:
        session = self._sessions.setdefault(name, _Session(self._folder(params)))
        self._turns += 1
        session.turn = f"acp-{self._nonce}-{self._turns}"
        blocks = params.get("prompt")
        texts = [
            str(block.get("text", ""))
            for block in (blocks if isinstance(blocks, list) else [])
            if isinstance(block, dict) and block.get("type") == "text"
        ]
        return [self._told("prompt", name, held=True, prompt="\n".join(texts))]

    def _answered_by_agent(self, message: Json) -> list[Told]:
        method, params = self._asked_by_client.pop(_key(message.get("id")), ("", {}))
        result = message.get("result")
        if method in ("session/new", "session/fork") and isinstance(result, dict):
            name = str(result.get("sessionId", ""))
            if not name:
                return []
            self._sessions[name] = _Session(self._folder(params))
            return [self._told("session", name)]
        name = str(params.get("sessionId", ""))
        session = self._sessions.get(name)
        if session is None:
            return []
        if method in ("session/load", "session/resume"):
            session.loading = False  # what was told meanwhile was history
        elif method == "session/prompt" and ("error" in message or _stop_reason(result)):
            return [self._told("turn_end", name)]
        return []

    def _close(self, name: str) -> list[Told]:
        told = self._told("session_end", name)
        del self._sessions[name]
        return [told]

    # --- what the agent tells and asks -----------------------------------------------------------

    def _update(self, name: str, params: Json, _: str) -> list[Told]:
        session, update = self._sessions[name], _object(params.get("update"))
        if session.loading:
            return []
        match update.get("sessionUpdate"):
            case "tool_call" | "tool_call_update":
                return self._called(name, update)
            case "state_update" if update.get("state") == "idle":
                # Version 2: the answer to a prompt only says that it was taken.
                return [self._told("turn_end", name)]
            case _:
                return []

    def _called(self, name: str, update: Json, *, asked: bool = False) -> list[Told]:
        """Puts together what is known of a call; tells of its start and of its end, once each."""
        session, call_id = self._sessions[name], str(update.get("toolCallId", ""))
        if not call_id or call_id in session.over:
            return []
        call = session.calls.setdefault(call_id, {"toolCallId": call_id})
        call.update({key: update[key] for key in _FIELDS if update.get(key) is not None})
        told = []
        if call_id not in session.open and (asked or _ready(call)):
            session.open[call_id] = None
            told.append(self._told("call", name, held=asked, call=call, permission=asked))
        elif asked:
            told.append(self._told("call", name, held=True, call=call, permission=True))
        if _text(call.get("status")) in _OVER:
            told += self._over(name, call_id, str(call["status"]))
        return told

    def _over(self, name: str, call_id: str, status: str) -> list[Told]:
        session = self._sessions[name]
        call = {**session.calls.pop(call_id, {"toolCallId": call_id}), "status": status}
        session.open.pop(call_id, None)
        session.over.add(call_id)
        return [self._told("call_end", name, call=call)]

    def _permission(self, name: str, params: Json, request: str) -> list[Told]:
        call = _object(params.get("toolCall"))
        told = self._called(name, call, asked=True)
        refusing = [
            str(option.get("optionId"))
            for option in _list(params.get("options"))
            if isinstance(option, dict) and str(option.get("kind", "")).startswith("reject")
        ]
        call_id = str(call.get("toolCallId", ""))
        self._asked_by_agent[request] = ("permission", name, call_id)
        self._asked_by_client[f"refusing {request}"] = ("", {"options": refusing})
        return told

    def _write(self, name: str, params: Json, request: str) -> list[Told]:
        """The client writes for the agent; part of the call that has named the file, if one has."""
        session, path = self._sessions[name], _text(params.get("path"))
        named = [one for one in session.open if path in _paths(session.calls.get(one, {}))]
        if named:
            return [self._told("call", name, held=True, call=session.calls[named[-1]])]
        call_id = f"fs-{self._nonce}-{request}"
        content = {"type": "diff", "path": path, "oldText": None, "newText": params.get("content")}
        call = {"toolCallId": call_id, "kind": "edit", "title": "write", "content": [content]}
        session.calls[call_id] = call
        session.open[call_id] = None
        self._asked_by_agent[request] = ("write", name, call_id)
        return [self._told("call", name, held=True, call=call)]

    def _terminal(self, name: str, params: Json, request: str) -> list[Told]:
        """The client runs a command for the agent."""
        session, call_id = self._sessions[name], f"terminal-{self._nonce}-{request}"
        words = [params.get("command"), *_list(params.get("args"))]
        line = " ".join(str(word) for word in words)
        call = {"toolCallId": call_id, "kind": "execute", "title": line}
        session.calls[call_id] = call
        session.open[call_id] = None
        self._asked_by_agent[request] = ("terminal", name, call_id)
        return [self._told("call", name, held=True, call=call)]

    def _waits(self, name: str, params: Json, request: str) -> list[Told]:
        _, call_id = self._terminals.get(str(params.get("terminalId")), ("", ""))
        if call_id:
            self._asked_by_agent[request] = ("exit", name, call_id)
        return []

    def _released(self, name: str, params: Json, _: str) -> list[Told]:
        _, call_id = self._terminals.pop(str(params.get("terminalId")), ("", ""))
        session = self._sessions[name]
        return self._over(name, call_id, "completed") if call_id in session.open else []

    def _answered_by_client(self, message: Json) -> list[Told]:
        request, failed = _key(message.get("id")), "error" in message
        kind, name, call_id = self._asked_by_agent.pop(request, ("", "", ""))
        _, more = self._asked_by_client.pop(f"refusing {request}", ("", {}))
        session, result = self._sessions.get(name), _object(message.get("result"))
        if session is None or call_id not in session.open:
            return []
        if kind == "permission":
            outcome = _object(result.get("outcome"))
            refused = failed or outcome.get("outcome") == "cancelled"
            refused = refused or str(outcome.get("optionId")) in more.get("options", [])
            return self._over(name, call_id, "denied") if refused else []
        if kind == "terminal" and not failed:
            self._terminals[str(result.get("terminalId"))] = (name, call_id)
            return []
        code = result.get("exitCode")
        failed = failed or (kind == "exit" and code not in (0, None))
        return self._over(name, call_id, "failed" if failed else "completed")

    # --- helpers ---------------------------------------------------------------------------------

    def _folder(self, params: Json) -> str:
        cwd = params.get("cwd")
        return cwd if isinstance(cwd, str) and cwd.startswith("/") else self._cwd

    def _told(self, event: str, name: str, *, held: bool = False, **fields: object) -> Told:
        session = self._sessions[name]
        message = {
            "event": event,
            "agent": self._agent,
            "session": name,
            "cwd": session.cwd,
            "turn": session.turn,
            "held": held,
            **fields,
        }
        return Told(payload=json.dumps(message).encode("ascii"), held=held)

    _HANDLERS: Final[Mapping[str, Callable[[Conversation, str, Json, str], list[Told]]]] = {
        "session/update": _update,
        "session/request_permission": _permission,
        "fs/write_text_file": _write,
        "terminal/create": _terminal,
        "terminal/wait_for_exit": _waits,
        "terminal/release": _released,
    }


def _ready(call: Json) -> bool:
    """Whether enough is known to say what a call will touch."""
    kind, status = _text(call.get("kind")), _text(call.get("status"))
    if kind in _OF_PATHS:
        return bool(_paths(call)) or status in _OVER
    if kind == "execute":
        return "command" in _object(call.get("rawInput")) or status != "pending"
    return bool(_paths(call)) or status in ("in_progress", *_OVER)


def _paths(call: Json) -> set[object]:
    """Returns the paths that a call names, as they are written."""
    diffs = [_object(one) for one in _list(call.get("content"))]
    changes = [_object(one) for diff in diffs for one in _list(diff.get("changes"))]
    places = [_object(one) for one in _list(call.get("locations"))]
    named = (one.get("path") for one in (*diffs, *changes, *places))
    return {path for path in named if isinstance(path, str)}


def _stop_reason(result: object) -> bool:
    return isinstance(result, dict) and result.get("stopReason") is not None


def _key(value: object) -> str:
    """Returns an id of a request: ``1`` and ``"1"`` are two."""
    return json.dumps(value)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
