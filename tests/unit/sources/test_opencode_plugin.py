"""opencode's plugin in a real JavaScript engine, with a client of our own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from agentdiff.install import hook_client

NODE = shutil.which("node")
DEADLINE_S = 60
PROMPT = """
import { Agentdiff } from "./plugin.mjs"
const hooks = await Agentdiff({ client: { session: { get: async () => ({}) } }, directory: "/ws" })
const output = { message: { id: "m" }, parts: [] }
await hooks["chat.message"]({ sessionID: "s" }, output)
process.stdout.write(JSON.stringify(output.parts.map((part) => part.text)))
"""

pytestmark = pytest.mark.skipif(NODE is None, reason="no node on this machine")


def prompted(folder: Path, client: str, wait_ms: int) -> list[str]:
    """Returns what opencode adds to a prompt.

    Args:
        folder: for the files; holds nothing else.
        client: a script of sh in the place of the hook client.
        wait_ms: how long the plugin waits for it.
    """
    program = folder / "client"
    program.write_text(f"#!/bin/sh\n{client}\n")
    program.chmod(0o700)
    text = hook_client.template("opencode_plugin.js")
    for ours, theirs in (
        ("const INSTALLED = @CLIENT@", f"const INSTALLED = {json.dumps([str(program)])}"),
        ("const WAIT_MS = 15000", f"const WAIT_MS = {wait_ms}"),
    ):
        assert ours in text
        text = text.replace(ours, theirs)
    (folder / "plugin.mjs").write_text(text)
    (folder / "prompt.mjs").write_text(PROMPT)
    words = [str(NODE), "prompt.mjs"]
    done = subprocess.run(words, cwd=folder, capture_output=True, check=True, timeout=DEADLINE_S)
    added: list[str] = json.loads(done.stdout)
    return added


def test_a_client_that_hangs_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    """opencode goes on, and can end."""
    assert prompted(tmp_path, "exec sleep 600", 50) == []


def test_a_character_that_comes_in_two_pieces_is_one(tmp_path: Path) -> None:
    """A long text does not come in one piece, and a quote of three bytes ends on no page's end."""
    said = "“" * 100_000
    answer = {"hookSpecificOutput": {"additionalContext": said}}
    (tmp_path / "answer").write_text(json.dumps(answer, ensure_ascii=False))
    script = f"cat > /dev/null; cat '{tmp_path / 'answer'}'"
    assert prompted(tmp_path, script, DEADLINE_S * 1000) == [said]
