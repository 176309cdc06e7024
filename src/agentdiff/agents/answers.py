"""How each agent wants to be told something: the output of its hook.

Owns the envelope, which is the only output that a hook of ours may have.  Must not choose what is
said.  Hop 2, in the other direction.

Claude Code 2.1.197 and 2.1.329, Codex 0.169.0, Gemini CLI 0.61.0 and Qwen Code 0.24.4 read
``hookSpecificOutput.additionalContext`` of a prompt's and of a session start's hook, and put it
into the next request to the model; our opencode plugin does the same.  An agent that is not in the
table is told nothing, because it might show what we print as an error.  Copilot CLI 1.0.102 reads
``additionalContext`` at the top.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agentdiff.core.events import AgentEvent, PromptSubmitted, SessionStarted

_CLAUDE: Final = {SessionStarted: "SessionStart", PromptSubmitted: "UserPromptSubmit"}
_EVENTS: Final[Mapping[str, Mapping[type[AgentEvent], str]]] = MappingProxyType(
    {
        "claude": _CLAUDE,
        "codex": _CLAUDE,
        "copilot": _CLAUDE,
        "gemini": {SessionStarted: "SessionStart", PromptSubmitted: "BeforeAgent"},
        "opencode": {PromptSubmitted: "chat.message"},
        "qwen": _CLAUDE,
    }
)


def can_tell(event: AgentEvent) -> bool:
    """Whether the hook that brought this event may be answered with text for the agent."""
    if (
        event.proxied
        or event.subagent is not None
        or type(event) not in _EVENTS.get(event.agent, {})
    ):
        return False
    return not isinstance(event, PromptSubmitted) or event.by_user


def envelope(event: AgentEvent, text: str) -> str:
    """Returns what the hook prints so that the agent reads `text`; nothing for no text."""
    if not text:
        return ""
    name = _EVENTS[event.agent][type(event)]
    if event.agent == "copilot":
        return json.dumps({"additionalContext": text}, ensure_ascii=False)
    output = {"hookEventName": name, "additionalContext": text}
    return json.dumps({"hookSpecificOutput": output}, ensure_ascii=False)
