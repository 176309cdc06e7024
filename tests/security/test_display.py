"""Names and prompts that mean something to a terminal: they are shown, and do nothing."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.victim import WAIT_S, Victim

# Clears the screen, sets the title, ends the line, turns the direction, is a CSI of one character.
HOSTILE = "x\x1b[2J\x1b]0;t\x07\r\n\u202ey\u2066\u009b31m"
NAME = f"{HOSTILE}.txt"


@pytest.fixture
def hostile(victim: Victim, workspace: Path) -> Path:
    """A workspace in which every text that an agent can choose is hostile."""
    root = victim.workspace(workspace.parent / f"w{HOSTILE}")
    session = {"session_id": f"s{HOSTILE}", "prompt_id": f"p{HOSTILE}"}
    victim.hook(root, "SessionStart", source="startup", **session)
    victim.hook(root, "UserPromptSubmit", prompt=f"do {HOSTILE}", **session)
    given = {"file_path": str(root / NAME), "content": "x", "command": f"echo {HOSTILE}"}
    for tool in ("Write", "Bash", f"mcp__{HOSTILE}"):
        call = {"tool_name": tool, "tool_use_id": f"t{tool}", "tool_input": given, **session}
        victim.hook(root, "PreToolUse", **call)
        with (root / NAME).open("a") as file:
            file.write(f"written by {tool}\n")
        victim.hook(root, "PostToolUse", **call, tool_response={})
    victim.call("comment", cwd=str(root), path=NAME, text=f"why {HOSTILE}")
    return root


def unprintable(data: bytes) -> str:
    """Returns the characters that could do something to a terminal."""
    text = data.decode(errors="replace").replace("\n", "")
    return "".join(sorted({char for char in text if not char.isprintable()}))


COMMANDS = [
    *(["status"], ["log"], ["feedback"], ["doctor"], ["daemon", "status"], ["baseline", "list"]),
    *(["reject", "--reason", HOSTILE, NAME], ["undo"], ["accept", f"no such {HOSTILE}"], [HOSTILE]),
]


def test_the_command_line_shows_names_and_prompts_as_they_are(
    victim: Victim, hostile: Path
) -> None:
    """No control character, no change of direction, and no line that was not ours."""
    for arguments in COMMANDS:
        done = victim.cli(hostile, *arguments)
        said = done.stdout + done.stderr
        assert said, arguments
        assert unprintable(said) == "", arguments
        assert not any(line.startswith(b"y") for line in said.splitlines()), arguments


def test_a_diff_on_a_terminal_does_nothing_to_it(victim: Victim, workspace: Path) -> None:
    """Bytes are exact in a pipe; a terminal gets them escaped, with line feeds and tabs."""
    content = f"tab\there {HOSTILE}\\n\n".encode()
    victim.edit(workspace, "a.txt", content)
    assert content.split(b"\n")[0] in victim.cli(workspace, "diff").stdout
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-E", "-P", "-m", "agentdiff", "diff"],
        cwd=workspace,
        env={**victim.environ, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while part := _read(ours):
        said += part
    os.close(ours)
    assert process.wait(WAIT_S) == 0
    assert unprintable(said.replace(b"\r\n", b"\n").replace(b"\t", b"")) == ""
    assert b"tab\there x\\x1b[2J" in said


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 65536)
    except OSError:  # the other side of a terminal is gone
        return b""


def test_what_an_editor_draws_has_one_line_for_each(victim: Victim, hostile: Path) -> None:
    """Neovim refuses a line with a line feed in it: no name may make a review impossible."""
    for group in ("file", "turn", "session", "agent"):
        view = victim.call("review", cwd=str(hostile), group=group)
        assert len(view["lines"]) == len(view["kinds"])
        assert not [line for line in view["lines"] if "\n" in line]
    inline = victim.call("inline", cwd=str(hostile), paths=[NAME])
    owners = [owner for one in inline["files"] for owner in one["hunks"]["owners"]]
    assert owners
    assert unprintable(json.dumps(owners, ensure_ascii=False).encode()) == ""
