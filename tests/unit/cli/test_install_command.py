"""``agentdiff install`` and ``uninstall``: what they print and how they exit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentdiff.cli import main as command_line

SETTINGS = b'{ "model": "x" }\n'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's settings of Claude Code, in a home of their own; we are in a workspace."""
    for name in ("STATE", "CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLAUDE_CONFIG_DIR", raising=False)
    workspace = tmp_path / "ws"
    (workspace / ".git").mkdir(parents=True)
    (workspace / "sub").mkdir()
    monkeypatch.chdir(workspace / "sub")
    file = tmp_path / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_bytes(SETTINGS)
    return file


def test_dry_run_shows_and_writes_nothing(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--dry-run`` prints the difference and leaves every file as it is."""
    assert command_line.main(["install", "claude", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert f"+++ {settings}" in out
    last = out.splitlines()[-1]
    assert last.startswith("would change, +")
    assert last.endswith(f" lines: {settings}")
    assert settings.read_bytes() == SETTINGS


def test_an_installation_says_in_one_line_what_it_did(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole difference is shown on request; what counts is which file, and how much."""
    command_line.main(["install", "claude"])
    command_line.main(["install", "claude"])
    first, second = capsys.readouterr().out.splitlines()
    assert (first.startswith("changed, +"), second) == (True, f"unchanged: {settings}")


def test_install_and_uninstall_restore_the_file(settings: Path) -> None:
    """Doing it and taking it back leaves the same bytes; both may be repeated."""
    assert command_line.main(["install", "claude"]) == 0
    assert command_line.main(["install", "claude"]) == 0
    assert settings.read_bytes() != SETTINGS
    assert command_line.main(["uninstall", "claude"]) == 0
    assert settings.read_bytes() == SETTINGS
    assert command_line.main(["uninstall", "claude"]) == 1


def test_json_names_the_file_of_the_workspace(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Project scope is the top level of the work tree, also from a folder in it."""
    assert command_line.main(["install", "claude", "--scope", "project", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    wanted = settings.parent.parent / "ws" / ".claude" / "settings.json"
    assert (answer["changed"], answer["path"]) == (True, str(wanted))


def test_settings_that_do_not_parse_are_refused(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken file is named with its position, exit code 3, and stays as it is."""
    settings.write_bytes(b'{\n "a": }\n')
    assert command_line.main(["install", "claude"]) == 3
    assert f"{settings}:2:7" in capsys.readouterr().err
    assert settings.read_bytes() == b'{\n "a": }\n'


@pytest.mark.parametrize("what", ["install", "uninstall"])
def test_unknown_agent_is_a_usage_error(
    settings: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """An agent that nobody knows is a mistake on the command line."""
    assert command_line.main([what, "clod"]) == 2
    assert "unknown agent 'clod' (known: claude, " in capsys.readouterr().err


def test_detect_lists_what_is_there(
    settings: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each known agent is either shown with its place and state, or named as missing."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert command_line.main(["install", "--detect", "--json"]) == 0
    found = {one["agent"]: one for one in json.loads(capsys.readouterr().out)}
    home = str(settings.parent)
    assert (found["claude"]["found"], found["claude"]["home"]) == (True, home)
    assert command_line.main(["install", "--detect"]) == 0
    (line,) = (one for one in capsys.readouterr().out.splitlines() if one.startswith("claude"))
    assert line.split() == ["claude", "Claude", "Code", "not", "installed", home]


@pytest.mark.parametrize("words", [["install"], ["install", "claude", "--detect"]])
def test_detect_and_a_name_exclude_each_other(settings: Path, words: list[str]) -> None:
    """One of the two says what is meant."""
    assert command_line.main(words) == 2
