"""``agentdiff acp -- CMD…``: a transparent proxy for agents that speak the Agent Client Protocol.

Owns the agent's name.  Prints nothing: standard output is the protocol.
"""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Sequence

from agentdiff.agents.acp_conversation import Conversation
from agentdiff.cli import output
from agentdiff.cli.context import REFUSED, Context
from agentdiff.cli.run import SESSION, deliverer
from agentdiff.daemon import launch
from agentdiff.sources.acp import proxy
from agentdiff.sources.run import foreground

# The agents whose own hooks use the same ids of sessions: one name, so that both tell of one.
KNOWN = {
    "claude-agent-acp": "claude",
    "claude-code-acp": "claude",
    "codex-acp": "codex",
    "gemini": "gemini",
    "opencode": "opencode",
    "qwen": "qwen",
    "copilot": "copilot",
}


def acp(context: Context) -> int:
    """``agentdiff acp``; returns the agent's exit code."""
    args = context.args
    name = args.name or name_of(args.cmd)
    os.chdir(context.cwd)
    conversation = Conversation(name, uuid.uuid4().hex[:12], os.fsdecode(context.cwd))
    deliver = deliverer(context.locations, context.environ.get(SESSION, ""))
    # The first prompt shall not have to wait for a daemon to start.
    threading.Thread(target=_start_daemon, args=(context,), daemon=True).start()
    try:
        code = proxy.run(args.cmd, context.environ, conversation, deliver)
    except OSError as error:
        output.complain(f"{output.escaped(args.cmd[0])}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else REFUSED
    if code >= 0:
        return code
    return foreground.leave_as(-code) if -code != signal.SIGTERM else 128 + signal.SIGTERM


def name_of(argv: Sequence[str]) -> str:
    """Returns the agent that a command starts, wherever its program stands (``npx codex-acp``)."""
    for word in argv:
        # The last part of a package's name, without its version.
        base = os.path.basename(word).partition("@")[0]
        if base in KNOWN:
            return KNOWN[base]
    return os.path.basename(argv[0])


def _start_daemon(context: Context) -> None:
    try:
        launch.ensure_running(context.locations)
    except OSError:
        return  # whoever delivers says so
