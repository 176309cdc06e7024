"""Built-ins of bash, told by its xtrace: a real bash, and what of it is written down."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentdiff.sources.trace.builtins import Builtins
from agentdiff.sources.trace.log import read
from tests.unit.sources.trace_rig import DEADLINE_S, KINDS, Run, traced

pytestmark = pytest.mark.skipif(not KINDS, reason="launchers need perl or a C compiler")


@pytest.fixture
def run() -> Iterator[Run]:
    """A traced run that lets bash write its xtrace down."""
    with traced() as found:
        found.environ["AGENTDIFF_TRACE_BUILTINS"] = str(found.root / "xtrace")
        yield found


def logged(run: Run, script: str) -> list[dict[str, object]]:
    """Returns what the log has of the built-ins of a script, which prints nothing more for it."""
    builtins = Builtins(run.root / "xtrace", run.server.write)
    builtins.start()
    try:
        run("bash", "-c", script)
    finally:
        builtins.close()
    return [one for one in read(run.root / "log") if one["mode"] == "builtin"]


def test_they_are_logged_with_their_folder(run: Run) -> None:
    """`cd` and `export`; commands with a launcher are in the log once, as commands."""
    found = logged(run, "mkdir sub; cd sub; export TOKEN=abc PLAIN; git --version")
    assert [one["argv"] for one in found] == [["cd", "sub"], ["export", "TOKEN", "PLAIN"]]
    assert [one["cwd"] for one in found] == [f"{run.root}/ws", f"{run.root}/ws/sub"]
    assert {one["session_id"] for one in found} == {run.session.id}
    assert [one["command"] for one in run.log(3) if one["mode"] == "run"] == ["git"]


def test_secrets_in_them_are_masked(run: Run) -> None:
    """`exec` and `trap` are given whole commands."""
    found = logged(
        run, 'trap "curl -H \\"Authorization: Bearer abc\\"" USR1; exec true --token abc'
    )
    assert [one["command"] for one in found] == ["trap", "exec"]
    assert "abc" not in str(found)


def test_nothing_of_it_is_printed(run: Run) -> None:
    """Standard error is the script's own."""
    process = run.popen("bash", "-c", "cd /; echo out; echo err >&2")
    out, err = process.communicate(timeout=DEADLINE_S)
    assert (out, err) == ("out\n", "err\n")
