"""Settings: what is read, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdiff import config


def _load(tmp_path: Path, text: str) -> config.Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return config.load(file)


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    """Without a file everything has its default, and nothing is wrong."""
    assert config.load(tmp_path / "missing.toml") == config.Config()


def test_every_key_is_read(tmp_path: Path) -> None:
    """Each documented key ends up in its field."""
    text = """
        [otlp]
        enabled = false
        port = 4318
        [daemon]
        idle_minutes = 5
        [workspace]
        max_file_bytes = 1000
        max_files = 20
        include = ["*.env"]
        [review]
        external = "user"
    """
    assert _load(tmp_path, text) == config.Config(
        otlp=config.OtlpConfig(enabled=False, port=4318),
        daemon=config.DaemonConfig(idle_minutes=5.0),
        workspace=config.WorkspaceConfig(max_file_bytes=1000, max_files=20, include=("*.env",)),
        review=config.ReviewConfig(external="user"),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[otpl]\nport = 1", "unknown key 'otpl'"),
        ("[otlp]\nprot = 1", "unknown key 'otlp.prot'"),
        ("otlp = 1", "otlp: expected a table"),
        ("[otlp]\nport = 65536", "otlp.port: expected a whole number from 0 to 65535, got 65536"),
        ("[otlp]\nport = true", "otlp.port: expected a whole number"),
        ("[otlp]\nport = '1'", "otlp.port: expected a whole number"),
        ("[otlp]\nforward = 'collector'", "otlp.forward: expected an address"),
        ("[otlp]\nforward = 'http://h:x'", "otlp.forward: expected an address"),
        ("[otlp]\nforward_headers = {a = 1}", "otlp.forward_headers: expected a table of strings"),
        ("[otlp]\nforward_headers = {'a b' = 'x'}", "'a b' is no header that HTTP can carry"),
        ('[otlp]\nmetrics_headers = {a = "x\\ny"}', "'a' is no header that HTTP can carry"),
        ("[otlp]\nforward_headers = {a = '→'}", "'a' is no header that HTTP can carry"),
        ("[otlp]\nenabled = 1", "otlp.enabled: expected true or false"),
        ("[daemon]\nidle_minutes = -1", "daemon.idle_minutes: expected a number of minutes"),
        ("[daemon]\nidle_minutes = nan", "daemon.idle_minutes: expected a number of minutes"),
        ("[workspace]\nmax_files = 0", "workspace.max_files: expected a whole number"),
        ("[workspace]\ninclude = '*'", "workspace.include: expected a list of strings"),
        ("[workspace]\ninclude = [1]", "workspace.include: expected a list of strings"),
        ("[review]\nexternal = 'me'", "review.external: expected"),
        ("[otlp", "the defaults are used for everything"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """A wrong key or value has a named problem, and its default holds."""
    found = _load(tmp_path, text)
    assert [problem in said for said in found.problems] == [True]
    assert config.Config(problems=found.problems) == found


def test_the_value_of_a_header_is_not_shown(tmp_path: Path) -> None:
    """It may be a password, and problems are logged."""
    found = _load(tmp_path, '[otlp]\nforward_headers = {Authorization = "Bearer hunter2\\n"}')
    assert ["hunter2" in said for said in found.problems] == [False]


def test_one_wrong_key_does_not_cost_the_others(tmp_path: Path) -> None:
    """Keys beside a wrong one are used."""
    found = _load(tmp_path, "[otlp]\nport = 'x'\nenabled = false\n")
    assert (found.otlp.enabled, len(found.problems)) == (False, 1)


def test_not_utf8_is_a_problem(tmp_path: Path) -> None:
    """A file of another encoding is reported, not half read."""
    file = tmp_path / "config.toml"
    file.write_bytes(b"[otlp]\nport = 1 # \xff\n")
    assert len(config.load(file).problems) == 1
