"""Whether Codex trusts our hooks, and what the user has to do so that it does.

Owns the rules by which Codex 0.169.0 names and hashes a hook.  Must not write anything: trust is
the user's to give, in Codex's own dialog.  No I/O.

Codex keeps ``[hooks.state."<hooks.json>:<event>:<group>:<handler>"] trusted_hash`` in the user's
``config.toml``.  The key counts positions, so that a group that moves loses its trust; the hash is
that of the hook itself, whatever the layout of the file.  A hook without trust is skipped:
silently by ``codex exec``, with a question at the start of the terminal interface.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agentdiff.install.jsonsplice import Document
from agentdiff.install.jsonsplice import Path as Place
from agentdiff.install.part import Trust

_DEFAULT_TIMEOUT_S: Final = 600
_MAX_TIMEOUT_S: Final = {"session_end": 3, "interrupt": 3}
_WITHOUT_MATCHER: Final = ("user_prompt_submit", "stop", "interrupt")


def judge(
    path: Path, document: Document, places: Mapping[str, list[Place]], config: bytes
) -> Trust | None:
    """Returns what Codex thinks of our hooks, None without any and with nothing to say.

    Args:
        path: of ``hooks.json``, as Codex finds it: links in it are not resolved.
        document: its content.
        places: where ours are in it, by event.
        config: content of the user's ``config.toml``.

    Raises:
        tomllib.TOMLDecodeError, UnicodeDecodeError: `config` is no TOML.
    """
    state = tomllib.loads(config.decode("utf-8")).get("hooks", {}).get("state", {})
    ours = [_key_and_hash(path, document, place) for found in places.values() for place in found]
    if not ours:
        return _moved(path, document, state)
    known = [(state.get(key), digest) for key, digest in ours]
    missing = sum(entry is None for entry, _ in known)
    changed = sum(entry is not None and entry.get("trusted_hash") != d for entry, d in known)
    disabled = sum(entry is not None and entry.get("enabled") is False for entry, _ in known)
    if not missing and not changed and not disabled:
        return Trust(trusted=True, detail="trusted")
    facts = {"not trusted": missing, "changed since it was trusted": changed, "disabled": disabled}
    counted = ", ".join(f"{n} of {len(ours)} hooks {fact}" for fact, n in facts.items() if n)
    return Trust(trusted=False, detail=f"Codex skips them: {counted}", steps=_steps(path))


def identity(event: str, matcher: str | None, hook: Mapping[str, Any]) -> str:
    """Returns Codex's hash of a command hook.

    Args:
        event: in snake case.
        matcher: of its group, None when it has none.
        hook: as ``hooks.json`` has it.
    """
    timeout = int(hook.get("timeout", _DEFAULT_TIMEOUT_S))
    handler = {
        "type": "command",
        "command": hook.get("command"),
        "timeout": min(timeout, _MAX_TIMEOUT_S.get(event, timeout)),
        "async": bool(hook.get("async", False)),
    }
    if hook.get("statusMessage") is not None:
        handler["statusMessage"] = hook["statusMessage"]
    normal: dict[str, object] = {"event_name": event, "hooks": [handler]}
    if matcher is not None and event not in _WITHOUT_MATCHER:
        normal["matcher"] = matcher
    text = json.dumps(normal, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _key_and_hash(path: Path, document: Document, place: Place) -> tuple[str, str]:
    """Returns key and hash of a hook; a place of a whole group stands for its first hook."""
    event, group = _snake(str(place[1])), place[2]
    handler = place[4] if len(place) > 3 else 0
    node = document.find(place[:3])
    assert node is not None, "the place was found in this document"
    plain: Any = node.plain()
    digest = identity(event, plain.get("matcher"), plain["hooks"][handler])
    return f"{path}:{event}:{group}:{handler}", digest


def _moved(path: Path, document: Document, state: Mapping[str, Any]) -> Trust | None:
    """Says whose hooks lost their trust because ours, which stood before them, are gone."""
    lost = 0
    for key, digest in _others(path, document):
        entry = state.get(key)
        trusted_once = {one.get("trusted_hash") for one in state.values() if isinstance(one, dict)}
        lost += digest in trusted_once and (entry or {}).get("trusted_hash") != digest
    if not lost:
        return None
    detail = f"{lost} hooks of yours moved up, and Codex will ask whether it may trust them"
    return Trust(trusted=False, detail=detail, steps=_steps(path))


def _others(path: Path, document: Document) -> Iterator[tuple[str, str]]:
    hooks = document.find(("hooks",))
    for event in () if hooks is None else hooks.children:
        for at, group in enumerate(event.node.children):
            plain: Any = group.node.plain()
            for number, hook in enumerate(plain.get("hooks", ())):
                if hook.get("type") == "command":
                    place: Place = ("hooks", str(event.key), at, "hooks", number)
                    yield _key_and_hash(path, document, place)


def _steps(path: Path) -> tuple[str, ...]:
    review = (
        "It says that hooks are new or changed. Choose 'Review hooks', look at each, and trust "
        f"those that run agentdiff-hook and come from {path}; or 'Trust all and continue' if you "
        "know every one."
    )
    return (
        "Start codex in a terminal, in the workspace (one that runs already reads no new hooks).",
        review,
        "From then on codex exec runs them as well; it never asks, and skips what is not trusted.",
        "`agentdiff doctor` says whether it worked; /hooks in codex shows them again.",
    )


def _snake(event: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in event).strip("_")
