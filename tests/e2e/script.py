"""Short words for scripting Claude Code: its tools, and bash with names of any bytes.

Owns the shapes of the tools' arguments (Claude Code 2.1.197).  Must not know any scenario.
"""

from __future__ import annotations

import os
from pathlib import Path

from e2e.model_server import Call, Step, Track

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/")


def read(root: Path, path: bytes) -> Call:
    """Reads a file; Claude Code refuses to edit or overwrite what it has not read."""
    return Call(tool="Read", input={"file_path": _absolute(root, path)})


def edit(
    root: Path, path: bytes, old: str, new: str, *, survives: bool = True, verbatim: bool = True
) -> Call:
    """Replaces the one occurrence of `old`.

    Args:
        root: the workspace.
        path: relative to it.
        old: what is replaced.
        new: by what.
        survives: False when nothing of the change remains.
        verbatim: False when Claude Code writes other bytes than announced: it adapts line ends.
    """
    arguments = {"file_path": _absolute(root, path), "old_string": old, "new_string": new}
    return Call(
        tool="Edit",
        input=arguments,
        touches=(path,) if survives else (),
        evidence=("exact",) if verbatim else ("likely",),
    )


def write(root: Path, path: bytes, content: str) -> Call:
    """Writes a whole file."""
    arguments = {"file_path": _absolute(root, path), "content": content}
    return Call(tool="Write", input=arguments, touches=(path,), evidence=("exact",))


def bash(command: str, *touches: bytes, background: bool = False) -> Call:
    """Runs a bash command in the workspace."""
    arguments: dict[str, object] = {"command": command, "description": "scripted"}
    if background:
        arguments["run_in_background"] = True
    evidence = ("late",) if background else ("likely",)
    return Call(tool="Bash", input=arguments, touches=touches, evidence=evidence)


def subagent(mark: str, *steps: Step) -> tuple[Call, Track]:
    """Starts a subagent whose prompt holds `mark`; returns the call and what the subagent does."""
    arguments = {
        "description": mark,
        "prompt": f"{mark}: please do your part",
        "subagent_type": "general-purpose",
    }
    return Call(tool="Agent", input=arguments), Track(match=mark, steps=steps)


def step(*calls: Call, gate: str = "") -> Step:
    """One assistant message with these calls."""
    return Step(calls=calls, gate=gate)


def steps(*calls: Call) -> tuple[Step, ...]:
    """One assistant message for each call."""
    return tuple(Step(calls=(call,)) for call in calls)


def quoted(path: bytes) -> str:
    """Returns bash's ``$'…'`` form of a name of any bytes, in ASCII, safe as an argument."""
    # Octal always with three digits, so that a following digit cannot join it.
    body = "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in path)
    return f"./$'{body}'"


def _absolute(root: Path, path: bytes) -> str:
    """Returns the absolute path that Claude Code's tools want; they take text only."""
    return os.path.join(root, path.decode())
