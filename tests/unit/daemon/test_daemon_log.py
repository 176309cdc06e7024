"""The daemon's log keeps what matters."""

import json
import logging
from typing import Any

import pytest

from agentdiff.daemon import log


def _written(*records: tuple[int, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns what of these the log would hold."""
    repetitions, formatter = log.Repetitions(), log.JsonFormatter()
    made = [
        logging.LogRecord(log.LOGGER_NAME, level, "f", 1, text, None, None)
        for level, text, _ in records
    ]
    for record, (_, _, extra) in zip(made, records, strict=True):
        record.__dict__.update(extra)
    return [json.loads(formatter.format(one)) for one in made if repetitions.filter(one)]


def test_the_same_again_and_again_is_one_line() -> None:
    """The next line says how many there were: what came before them stays in the log."""
    same = (logging.INFO, "git checkout explains a change", {})
    found = _written(*[same] * 5000, (logging.INFO, "stopped", {}))
    assert [one["event"] for one in found] == [same[1], "stopped"]
    assert found[1]["more_of_the_last"] == 4999


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((logging.ERROR, "hook not taken", {}), (logging.ERROR, "hook not taken", {})),
        ((logging.INFO, "a", {"path": "x"}), (logging.INFO, "a", {"path": "y"})),
        ((logging.INFO, "a", {}), (logging.INFO, "b", {})),
    ],
    ids=["wrong", "another field", "another event"],
)
def test_what_is_wrong_or_differs_is_written(
    one: tuple[int, str, dict[str, Any]], other: tuple[int, str, dict[str, Any]]
) -> None:
    """An error has its own traceback, however often it comes."""
    assert len(_written(one, other)) == 2
