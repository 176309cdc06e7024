"""What an agent that we start finds in its environment, because its settings must not hold it.

Owns Gemini CLI's telemetry: with a dead endpoint in its settings it would take 8.6 seconds longer
to end (measured with Gemini CLI 0.61.0), so that the endpoint is given only for one run, and only
while a daemon listens.  An exporter of the user's own is never replaced.  Must not start the agent.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from agentdiff.cli.context import Context, workspace_of
from agentdiff.client import DaemonUnavailable, RequestError
from agentdiff.errors import MalformedPayload
from agentdiff.install import files, gemini
from agentdiff.install.jsonsplice import Document
from agentdiff.install.jsontree import JsonSyntaxError
from agentdiff.install.part import Site
from agentdiff.install.telemetry import Endpoint, endpoint
from agentdiff.wire import VersionMismatch


def telemetry(context: Context, program: str) -> dict[str, str]:
    """Returns the variables that let `program` send its telemetry to the daemon; often none."""
    if os.path.basename(program) != gemini.NAME or _exports_already(context):
        return {}
    try:
        with context.daemon() as client:
            port = client.call("daemon.status").get("port")
        given = endpoint(context.locations)  # with the token that the daemon made
    except (DaemonUnavailable, VersionMismatch, RequestError, OSError):
        return {}
    if given is None or urlsplit(given.url).port != port:
        return {}
    return _variables(given)


def _variables(given: Endpoint) -> dict[str, str]:
    return {
        "GEMINI_TELEMETRY_ENABLED": "true",
        "GEMINI_TELEMETRY_TARGET": "local",
        "GEMINI_TELEMETRY_OTLP_ENDPOINT": given.url,
        "GEMINI_TELEMETRY_OTLP_PROTOCOL": "http",
        "GEMINI_TELEMETRY_LOG_PROMPTS": "false",
        "OTEL_EXPORTER_OTLP_HEADERS": given.headers,
    }


def _exports_already(context: Context) -> bool:
    """Tells whether variables or settings of the user's say where telemetry goes."""
    if any(name.startswith(("GEMINI_TELEMETRY_", "OTEL_EXPORTER_")) for name in context.environ):
        return True
    workspace = workspace_of(context)
    return any(_in_settings(context.environ, workspace, context, scope) for scope in _SCOPES)


_SCOPES = ("user", "project")


def _in_settings(environ: Mapping[str, str], workspace: Path, context: Context, scope: str) -> bool:
    site = Site(scope=scope, workspace=workspace, locations=context.locations, environ=environ)
    try:
        document = Document(files.read(gemini.HOOKS.path(site)) or b"{}", comments=True)
    except (JsonSyntaxError, MalformedPayload, OSError):
        return True  # Gemini CLI may read what we cannot
    return not document.blank and document.find(("telemetry",)) is not None
