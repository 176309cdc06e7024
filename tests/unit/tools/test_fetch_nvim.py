"""Which Neovim is taken; nothing is fetched here."""

from pathlib import Path

import pytest

import debian
import fetch_nvim


def _neovim(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'NVIM v{version}'\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_cached_neovim_is_used_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the cache and runs is returned; apt is not even looked for."""
    launcher = _neovim(tmp_path / "0.12" / "nvim", "0.12.4")
    monkeypatch.setattr(debian, "available", lambda: pytest.fail("looked for apt"))
    assert fetch_nvim.fetch("0.12", tmp_path) == launcher


def test_machine_without_apt_is_told_about_nvim_bin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the variable that helps."""
    monkeypatch.setattr(debian, "available", lambda: False)
    with pytest.raises(debian.FetchError, match="NVIM_BIN"):
        fetch_nvim.fetch("0.12", tmp_path)


def test_unknown_series_names_the_known_ones(tmp_path: Path) -> None:
    """A typing error costs no download."""
    with pytest.raises(debian.FetchError, match=r"no Neovim 0\.9: .*0\.10, 0\.12"):
        fetch_nvim.fetch("0.9", tmp_path)


def test_chosen_neovim_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$NVIM_BIN goes before PATH."""
    chosen = _neovim(tmp_path / "mine" / "nvim", "0.11.0")
    _neovim(tmp_path / "path" / "nvim", "0.12.0")
    monkeypatch.setenv("NVIM_BIN", str(chosen))
    monkeypatch.setenv("PATH", str(tmp_path / "path"), prepend=":")
    assert fetch_nvim.any_nvim() == chosen


def test_chosen_neovim_that_is_too_old_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not silently replaced by another one."""
    monkeypatch.setenv("NVIM_BIN", str(_neovim(tmp_path / "nvim", "0.9.5")))
    with pytest.raises(debian.FetchError, match=r"older than Neovim 0\.10"):
        fetch_nvim.any_nvim()


def test_old_neovim_on_path_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's own Neovim is 0.7: the newest series is fetched instead."""
    _neovim(tmp_path / "nvim", "0.7.2")
    monkeypatch.delenv("NVIM_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(fetch_nvim, "fetch", lambda series: Path("fetched") / series)
    assert fetch_nvim.any_nvim() == Path("fetched/0.12")
