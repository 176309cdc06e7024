"""Which mirror the machine is set up with, in each of the formats that apt reads."""

from pathlib import Path

import pytest

import debian

DEB822 = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm\n"
ONE_LINE = "deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian/ bookworm main\n"
SECURITY = "deb http://mirror.example/debian-security bookworm-security main\n"
UBUNTU = "deb http://mirror.example/ubuntu noble main\n"
DISABLED = "# deb http://mirror.example/debian bookworm main\n"


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example/debian"),
        ("sources.list", ONE_LINE, "https://mirror.example/debian/"),
        ("sources.list.d/more.list", SECURITY + ONE_LINE, "https://mirror.example/debian/"),
        ("sources.list", SECURITY, ""),
        ("sources.list", UBUNTU, ""),
        ("sources.list", DISABLED, ""),
    ],
)
def test_mirror_is_read_from_the_machines_sources(
    tmp_path: Path, name: str, text: str, mirror: str
) -> None:
    """Only an enabled archive of Debian itself counts."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert debian.mirror(tmp_path) == mirror


def test_failing_program_is_quoted() -> None:
    """The error holds the command and what it said."""
    with pytest.raises(debian.FetchError, match=r"(?s)sh -c .*failed with 3:.*no space left"):
        debian.run(["sh", "-c", "echo no space left >&2; exit 3"])


def test_missing_program_is_named() -> None:
    """A machine without the program gets its name, not a traceback."""
    with pytest.raises(debian.FetchError, match="agentdiff-no-such-program is not installed"):
        debian.run(["agentdiff-no-such-program"])
