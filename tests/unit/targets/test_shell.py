"""What a command line may change, without running it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shell_table import KNOWN, READS, UNKNOWN

from agentdiff.targets import shell_effects
from agentdiff.targets.shell import analyse
from agentdiff.targets.shell_effects import Effect, ShellTargets
from agentdiff.targets.shell_parse import MAX_COMMAND_BYTES


def readable(targets: ShellTargets) -> str:
    """Returns a result as the table writes it."""
    parts = []
    for effect in targets.effects:
        path = effect.path.decode("latin-1")
        path = "." if path == "/w" else path.removeprefix("/w/")
        parts.append(f"{effect.kind} {path}{'/**' if effect.deep else ''}")
    return ", ".join([*parts, "?"] if targets.unknown else parts)


def test_the_table_is_not_small() -> None:
    """Issue 5 asks for 150 command lines."""
    assert len(READS) + len(KNOWN) + len(UNKNOWN) >= 150


@pytest.mark.parametrize("command", READS)
def test_it_is_proved_that_nothing_is_written(command: str) -> None:
    """No effect, and no reason why there could be one."""
    assert analyse(command.encode(), b"/w").readonly


@pytest.mark.parametrize(("command", "expected"), KNOWN)
def test_the_paths_are_known(command: str, expected: str) -> None:
    """These paths, of these kinds; a question mark when there may be more."""
    assert readable(analyse(command.encode(), b"/w")) == expected


@pytest.mark.parametrize("command", UNKNOWN)
def test_it_may_touch_anything(command: str) -> None:
    """A reason says why."""
    targets = analyse(command.encode(), b"/w")
    assert (targets.effects, targets.unknown, targets.readonly) == ((), True, False)


def test_a_relative_path_needs_a_working_directory() -> None:
    """Only absolute ones are known without."""
    targets = analyse(b"rm a /b", None)
    assert targets.effects == (Effect(path=b"/b", kind="delete"),)
    assert targets.reasons == ("changes a path below a folder that is not known",)


def test_any_bytes_are_a_name() -> None:
    """What is not UTF-8 is carried as it is."""
    [effect] = analyse(b"rm 'a\xff' 2>&1", b"/\xfe").effects
    assert effect.path == b"/\xfe/a\xff"


@pytest.mark.parametrize(
    ("effect", "path", "covered"),
    [
        (Effect(path=b"/w/a", kind="write"), b"/w/a", True),
        (Effect(path=b"/w/a", kind="write"), b"/w/a/b", False),
        (Effect(path=b"/w/a", kind="delete", deep=True), b"/w/a/b/c", True),
        (Effect(path=b"/w/a", kind="delete", deep=True), b"/w/ab", False),
        (Effect(path=b"/", kind="delete", deep=True), b"/x", True),
    ],
)
def test_what_an_effect_covers(effect: Effect, path: bytes, covered: bool) -> None:
    """Its own path and, when it is deep, all below it."""
    assert effect.covers(path) == covered


HOSTILE = [
    b"(" * 50_000,
    b"$(" * 50_000,
    b'"$(' * 30_000,
    b"$((" * 30_000,
    b"echo $((" * 10_000 + b"))" * 10_000,
    b"`" * 50_001,
    b"${a:-" * 20_000,
    b"{a,b}" * 10_000,
    b"echo " + b"{a,b} " * 20_000,
    b"{" * 50_000 + b",}" * 50_000,
    b"sudo " * 30_000 + b"rm x",
    b"bash -c " * 20_000,
    b"if " * 30_000,
    b"case a in " * 10_000,
    b"for a in b; do cd c; " * 20 + b"rm x; " + b"done; " * 20,
    b"! " * 50_000 + b"a",
    b"a && " * 50_000 + b"a",
    b"a | " * 50_000 + b"a",
    b"cat <<A " * 10_000 + b"\n" * 10_000,
    b"[[ " + b"( " * 50_000,
    b"a=(" * 30_000,
    b"sed -i '" + b"s/a/b/;" * 10_000 + b"' f",
    b"touch " + b"a " * 50_000,
    b"touch " + b"a " * 10_000,
    b"sudo " * 8_000 + b"rm x",
    b"{" * 20_000 + b",}" * 20_000,
    b"cd a; cd b; " * 5_000 + b"rm x",
    b"x" * (MAX_COMMAND_BYTES + 1),
    b"'" * (MAX_COMMAND_BYTES + 1),
]


@pytest.mark.parametrize("command", HOSTILE, ids=lambda command: repr(command[:12]))
def test_a_hostile_command_line_ends_and_proves_nothing(command: bytes) -> None:
    """No recursion error and no hang; what is too much is unknown."""
    assert not analyse(command, b"/w").readonly


def test_a_shell_in_a_shell_in_a_shell_is_given_up() -> None:
    """Quotes double with each level, so that only heredocs nest this deep."""
    command = "rm x"
    for level in range(10):
        command = f"bash <<'E{level}'\n{command}\nE{level}"
    assert analyse(command.encode(), b"/w").unknown


def test_too_many_paths_are_too_many() -> None:
    """The first ones are kept."""
    command = b"rm " + b" ".join(b"f%d" % n for n in range(1000))
    targets = analyse(command, b"/w")
    assert (len(targets.effects), targets.unknown) == (shell_effects.MAX_EFFECTS, True)


TOKENS = st.sampled_from(
    [
        *("rm", "x", "cd", "d", "echo", "if", "then", "fi", "for", "in", "do", "done", "while"),
        *("case", "esac", "{", "}", "(", ")", "((", "))", "[[", "]]", "$(", "`", "${", "$((", "$x"),
        *("'", '"', "\\", "\n", ";", ";;", "&", "&&", "|", "||", "!", ">", ">>", "<", "<<", "<<<"),
        *("<<E", "E", "&>", ">&", "2>", "=", "a=", "a=(", "*", "~", "{a,b}", "#", "$'", "$", "%"),
        *("sed -i", "s/a/b/", "git", "checkout --", "bash -c", "xargs", "find", "-exec", "sudo"),
        *("apply_patch", "*** Begin Patch", "*** End Patch", "tee", "-", "--", "-t", "\0", "\xff"),
    ]
)
LINES = st.lists(st.tuples(TOKENS, st.sampled_from(["", " ", " ", "\n"])), max_size=40).map(
    lambda parts: "".join(token + gap for token, gap in parts).encode("latin-1")
)


@given(st.one_of(st.binary(max_size=200), LINES), st.sampled_from([None, b"/", b"/w"]))
def test_any_bytes_have_an_answer(command: bytes, cwd: bytes | None) -> None:
    """Nothing is raised, every path is absolute and plain."""
    for effect in analyse(command, cwd).effects:
        parts = effect.path.split(b"/")
        assert effect.path.startswith(b"/")
        assert b".." not in parts
        assert b"." not in parts


@given(LINES)
def test_a_command_before_it_changes_nothing(command: bytes) -> None:
    """What a line may change does not depend on a harmless line before it."""
    alone, behind = analyse(command, b"/w"), analyse(b"true\n" + command, b"/w")
    assert (alone.effects, alone.unknown) == (behind.effects, behind.unknown)
