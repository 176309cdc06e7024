"""Patterns that take linear time mean what they meant."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pathspec import GitIgnoreSpec

from agentdiff.workspace.ignore import Scope
from agentdiff.workspace.patterns import compile_patterns, linear

PATTERNS = st.lists(
    st.sampled_from([*("*", "**", "/", "/", "a", "b", "?", "[ab]", "[!a]", "\\*", ".")]),
    min_size=1,
    max_size=9,
).map("".join)
PATHS = st.lists(st.text("ab.*", min_size=1, max_size=5), min_size=1, max_size=5).map("/".join)


@given(pattern=PATTERNS, path=PATHS)
@example(pattern="**/a*b/**/b*b*/c", path="a/ab/a/b/bb/b/c")
@example(pattern="*a*a*b", path="aaab")
@example(pattern="a/**/b/**/b/**/a", path="a/b/b/b/a")
def test_an_expression_matches_the_same(pattern: str, path: str) -> None:
    """Only the order of trying is another one; a class never holds a slash, as in git."""
    try:
        [found] = GitIgnoreSpec.from_lines([pattern]).patterns
    except ValueError:
        return
    if found.regex is None:
        return
    text = re.sub(r"\[\^?ab?\]", lambda one: f"(?!/){one[0]}", found.regex.pattern)
    for name in (path, path + "/"):
        expected = re.compile(text).search(name) is not None
        assert (re.compile(linear(text)).search(name) is not None) == expected
        assert (re.compile(linear(found.regex.pattern)).search(name) is not None) >= expected


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a*a*a*a*a*a*a*a*a*a*b", "a" * 250),
        ("*[!b]*[!b]*[!b]*[!b]*[!b]*[!b]*c", "a" * 250),
        ("*?*?*?*?*?*?*?*?*b", "a" * 250),
        ("a" + "/**/b" * 8 + "/**/c", "a" + "/b" * 1500),
        ("**/a*a*a*a/**/a*a*a*a/**/a*a*a*a*b", "/".join(["a" * 60] * 40)),
    ],
)
def test_a_pattern_of_many_stars_is_answered(pattern: str, path: str) -> None:
    """It would take a backtracking engine longer than anybody waits."""
    assert compile_patterns([pattern]).match_file(path) is False
    scope = Scope(b"", None, pattern.encode())
    assert scope.ignores(path.encode(), directory=False) is False


def test_too_many_lines_are_too_many() -> None:
    """A file of half a million patterns does not keep the daemon busy; the first ones hold."""
    scope = Scope(b"", None, b"".join(b"%d\n" % n for n in range(100_000)))
    assert scope.ignores(b"1", directory=False)
    assert not scope.ignores(b"99999", directory=False)
