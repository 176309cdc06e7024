"""What each method answers: the shapes of doc/protocol.md, on a real engine."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff.daemon.ports import RequestError
from agentdiff.daemon.requests import METHODS, UNSETTLED
from tests.unit.daemon.bench import Bench, Client

BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"
NEW = b"1\ntwo\n3\n4\n5\n6\n7\n8\n"
DECIDED = {"v", "seq", "decision", "op", "done", "refused", "moved_on", "written"}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An engine and a workspace in which Claude changed one file and created another."""
    found = Bench(tmp_path)
    (found.root / "f").write_bytes(BASE)
    found.prompt()
    found.call("status")
    found.write("f", NEW)
    found.write("new", b"x\n", call="toolu_2")
    yield found
    found.engine.close()
    assert found.engine.counters["bugs"] == 0


@pytest.mark.parametrize(
    ("method", "params", "keys"),
    [
        ("status", {}, {"v", "seq", "settled", "workspace", "sessions", "files", "totals"}),
        ("diff", {}, {"seq", "settled", "diff_b64", "skipped"}),
        ("log", {}, {"seq", "calls"}),
        (
            "review",
            {},
            {"v", "seq", "group", "lines", "kinds", "groups", "files", "hunks", "summary"},
        ),
        ("inline", {"paths": ["f"]}, {"seq", "files"}),
        ("decide", {"op": "accept", "selection": {"all": True}}, DECIDED),
        ("undo", {}, DECIDED),
        ("redo", {}, DECIDED),
        ("baseline.list", {}, {"seq", "files", "turns"}),
        ("baseline.show", {"path": "f"}, {"path", "kind", "mode", "data_b64"}),
        ("baseline.set", {}, DECIDED),
        ("baseline.restore", {"paths": ["f"]}, DECIDED),
        ("baseline.restore", {"turn": "1"}, DECIDED),
        ("baseline.clear", {}, DECIDED),
        ("attach", {"pid": 1}, {"workspace", "seq", "summary"}),
        ("detach", {}, set()),
    ],
)
def test_an_answer_has_the_documented_fields(
    bench: Bench, method: str, params: dict[str, object], keys: set[str]
) -> None:
    """And is JSON."""
    answer = json.loads(json.dumps(bench.call(method, **params)))
    assert keys <= answer.keys()


def test_every_method_is_in_the_protocol() -> None:
    """None is served that nobody documented; none is unsettled that does not exist."""
    protocol = (Path(__file__).parents[3] / "doc" / "protocol.md").read_text()
    assert [name for name in METHODS if f"`{name}`" not in protocol] == []
    assert METHODS.keys() >= UNSETTLED


def test_status_names_every_pending_thing(bench: Bench) -> None:
    """Each has an id and a generation to decide it by."""
    answer = bench.call("status")
    assert answer["totals"] == {"files": 2, "hunks": 2, "added": 2, "removed": 1}
    assert [(f["path"], f["status"], f["coverage"], len(f["hunks"])) for f in answer["files"]] == [
        ("f", "modified", "exact", 1),
        ("new", "created", "exact", 1),
    ]


def test_the_ids_of_the_status_can_be_decided(bench: Bench) -> None:
    """Id and generation go back as they came."""
    hunk = bench.status()["f"]["hunks"][0]
    answer = bench.decide("reject", hunks=[{"id": hunk["id"], "gen": hunk["gen"]}])
    assert (answer["done"], answer["written"], answer["refused"]) == (
        [{"path": "f", "hunks": [hunk["id"]]}],
        ["f"],
        [],
    )


def test_seen_is_the_sequence_number_of_an_answer(bench: Bench) -> None:
    """What moved on since is said, and stays."""
    seen = bench.call("status")["seq"]
    bench.write("new", b"y\n", call="toolu_3")
    answer = bench.decide("accept", all=True, seen=seen)
    assert (answer["moved_on"], list(bench.status())) == (["new"], ["new"])


@pytest.mark.parametrize(
    ("filters", "paths"),
    [
        ({}, ["f", "new"]),
        ({"agent": "claude"}, ["f", "new"]),
        ({"agent": "codex"}, []),
        ({"session": "session-1"}, ["f", "new"]),
        ({"turn": "prompt-1"}, ["f", "new"]),
        ({"turn": "1"}, ["f", "new"]),
        ({"call": "toolu_2"}, ["new"]),
        ({"paths": ["new"]}, ["new"]),
        ({"paths": ["."]}, ["f", "new"]),
    ],
)
def test_diff_shows_what_the_filters_leave(
    bench: Bench, filters: dict[str, object], paths: list[str]
) -> None:
    """By agent, session, turn, call and path."""
    diff = base64.b64decode(bench.call("diff", **filters)["diff_b64"]).decode()
    headers = [line for line in diff.split("\n") if line.startswith("diff --git")]
    assert headers == [f"diff --git a/{path} b/{path}" for path in paths]


@pytest.mark.parametrize("filters", [{"turn": "prompt-1"}, {"call": "toolu_1"}])
def test_a_name_that_two_sessions_have_is_refused(bench: Bench, filters: dict[str, str]) -> None:
    """By everything that takes it; the message says whose it may be."""
    bench.prompt(session="session-2")
    bench.write("other", b"x\n", session="session-2")
    why = f"{next(iter(filters))}: '.*' may be that of claude session-1, claude session-2"
    for method in ("diff", "review"):
        with pytest.raises(RequestError, match=why):
            bench.call(method, **filters)
    with pytest.raises(RequestError, match=why):
        bench.decide("reject", all=True, **filters)
    answer = bench.decide("reject", all=True, session="session-2", **filters)
    assert [one["path"] for one in answer["done"]] == ["other"]


def test_a_review_of_a_call(bench: Bench) -> None:
    """What it shows is what a reject of it takes."""
    shown = bench.call("review", call="toolu_2")
    assert [file["path"] for file in shown["files"]] == ["new"]
    answer = bench.decide("reject", all=True, call="toolu_2")
    assert [one["path"] for one in answer["done"]] == ["new"]
    assert list(bench.status()) == ["f"]


def test_absolute_paths_are_made_relative(bench: Bench) -> None:
    """The command line does not know the root."""
    answer = bench.decide("accept", paths=[str(bench.root / "f")])
    assert [one["path"] for one in answer["done"]] == ["f"]


def test_a_path_that_is_not_utf8_is_named_exactly(bench: Bench) -> None:
    """Lossy for people, base64 for programs."""
    name = b"\xff\xfe"
    path = bytes(bench.root) + b"/" + name
    bench.shell(lambda: Path(path.decode(errors="surrogateescape")).write_bytes(b"x\n"))
    (found,) = [one for one in bench.call("status")["files"] if "path_b64" in one]
    assert base64.b64decode(found["path_b64"]) == name
    bench.decide("reject", paths=[{"path_b64": found["path_b64"]}])
    assert sorted(bench.status()) == ["f", "new"]


def test_undo_names_the_decision(bench: Bench) -> None:
    """The one it takes back; then there is none."""
    made = bench.decide("accept")["decision"]
    assert bench.call("undo")["decision"] == made
    assert bench.call("undo")["decision"] is None
    assert bench.call("redo")["decision"] == made


def test_inline_answers_only_for_what_pends(bench: Bench) -> None:
    """A clean file has no view."""
    files = bench.call("inline", paths=["f", "clean"])["files"]
    assert [one["path"] for one in files] == ["f"]


def test_inline_does_not_wait_for_other_editors(bench: Bench) -> None:
    """It follows a notification: an editor must not wait for another one."""
    silent = Client(id="nvim:9:9", kind="nvim")
    bench.call("attach", silent, pid=9)
    bench.call("inline", paths=["f"])
    assert [name for name, _ in silent.told if name == "settle"] == []


def test_review_of_one_path_shows_that_path(bench: Bench) -> None:
    """`path` restricts; every line has its letter."""
    view = bench.call("review", path="f", context=0)
    assert [one["path"] for one in view["files"]] == ["f"]
    assert len(view["kinds"]) == len(view["lines"])
