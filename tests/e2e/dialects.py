"""How model APIs put what a scripted model says: those of Anthropic, OpenAI (two) and Google.

Owns the shapes of requests and answers, as the agents sent and accepted them (Claude Code 2.1.197
and 2.1.329, Codex 0.169.0, Gemini CLI 0.61.0, opencode 1.18.33, Qwen Code 0.24.4, Copilot CLI
1.0.102).  Must not know sockets (`e2e.model_server`).  A dialect more is one object in `DIALECTS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

from e2e.scenario import Step, call_id

_CHUNK_CHARS = 200
_MESSAGES_USAGE = {"input_tokens": 1, "output_tokens": 1}
_RESPONSES_USAGE = {
    "input_tokens": 1,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 1,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 2,
}
_NEW_TASK = "Message Type: NEW_TASK"
_OWN = ("function_call", "custom_tool_call", "reasoning")
_CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a request says of the conversation.

    Attributes:
        first: the text of the first thing that the user said: a prompt, or a subagent's task.
        index: how many messages the model has said.
        tools: whether the model may call tools; else the agent wants a title or the like.
        stream: whether the answer is wanted piece by piece.
        model: its name.
        helper: what to answer where there are no tools.
    """

    first: str
    index: int
    tools: bool
    stream: bool
    model: str = "scripted"
    helper: str = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The message that the model says."""

    model: str
    track: str
    index: int
    step: Step

    def calls(self) -> Iterator[tuple[str, str, dict[str, object]]]:
        """Yields id, tool and arguments of each call of a tool with a schema."""
        for identity, tool, given in self.any_calls():
            if not isinstance(given, str):
                yield identity, tool, given

    def any_calls(self) -> Iterator[tuple[str, str, dict[str, object] | str]]:
        """Yields id, tool and arguments (of a tool without a schema: its text) of each call."""
        for number, call in enumerate(self.step.calls):
            given = call.input if isinstance(call.input, str) else dict(call.input)
            yield call_id(self.track, self.index, number), call.tool, given


class Dialect(Protocol):
    """One API."""

    @property
    def named(self) -> bool:
        """Whether each piece of a stream is named after its ``type``."""

    @property
    def farewell(self) -> str:
        """What ends a stream, empty for nothing."""

    def speaks(self, path: str) -> bool:
        """Whether a request to this path is in this dialect."""

    def hear(self, path: str, request: dict[str, Any]) -> Heard:
        """Returns what a request says."""

    def plain(self, said: Said) -> dict[str, Any]:
        """Returns a message as a whole."""

    def stream(self, said: Said) -> Iterator[dict[str, Any]]:
        """Yields a message piece by piece."""


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(block.get("text") or "" for block in content or ())


def _pieces(arguments: dict[str, object]) -> Iterator[str]:
    text = json.dumps(arguments)
    yield from (text[at : at + _CHUNK_CHARS] for at in range(0, len(text), _CHUNK_CHARS))


class Messages:
    """Anthropic's Messages API."""

    named = True
    farewell = ""

    def speaks(self, path: str) -> bool:
        """See `Dialect.speaks`."""
        return path == "/v1/messages"

    def hear(self, path: str, request: dict[str, Any]) -> Heard:
        """See `Dialect.hear`."""
        del path
        messages = request.get("messages", [])
        users = (_text(m["content"]) for m in messages if m["role"] == "user")
        return Heard(
            first=next(users, ""),
            index=sum(message["role"] == "assistant" for message in messages),
            tools=bool(request.get("tools")),
            stream=bool(request.get("stream")),
            model=request.get("model", "scripted"),
        )

    def plain(self, said: Said) -> dict[str, Any]:
        """See `Dialect.plain`."""
        content: list[dict[str, Any]] = []
        if said.step.text:
            content.append({"type": "text", "text": said.step.text})
        for identity, tool, arguments in said.calls():
            content.append({"type": "tool_use", "id": identity, "name": tool, "input": arguments})
        return {
            "id": f"msg_{said.track}_{said.index:02d}",
            "type": "message",
            "role": "assistant",
            "model": said.model,
            "content": content,
            "stop_reason": "tool_use" if said.step.calls else "end_turn",
            "stop_sequence": None,
            "usage": _MESSAGES_USAGE,
        }

    def stream(self, said: Said) -> Iterator[dict[str, Any]]:
        """See `Dialect.stream`."""
        message = self.plain(said)
        opening = {**message, "content": [], "stop_reason": None}
        yield {"type": "message_start", "message": opening}
        for index, block in enumerate(message["content"]):
            if block["type"] == "text":
                empty = {**block, "text": ""}
                deltas = [{"type": "text_delta", "text": block["text"]}]
            else:
                empty = {**block, "input": {}}
                deltas = [
                    {"type": "input_json_delta", "partial_json": piece}
                    for piece in _pieces(block["input"])
                ]
            yield {"type": "content_block_start", "index": index, "content_block": empty}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": stop, "usage": _MESSAGES_USAGE}
        yield {"type": "message_stop"}


class Chat:
    """OpenAI's Chat Completions API."""

    named = False
    farewell = "[DONE]"

    def speaks(self, path: str) -> bool:
        """See `Dialect.speaks`."""
        return path.endswith("/chat/completions")

    def hear(self, path: str, request: dict[str, Any]) -> Heard:
        """See `Dialect.hear`."""
        del path
        messages = request.get("messages", [])
        users = (_text(m.get("content")) for m in messages if m["role"] == "user")
        return Heard(
            first=next(users, ""),
            index=sum(message["role"] == "assistant" for message in messages),
            tools=bool(request.get("tools")),
            stream=bool(request.get("stream")),
            model=request.get("model", "scripted"),
        )

    def plain(self, said: Said) -> dict[str, Any]:
        """See `Dialect.plain`."""
        message: dict[str, Any] = {"role": "assistant", "content": said.step.text or None}
        if said.step.calls:
            message["tool_calls"] = [
                {
                    "id": identity,
                    "type": "function",
                    "function": {"name": tool, "arguments": json.dumps(arguments)},
                }
                for identity, tool, arguments in said.calls()
            ]
        choice = {"index": 0, "message": message, "finish_reason": self._reason(said)}
        return {**self._base(said, ""), "choices": [choice], "usage": _CHAT_USAGE}

    def stream(self, said: Said) -> Iterator[dict[str, Any]]:
        """See `Dialect.stream`."""
        base = self._base(said, ".chunk")

        def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
            return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

        yield chunk({"role": "assistant", "content": said.step.text})
        for number, (identity, tool, arguments) in enumerate(said.calls()):
            function = {"name": tool, "arguments": ""}
            opening = {"index": number, "id": identity, "type": "function", "function": function}
            yield chunk({"tool_calls": [opening]})
            for piece in _pieces(arguments):
                yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
        yield chunk({}, self._reason(said))
        yield {**base, "choices": [], "usage": _CHAT_USAGE}

    @staticmethod
    def _reason(said: Said) -> str:
        return "tool_calls" if said.step.calls else "stop"

    @staticmethod
    def _base(said: Said, suffix: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl_{said.track}_{said.index:02d}",
            "object": f"chat.completion{suffix}",
            "created": 1_795_244_000,
            "model": said.model,
        }


class Responses:
    """OpenAI's Responses API, as Codex 0.169.0 uses it."""

    named = True
    farewell = ""

    def speaks(self, path: str) -> bool:
        """See `Dialect.speaks`."""
        return path.endswith("/responses")

    def hear(self, path: str, request: dict[str, Any]) -> Heard:
        """See `Dialect.hear`.

        One message of the model is a run of neighbouring items.  The tools of models in code mode
        are an item of the input, and their subagents' conversations begin with a copy of the
        parent's, which ends where the task is given.
        """
        del path
        items = request.get("input", [])
        extra = any(item.get("type") == "additional_tools" for item in items)
        tasks = [at for at, item in enumerate(items) if _NEW_TASK in _text(item.get("content"))]
        items = items[tasks[-1] :] if tasks else items
        own = [item.get("role") == "assistant" or item.get("type") in _OWN for item in items]
        users = ("user", None) if tasks else ("user",)
        texts = (_text(item.get("content")) for item in items if item.get("role") in users)
        return Heard(
            first="\n".join(texts),
            index=sum(is_own and not before for before, is_own in pairwise([False, *own])),
            tools=bool(request.get("tools")) or extra,
            stream=bool(request.get("stream")),
            model=request.get("model", "scripted"),
        )

    def plain(self, said: Said) -> dict[str, Any]:
        """See `Dialect.plain`."""
        return {
            **self._base(said),
            "status": "completed",
            "output": self._items(said),
            "usage": _RESPONSES_USAGE,
        }

    def stream(self, said: Said) -> Iterator[dict[str, Any]]:
        """See `Dialect.stream`."""
        opening = {**self._base(said), "status": "in_progress", "output": []}
        yield {"type": "response.created", "response": opening}
        for index, item in enumerate(self._items(said)):
            started = {**item, "status": "in_progress"}
            yield {"type": "response.output_item.added", "output_index": index, "item": started}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": self.plain(said)}

    @staticmethod
    def _items(said: Said) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        if said.step.text or not said.step.calls:
            content = [{"type": "output_text", "text": said.step.text, "annotations": []}]
            items.append(
                {
                    "type": "message",
                    "id": f"msg_{said.track}_{said.index:02d}",
                    "role": "assistant",
                    "status": "completed",
                    "content": content,
                }
            )
        for identity, tool, given in said.any_calls():
            namespace, _, name = tool.rpartition(".")
            items.append(
                {
                    "id": f"item_{identity}",
                    "call_id": identity,
                    "name": name,
                    "status": "completed",
                    **({"namespace": namespace} if namespace else {}),
                    **(
                        {"type": "custom_tool_call", "input": given}
                        if isinstance(given, str)
                        else {"type": "function_call", "arguments": json.dumps(given)}
                    ),
                }
            )
        return items

    @staticmethod
    def _base(said: Said) -> dict[str, Any]:
        return {
            "id": f"resp_{said.track}_{said.index:02d}",
            "object": "response",
            "created_at": 1_795_244_000,
            "model": said.model,
        }


class Generate:
    """Google's ``generateContent``; it has no ids of calls."""

    named = False
    farewell = ""

    def speaks(self, path: str) -> bool:
        """See `Dialect.speaks`."""
        return path.endswith((":generateContent", ":streamGenerateContent"))

    def hear(self, path: str, request: dict[str, Any]) -> Heard:
        """See `Dialect.hear`.

        Gemini CLI puts a message of its own before the user's, and splits one message of the model
        into several neighbours.
        """
        contents = request.get("contents", [])
        roles = [content.get("role") for content in contents]
        texts = (_text(c.get("parts")) for c in contents if c.get("role") == "user")
        tools = request.get("tools", [])
        kind = request.get("generationConfig", {}).get("responseMimeType") or ""
        choice = {"reasoning": "scripted", "next_speaker": "user", "model_choice": "flash"}
        return Heard(
            first="\n".join(texts),
            index=sum(
                role == "model" and before != "model"
                for before, role in zip([None, *roles], roles, strict=False)
            ),
            tools=any(tool.get("functionDeclarations") for tool in tools),
            stream=path.endswith(":streamGenerateContent"),
            helper=json.dumps(choice) if "json" in kind else "ok",
        )

    def plain(self, said: Said) -> dict[str, Any]:
        """See `Dialect.plain`."""
        return self._answer(said, self._parts(said), finished=True)

    def stream(self, said: Said) -> Iterator[dict[str, Any]]:
        """See `Dialect.stream`."""
        parts = self._parts(said)
        for number, part in enumerate(parts, 1):
            yield self._answer(said, [part], finished=number == len(parts))

    @staticmethod
    def _parts(said: Said) -> list[dict[str, Any]]:
        text = [{"text": said.step.text}] if said.step.text else []
        calls = [
            {"functionCall": {"name": tool, "args": arguments}}
            for _, tool, arguments in said.calls()
        ]
        return [*text, *calls]

    @staticmethod
    def _answer(said: Said, parts: list[dict[str, Any]], *, finished: bool) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finished:
            candidate["finishReason"] = "STOP"
        return {
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": 1,
                "candidatesTokenCount": 1,
                "totalTokenCount": 2,
            },
            "modelVersion": said.model,
            "responseId": f"r_{said.track}_{said.index:02d}",
        }


DIALECTS: tuple[Dialect, ...] = (Messages(), Chat(), Responses(), Generate())
