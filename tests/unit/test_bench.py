"""The bench judges honestly: medians, interleaving, and no verdict without a measurement."""

import pytest

from tests.bench.harness import MIN_ROUNDS, Pair, Result, Row, Skipped, interleaved, run, table


def _row(at_most: float = 2.0, pair: Pair | None = None) -> Row:
    def measure(rounds: int) -> Pair:
        if pair is None:
            raise Skipped("no compiler")
        return pair

    return Row(name="X1", what="this vs that", at_most=at_most, measure=measure)


PAIR = Pair(ours_s=(2.0, 2.0, 90.0), reference_s=(1.0, 1.0, 1.0))


@pytest.mark.parametrize(("at_most", "verdict"), [(2.0, "ok"), (1.9, "short")])
def test_verdict_compares_the_ratio_of_medians(at_most: float, verdict: str) -> None:
    """One slow sample does not decide; the target itself counts as reached."""
    assert run(_row(at_most, PAIR), 5).verdict == verdict


def test_row_that_cannot_run_is_never_ok() -> None:
    """A skipped row has no ratio, and the table says why."""
    result = run(_row(), 5)
    assert (result.verdict, result.ratio) == ("skipped", None)
    assert table([result], {}).splitlines()[1].endswith("skipped: no compiler")


def test_row_that_breaks_breaks_the_bench() -> None:
    """A wrong result is an error, not a skipped row."""

    def broken(rounds: int) -> Pair:
        raise AssertionError("the diff has 4 hunks instead of 5")

    row = Row(name="X2", what="", at_most=1.0, measure=broken)
    with pytest.raises(AssertionError, match="4 hunks"):
        run(row, 5)


def test_sides_take_turns_in_going_first() -> None:
    """After one warm-up each, the order is swapped in every round."""
    order: list[str] = []
    interleaved(lambda: order.append("o"), lambda: order.append("r"), 3)
    assert "".join(order) == "or" + "orro" * (MIN_ROUNDS // 2) + "or"


def test_fewer_than_five_rounds_are_refused_silently_upwards() -> None:
    """A median of less than five samples is never reported."""
    pair = interleaved(lambda: None, lambda: None, 1)
    assert (len(pair.ours_s), len(pair.reference_s)) == (MIN_ROUNDS, MIN_ROUNDS)


def test_report_keeps_every_sample() -> None:
    """Whoever doubts the median can look."""
    assert Result(row=_row(), pair=PAIR).as_json()["samples"] == {
        "ours_s": (2.0, 2.0, 90.0),
        "reference_s": (1.0, 1.0, 1.0),
    }
