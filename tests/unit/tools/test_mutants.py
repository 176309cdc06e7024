"""The list of guards is about the source as it is, and doc/security.md about both."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

import mutants

CHECKOUT = Path(__file__).resolve().parents[3]
DOCUMENT = (CHECKOUT / "doc/security.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`(tests/[\w/.]+::\w+)`", DOCUMENT)))
PLACES = sorted(set(re.findall(r"`((?:src|lua)/[\w/.]+):(\w+)`", DOCUMENT)))
ROWS = re.findall(
    r"^\| (?!threat|who|---)(.*) \|$", DOCUMENT.partition("## Threats")[2], re.MULTILINE
)


@pytest.mark.parametrize("guard", mutants.ALL, ids=lambda guard: f"{guard.file}:{guard.text[:30]}")
def test_a_guard_stands_in_the_source(guard: mutants.Guard) -> None:
    """Its text is there once, its test exists, and without it there still is a program."""
    assert mutants.problem(guard, CHECKOUT) == ""
    whole = (CHECKOUT / guard.file).read_text(encoding="utf-8")
    mutant = whole.replace(guard.text, guard.without)
    assert mutant != whole
    if guard.file.endswith(".py"):
        ast.parse(mutant)


def test_no_guard_is_listed_twice() -> None:
    """One removal with one test is one mutant."""
    counted = Counter((guard.file, guard.text, guard.test) for guard in mutants.ALL)
    assert [key for key, number in counted.items() if number > 1] == []


def test_a_guard_that_is_gone_is_a_problem(tmp_path: Path) -> None:
    """The list cannot rot: another text, another file, or another test is said."""
    guard = mutants.ALL[0]
    for name in (guard.file, guard.test.partition("::")[0]):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((CHECKOUT / name).read_text(encoding="utf-8"))
    assert mutants.problem(guard, tmp_path) == ""
    (tmp_path / guard.file).write_text("nothing\n")
    assert "0 times" in mutants.problem(guard, tmp_path)
    (tmp_path / guard.file).unlink()
    assert "does not exist" in mutants.problem(guard, tmp_path)
    (tmp_path / guard.file).write_text(guard.text)
    (tmp_path / guard.test.partition("::")[0]).write_text("nothing\n")
    assert "there is no test" in mutants.problem(guard, tmp_path)


def test_every_threat_has_a_guard_and_a_test() -> None:
    """A row of doc/security.md names both."""
    assert len(ROWS) > 40
    assert [row for row in ROWS if "`tests/" not in row.split(" | ")[-1]] == []
    assert [row for row in ROWS if not row.split(" | ")[1].strip()] == []


def test_every_test_of_the_document_exists() -> None:
    """By file and function."""
    functions = {
        file: set(re.findall(r"^def (\w+)\(", (CHECKOUT / file).read_text("utf-8"), re.MULTILINE))
        for file in {test.partition("::")[0] for test in TESTS}
    }
    named = (test.partition("::") for test in TESTS)
    assert [file + "::" + name for file, _, name in named if name not in functions[file]] == []


def test_every_guard_of_the_document_exists() -> None:
    """By file and function, whatever the language."""
    missing = [
        f"{file}:{name}"
        for file, name in PLACES
        if not re.search(
            rf"(?:def|function|sub|int) (?:M\.)?{name}\b", (CHECKOUT / file).read_text()
        )
    ]
    assert missing == []


def test_every_guard_that_is_removed_is_in_the_document() -> None:
    """With the test that notices."""
    tests = {guard.test.partition("[")[0] for guard in mutants.ALL}
    assert sorted(tests - set(TESTS)) == []
    files = {file for file, _ in PLACES}
    assert sorted({guard.file for guard in mutants.ALL} - files) == []
