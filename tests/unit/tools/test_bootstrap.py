"""Where agentdiff refuses to install, and what it says there."""

import sys

import pytest

import bootstrap


def test_native_windows_is_refused_naming_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows user learns what works."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert "WSL" in bootstrap.refusal()


def test_old_python_is_refused_naming_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the needed version, the found one, and the variable that helps."""
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    said = bootstrap.refusal()
    assert all(word in said for word in ("3.11", "3.9", "PYTHON="))


def test_this_machine_is_accepted() -> None:
    """Where the tests run, agentdiff runs."""
    assert bootstrap.refusal() == ""
