"""Remembers what an installation found, so that taking it back restores every byte.

Owns ``<state>/installed.json``.  Losing it costs little: brackets that were empty before are left
out instead of left empty, and a file that was made for us is left as ``{}``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agentdiff.errors import MalformedPayload
from agentdiff.install import files, jsonsplice
from agentdiff.locations import Locations

VERSION: Final = 1


@dataclass(slots=True, kw_only=True)
class Found:
    """What one settings file was before.

    Attributes:
        agent: whose settings they are.
        scope: of the installation.
        created: whether there was no file.
        folders: folders that were made for it, innermost first.
        blank: whether there was a file of white space only.
        kept: containers that were there and empty, as `jsonsplice.Document.remove` takes them.
        inserted: text that was put into a file that is edited as text, exactly.
    """

    agent: str
    scope: str
    created: bool = False
    folders: tuple[Path, ...] = ()
    blank: bool = False
    kept: dict[jsonsplice.Path, str] = field(default_factory=dict)
    inserted: str = ""


def load(locations: Locations) -> dict[Path, Found]:
    """Returns what was found, by settings file.

    Raises:
        MalformedPayload: the record is damaged.
        OSError: it cannot be read.
    """
    path = _file(locations)
    data = files.read(path)
    if data is None:
        return {}
    try:
        return {Path(name): _found(entry) for name, entry in json.loads(data)["files"].items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"is damaged ({error}): remove it and try again"
        raise MalformedPayload(reason, field=str(path)) from error


def save(locations: Locations, entries: dict[Path, Found]) -> None:
    """Writes the record, private to the user; without entries there is no file.

    Raises:
        OSError: it cannot be written.
    """
    path = _file(locations)
    if not entries:
        files.remove(path, files.read(path))
        return
    document = {
        "v": VERSION,
        "files": {
            str(file): {
                "agent": found.agent,
                "scope": found.scope,
                "created": found.created,
                "folders": [str(folder) for folder in found.folders],
                "blank": found.blank,
                "kept": [{"path": path, "inside": inside} for path, inside in found.kept.items()],
                "inserted": found.inserted,
            }
            for file, found in entries.items()
        },
    }
    text = json.dumps(document, indent=1) + "\n"
    files.replace(path, files.read(path), text.encode("ascii"), mode=0o600)


def _file(locations: Locations) -> Path:
    return locations.state / "installed.json"


def _found(entry: dict[str, object]) -> Found:
    folders, kept = entry["folders"], entry["kept"]
    if not isinstance(folders, list) or not isinstance(kept, list):
        raise TypeError("folders and kept are lists")
    return Found(
        agent=str(entry["agent"]),
        scope=str(entry["scope"]),
        created=bool(entry["created"]),
        folders=tuple(Path(folder) for folder in folders),
        blank=bool(entry["blank"]),
        kept={tuple(item["path"]): str(item["inside"]) for item in kept},
        inserted=str(entry.get("inserted", "")),
    )
