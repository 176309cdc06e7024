"""The soak finds what it looks for: each kind of loss, faked, is a contradiction or a short row."""

from collections import Counter
from pathlib import Path

import pytest

from tests.soak.checks import _judge, latency_rows, resource_rows
from tests.soak.machine import Sample
from tests.soak.recorder import Content, Recorder, tokens
from tests.soak.report import Row, table

IDLE, BUSY = (0.0, 10.0), (10.0, 20.0)


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        (Row(what="x", value=1, at_most=1), "ok"),
        (Row(what="x", value=2, at_most=1), "SHORT"),
        (Row(what="x", value=1, at_least=2), "SHORT"),
        (Row(what="x", value=1), ""),
    ],
)
def test_a_row_is_short_beyond_its_limit(row: Row, verdict: str) -> None:
    """What has no limit is only told."""
    assert row.verdict == verdict
    assert table([row]).endswith(verdict)


@pytest.mark.parametrize("found", [b"one\n", b"one\ntwo", None])
def test_a_lost_byte_is_a_contradiction(tmp_path: Path, found: bytes | None) -> None:
    """Whoever overwrote or removed what an agent wrote is found out."""
    recorder = Recorder(tmp_path)
    file = recorder.watch("f")
    recorder.write(file, Content(b"one\ntwo\n"), "s")
    assert recorder.check(file, "before")
    Content(found).put(tmp_path / "f")
    assert not recorder.check(file, "after")
    assert len(recorder.problems) == recorder.counts["problems"] == 1


@pytest.mark.parametrize("atomic", [False, True])
def test_modes_and_absence_are_told_apart(tmp_path: Path, atomic: bool) -> None:
    """An empty file is not an absent one, and an executable one is another."""
    path = tmp_path / "deep" / "f"
    contents = [Content(b""), Content(b"x", True), Content(b"x"), Content()]
    for content in contents:
        content.put(path, atomic=atomic)
        assert [Content.read(path) == other for other in contents].count(True) == 1


def test_lines_say_whose_they_are() -> None:
    """By their tokens alone."""
    assert tokens([b"w:a-1:7 x", b"plain", b"w:a-1:8", b"w:b:1"]) == Counter({"a-1": 2, "b": 1})


@pytest.mark.parametrize(
    ("session", "kind", "found"),
    [
        ("mine", "agent", Counter(lines=2)),
        ("other", "agent", Counter(lines=2, wrong=1, strangers=1)),
        (None, "external", Counter(lines=2, external=1)),
    ],
)
def test_a_wrong_owner_is_found(
    tmp_path: Path, session: str | None, kind: str, found: Counter[str]
) -> None:
    """By the line's own token, against what the daemon says of the hunk."""
    recorder = Recorder(tmp_path)
    file = recorder.watch("f")
    recorder.write(file, Content(b"w:mine:1\nw:mine:2\n"), "mine")
    hunk = {"id": 1, "kind": "text", "new_start": 1, "new_lines": 2}
    mine = {"kind": "agent", "session": "mine", "evidence": "exact", "tool": "Edit"}
    owner = {**mine, "kind": kind, "session": session}
    owners = [{**one, "lines": {"added": 1, "removed": 0}} for one in (mine, owner)]
    if owner == mine:
        owners = [{**mine, "lines": {"added": 2, "removed": 0}}]
    counts: Counter[str] = Counter()
    told = {"path": "f", "id": 1, "owners": owners}
    _judge(recorder, told, {"files": [{"path": "f", "hunks": [hunk]}]}, counts)
    assert +counts == found


def _samples(grows_mib: float, files: int) -> list[Sample]:
    return [
        Sample(
            at_s=float(n),
            rss_mib=60 + n * grows_mib,
            open_files=30 + (files if n > 50 else 0),
            threads=9,
            queue=0,
            pending=1,
            blob_mib=1.0,
        )
        for n in range(100)
    ]


@pytest.mark.parametrize(
    ("grows_mib", "files", "short"),
    [(0.0, 0, set()), (1.0, 0, {"memory, growth per call"}), (0.0, 40, {"open files, at most"})],
)
def test_a_leak_is_short(grows_mib: float, files: int, short: set[str]) -> None:
    """Of memory or of descriptors."""
    rows = resource_rows(_samples(grows_mib, files), 10_000, 96)
    assert {row.what for row in rows if row.verdict == "SHORT"} == short


@pytest.mark.parametrize(
    ("hook_ms", "control_ms", "verdict"), [(5.0, 1.0, "ok"), (9.0, 1.0, "SHORT"), (9.0, 5.0, "ok")]
)
def test_latency_is_judged_beside_the_machine(
    hook_ms: float, control_ms: float, verdict: str
) -> None:
    """Slow is what is slow although the same client, served by nobody, is not."""
    probed = [(n / 10, 0.001, 0.001) for n in range(100)]
    probed += [(10 + n / 10, hook_ms / 1e3, control_ms / 1e3) for n in range(100)]
    *_, judged = latency_rows(probed, IDLE, BUSY)
    assert judged.verdict == verdict
