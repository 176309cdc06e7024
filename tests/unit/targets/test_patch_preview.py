"""What a patch does to files in memory; tests/e2e/test_apply_patch.py asks the real Codex."""

from __future__ import annotations

import pytest

from agentdiff.core.entries import ABSENT, Directory, Entry, File, Link, Other
from agentdiff.targets.apply_patch import parse
from agentdiff.targets.patch_preview import Failure, Preview, Step, preview

OLD = File(data=b"a\n", mode=0o755)
TREE: dict[bytes, Entry] = {
    b"/w/f": OLD,
    b"/w/g": File(data=b"g\n"),
    b"/w/d": Directory(),
    b"/w/d/x": File(data=b"x\n"),
    b"/w/link": Link(target=b"d/../f"),
    b"/w/folder link": Link(target=b"d"),
    b"/w/loop": Link(target=b"loop"),
    b"/w/dangling": Link(target=b"no/where"),
    b"/w/fifo": Other(kind="fifo"),
}
UPDATE = "*** Update File: f\n{}@@\n-a\n+b"


def run(text: str) -> Preview:
    """Returns what a patch with these lines does to `TREE`."""
    return preview(parse(f"*** Begin Patch\n{text}\n*** End Patch".encode()), b"/w", TREE)


def step(path: str, before: Entry, after: bytes | None, mode: int = 0o644) -> Step:
    """Returns a step to a content, or to nothing."""
    entry = ABSENT if after is None else File(data=after, mode=mode)
    return Step(path=path.encode(), before=before, after=entry)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        pytest.param(UPDATE.format(""), [step("/w/f", OLD, b"b\n", 0o755)], id="update"),
        pytest.param("*** Add File: n/m\n+x", [step("/w/n/m", ABSENT, b"x\n")], id="add"),
        pytest.param("*** Add File: f\n+x", [step("/w/f", OLD, b"x\n", 0o755)], id="overwrite"),
        pytest.param("*** Delete File: f", [step("/w/f", OLD, None)], id="delete"),
        pytest.param(
            UPDATE.format("*** Move to: n\n"),
            [step("/w/n", ABSENT, b"b\n"), step("/w/f", OLD, None)],
            id="move",
        ),
        pytest.param(
            UPDATE.format("*** Move to: ./f\n"),
            [step("/w/f", OLD, b"b\n", 0o755), step("/w/f", File(data=b"b\n", mode=0o755), None)],
            id="moved onto itself it is gone",
        ),
        pytest.param(
            "*** Delete File: link", [step("/w/link", TREE[b"/w/link"], None)], id="a link itself"
        ),
        pytest.param(
            "*** Add File: link\n+x", [step("/w/f", OLD, b"x\n", 0o755)], id="through a link"
        ),
        pytest.param(
            "*** Delete File: folder link/x",
            [step("/w/d/x", TREE[b"/w/d/x"], None)],
            id="through the link of a folder",
        ),
        pytest.param(
            "*** Delete File: f\n*** Add File: f/x\n+x",
            [step("/w/f", OLD, None), step("/w/f/x", ABSENT, b"x\n")],
            id="a folder where a file was",
        ),
    ],
)
def test_what_a_patch_does(text: str, steps: list[Step]) -> None:
    """Each change of a path, in order."""
    assert run(text) == Preview(steps=tuple(steps))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("*** Delete File: nothing", "absent"),
        ("*** Delete File: d", "folder"),
        ("*** Delete File: dangling", "absent"),
        ("*** Add File: d\n+x", "folder"),
        ("*** Add File: .\n+x", "folder"),
        ("*** Add File: f/x\n+x", "unusable"),
        ("*** Add File: loop\n+x", "unusable"),
        ("*** Add File: dangling\n+x", "absent"),
        (f"*** Add File: {'n' * 256}\n+x", "unusable"),
        ("*** Add File: n\0\n+x", "unusable"),
        ("*** Add File: fifo\n+x", "unknown"),
        ("*** Update File: fifo\n@@\n-a", "unknown"),
        ("*** Update File: g\n@@\n-a", "mismatch"),
    ],
)
def test_what_stops_a_patch(text: str, kind: str) -> None:
    """What was done before stays done."""
    said = run(f"*** Add File: first\n+1\n{text}")
    assert said.failure is not None
    assert (said.failure.kind, said.contents()) == (kind, {b"/w/first": File(data=b"1\n")})


def test_a_patch_without_operations_fails() -> None:
    """Codex says so too, when it gets there."""
    assert preview((), b"/w", TREE) == Preview(
        steps=(), failure=Failure(kind="empty", path=b"", reason="it names no file")
    )


def test_later_steps_see_the_earlier_ones() -> None:
    """The reader is not asked again for what a step has written."""
    said = run("*** Add File: n\n+a\n*** Update File: n\n@@\n-a\n+b\n*** Delete File: n")
    assert said.contents() == {b"/w/n": ABSENT}
    assert len(said.steps) == 3
