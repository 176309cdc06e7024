"""opencode's plugin: a file of our own in the folder that opencode loads plugins from.

Owns its place and its rendering.  No I/O but reading the plugin out of this package.

Measured with opencode 1.18.33: every file in the folder ``plugins`` beside the configuration is
loaded, and its hooks are waited for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agentdiff.install import commands, hook_client
from agentdiff.install.own_file import OwnFile
from agentdiff.install.part import Agent, Site, in_home

NAME: Final = "opencode"

_FIRST_WORDS: Final = b"// agentdiff for opencode:"


def _home(environ: Mapping[str, str]) -> Path:
    return in_home(environ, "XDG_CONFIG_HOME", ".config") / "opencode"


def _plugin_file(site: Site) -> Path:
    folder = _home(site.environ) if site.scope == "user" else site.root / ".opencode"
    return folder / "plugins" / "agentdiff.js"


def _render(site: Site) -> bytes:
    # The plugin itself looks for the client where a project's other settings do.
    words = [] if site.scope == "project" else commands.words(NAME, site)
    text = hook_client.template("opencode_plugin.js")
    listed = json.dumps(words, ensure_ascii=False)
    return text.replace("const INSTALLED = @CLIENT@", f"const INSTALLED = {listed}").encode("utf-8")


FILE: Final = OwnFile(
    locate=_plugin_file,
    render=_render,
    is_ours=lambda data: data.startswith(_FIRST_WORDS),
)

AGENT: Final = Agent(name=NAME, title="opencode", programs=("opencode",), home=_home, parts=(FILE,))
