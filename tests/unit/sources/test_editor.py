"""Parameters of requests → events, and the usage errors that name what is wrong."""

from __future__ import annotations

from base64 import b64encode

import pytest

from agentdiff.core.events import DecisionRequested, EditorClaimed, HunkPick, Selection
from agentdiff.daemon.ports import RequestError
from agentdiff.sources import editor

ROOT = b"/home/u/w"


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize(
    ("given", "selection"),
    [
        ({"all": True}, Selection(everything=True)),
        ({"paths": ["a", "d/b"]}, Selection(paths=(b"a", b"d/b"))),
        ({"paths": [{"path_b64": _b64(b"\xff")}]}, Selection(paths=(b"\xff",))),
        ({"paths": [{"path": "é"}]}, Selection(paths=("é".encode(),))),
        ({"paths": ["/home/u/w/d/../b"]}, Selection(paths=(b"b",))),
        ({"paths": ["./a//b"]}, Selection(paths=(b"a/b",))),
        ({"paths": ["/home/u/w"]}, Selection(everything=True)),
        ({"paths": ["a", "."]}, Selection(everything=True)),
        ({"hunks": [{"id": 3}]}, Selection(picks=(HunkPick(hunk=3),))),
        (
            {"hunks": [{"id": 3, "gen": 2, "old": [0, 1], "new": [1, 4]}]},
            Selection(picks=(HunkPick(hunk=3, gen=2, old=(0, 1), new=(1, 4)),)),
        ),
        (
            {"hunks": [{"id": 3, "old": [0, 1]}]},
            Selection(picks=(HunkPick(hunk=3, old=(0, 1), new=(0, 0)),)),
        ),
        (
            {
                "all": True,
                "agent": "claude",
                "session": "s",
                "turn": "t",
                "call": "c",
                "external": True,
                "seen": 9,
            },
            Selection(
                everything=True,
                agent="claude",
                session="s",
                turn="t",
                calls=("c",),
                include_external=True,
                seen=9,
            ),
        ),
        ({"all": True, "agent": None, "paths": [], "hunks": None}, Selection(everything=True)),
    ],
)
def test_selection(given: dict[str, object], selection: Selection) -> None:
    """Each documented form of a selection is read as what it means."""
    assert editor.selection(given, ROOT) == selection


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (None, "selection: expected an object"),
        ([], "selection: expected an object"),
        ({}, "selection: exactly one of all, paths, hunks (given: none)"),
        ({"all": False}, "selection: exactly one of all, paths, hunks (given: none)"),
        (
            {"all": True, "paths": ["a"]},
            "selection: exactly one of all, paths, hunks (given: paths and all)",
        ),
        ({"all": "yes"}, "all: expected bool, got 'yes'"),
        ({"paths": "a"}, "paths: expected a list"),
        ({"paths": [3]}, "paths: a path is a string or an object with path_b64"),
        ({"paths": [""]}, "paths: not a path: b''"),
        ({"paths": ["a\0b"]}, "paths: not a path: b'a\\x00b'"),
        ({"paths": [{"path_b64": "!"}]}, "path_b64: not base64"),
        ({"paths": [{}]}, "path: missing"),
        ({"hunks": {"id": 1}}, "hunks: expected a list"),
        ({"hunks": [1]}, "hunks: expected a list of objects with id"),
        ({"hunks": [{}]}, "id: missing"),
        ({"hunks": [{"id": True}]}, "id: expected int, got True"),
        ({"hunks": [{"id": 1, "old": [2, 1]}]}, "hunks: old is not a [from, to) range: [2, 1]"),
        ({"hunks": [{"id": 1, "new": [-1, 1]}]}, "hunks: new is not a [from, to) range: [-1, 1]"),
        ({"hunks": [{"id": 1, "new": 1}]}, "hunks: new is not a [from, to) range: 1"),
        ({"all": True, "seen": "1"}, "seen: expected int, got '1'"),
    ],
)
def test_wrong_selection_is_named(given: object, complaint: str) -> None:
    """A selection that makes no sense is a usage error with the parameter's name."""
    with pytest.raises(RequestError) as caught:
        editor.selection(given, ROOT)
    assert caught.value.code == "usage"
    assert caught.value.message.startswith(complaint)


@pytest.mark.parametrize("path", ["/home/u/x", "../x", "/home/u/w/../x", "/home/u/wx", "a/../../x"])
def test_path_outside_is_refused(path: str) -> None:
    """A path that leaves the workspace by its text is refused, whatever it looks like."""
    with pytest.raises(RequestError) as caught:
        editor.paths({"paths": [path]}, ROOT)
    assert caught.value.code == "refused"


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ({"cwd": "/a"}, ("cwd", b"/a")),
        ({"cwd": "/a", "workspace": "/b"}, ("workspace", b"/b")),
        ({"cwd_b64": _b64(b"/\xff")}, ("cwd", b"/\xff")),
    ],
)
def test_folder(given: dict[str, object], folder: tuple[str, bytes]) -> None:
    """A request names its workspace by root or by a folder in it."""
    assert editor.folder(given) == folder


@pytest.mark.parametrize(
    "given", [{}, {"cwd": "a"}, {"cwd": ""}, {"cwd": 1}, {"workspace": "/a\0"}]
)
def test_wrong_folder_is_a_usage_error(given: dict[str, object]) -> None:
    """Without an absolute folder there is no workspace."""
    with pytest.raises(RequestError) as caught:
        editor.folder(given)
    assert caught.value.code == "usage"


def test_decision() -> None:
    """A decision keeps everything it was given."""
    given = {"op": "reject", "selection": {"all": True}, "reason": "no", "discard_user": True}
    assert editor.decision(given, "cli", 7, request=2, root=ROOT) == DecisionRequested(
        op="reject",
        selection=Selection(everything=True),
        client="cli",
        received_ns=7,
        request=2,
        reason="no",
        discard_user=True,
    )


def test_unknown_operation_is_a_usage_error() -> None:
    """Only accept and reject are decisions."""
    with pytest.raises(RequestError, match="op: accept or reject, not 'drop'"):
        editor.decision({"op": "drop", "selection": {"all": True}}, "cli", 7)


def test_claim() -> None:
    """A claim carries exact bytes."""
    given = {"path_b64": _b64(b"\xff"), "data_b64": _b64(b"\r\n\0"), "written": True, "since_us": 1}
    assert editor.claim(given, "nvim:1:2", 7_000) == EditorClaimed(
        client="nvim:1:2",
        path=b"\xff",
        data=b"\r\n\0",
        written=True,
        received_ns=7_000,
        since_ns=1_000,
    )


@pytest.mark.parametrize(
    ("at_us", "expected_s"),
    [(None, 100), (0, 100), (95_000_000, 95), (1_000_000, 70), (200_000_000, 100)],
)
def test_a_claim_that_waited_says_when_it_was_made(at_us: int | None, expected_s: int) -> None:
    """Its own time counts, at most 30 s back and never ahead of the receipt."""
    given = {"path": "a", "data_b64": "", "written": True, "at_us": at_us}
    claim = editor.claim(given, "nvim:1:2", 100_000_000_000)
    assert expected_s * 1_000_000_000 == claim.received_ns
