"""An editor plugin as far as the Agent Client Protocol goes: the official SDK, a user who allows.

Owns one conversation: one session, its prompts.  Must not know agentdiff.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import acp
from acp.schema import AllowedOutcome, ClientCapabilities, DeniedOutcome, FileSystemCapabilities

DEADLINE_S = 120.0


@dataclass
class User(acp.Client):
    """What the agent asks of the client.

    Attributes:
        allow: the answer to every request for permission.
        asked: titles of the calls that permission was asked for.
        written: paths that the client wrote for the agent.
    """

    allow: bool = True
    asked: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    async def request_permission(
        self, session_id: str, tool_call: Any, options: Any, **kwargs: Any
    ) -> acp.RequestPermissionResponse:
        """Chooses "once", or refuses."""
        self.asked.append(str(tool_call.title))
        wanted = "allow_once" if self.allow else "reject_once"
        for option in options:
            if option.kind == wanted:
                chosen = AllowedOutcome(outcome="selected", option_id=option.option_id)
                return acp.RequestPermissionResponse(outcome=chosen)
        return acp.RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def session_update(self, session_id: str, update: Any, **kwargs: Any) -> None:
        """Shows nothing."""

    async def write_text_file(
        self, session_id: str, path: str, content: str, **kwargs: Any
    ) -> acp.WriteTextFileResponse:
        """Writes for the agent, as an editor saves its buffer."""
        self.written.append(path)
        await asyncio.to_thread(Path(path).write_bytes, content.encode())
        return acp.WriteTextFileResponse()

    async def read_text_file(
        self,
        session_id: str,
        path: str,
        line: int | None = None,
        limit: int | None = None,
        **kwargs: Any,
    ) -> acp.ReadTextFileResponse:
        """Reads for the agent."""
        try:
            data = await asyncio.to_thread(Path(path).read_bytes)
        except FileNotFoundError:
            data = b""  # as of a buffer that was never saved; Gemini CLI knows no error here
        return acp.ReadTextFileResponse(content=data.decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a conversation."""

    session: str
    stopped: tuple[str, ...]
    user: User


def play(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    prompts: Sequence[str],
    allow: bool = True,
) -> Played:
    """Starts an agent, says the prompts one after the other in one session, and ends it.

    Raises:
        TimeoutError: it takes too long.
    """
    user = User(allow=allow)

    async def talk() -> Played:
        # A line may be a whole file.
        large = {"limit": 64 * 1024 * 1024, "stderr": asyncio.subprocess.DEVNULL}
        async with acp.spawn_agent_process(
            user, *argv, env=env, cwd=cwd, transport_kwargs=large
        ) as (agent, _):
            files = FileSystemCapabilities(read_text_file=True, write_text_file=True)
            await agent.initialize(
                protocol_version=acp.PROTOCOL_VERSION,
                client_capabilities=ClientCapabilities(fs=files, terminal=False),
            )
            session = await agent.new_session(cwd=str(cwd), mcp_servers=[])
            stopped = []
            for text in prompts:
                answer = await agent.prompt(
                    session_id=session.session_id, prompt=[acp.text_block(text)]
                )
                stopped.append(str(answer.stop_reason))
        return Played(session=session.session_id, stopped=tuple(stopped), user=user)

    return asyncio.run(asyncio.wait_for(talk(), DEADLINE_S))
