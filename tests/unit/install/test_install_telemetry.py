"""Claude Code's telemetry in its settings: added beside what is there, and taken out again."""

import json
from pathlib import Path
from typing import Any

import pytest
from install_home import Home

OURS = {
    "CLAUDE_CODE_ENABLE_TELEMETRY",
    "OTEL_LOGS_EXPORTER",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_LOGS_EXPORT_INTERVAL",
}
METRICS = {
    "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with nothing in it."""
    return Home(tmp_path)


def _env(home: Home) -> dict[str, Any]:
    return json.loads(home.settings.read_bytes()).get("env", {})  # type: ignore[no-any-return]


def test_claude_is_told_where_to_send_its_logs(home: Home) -> None:
    """The endpoint of this user, and the token that the daemon will find."""
    home.install()
    env = _env(home)
    assert set(env) == OURS
    assert env["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"].startswith("http://127.0.0.1:41")
    token = home.locations.token_file.read_text().strip()
    assert env["OTEL_EXPORTER_OTLP_LOGS_HEADERS"] == f"x-agentdiff-token={token}"
    assert home.locations.token_file.stat().st_mode & 0o777 == 0o600
    assert home.status().level == "ok"


@pytest.mark.parametrize(
    "before",
    [
        {"env": METRICS},
        {"env": {"A": "b"}, "model": "x"},
        {"env": {}},
        {},
        {"env": {"OTEL_LOGS_EXPORT_INTERVAL": "9000"}},
    ],
    ids=["metrics", "other variables", "empty", "none", "interval"],
)
def test_what_is_there_stays_and_comes_back(home: Home, before: dict[str, Any]) -> None:
    """An exporter of metrics keeps its endpoint; uninstalling restores every byte."""
    data = json.dumps(before, indent=3).encode() + b"\n"
    home.write(data)
    home.install()
    env = _env(home)
    assert {**env, **before.get("env", {})} == env
    assert set(env) >= OURS
    again = home.settings.read_bytes()
    home.install()
    assert home.settings.read_bytes() == again
    home.uninstall()
    assert home.settings.read_bytes() == data


@pytest.mark.parametrize(
    "env",
    [
        {"OTEL_LOGS_EXPORTER": "otlp"},
        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://collector:4318/v1/logs"},
        {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"},
        "not an object",
    ],
    ids=str,
)
def test_an_exporter_of_logs_stays_and_is_named(home: Home, env: object) -> None:
    """Hooks are installed all the same; a warning says what is missing and what to do."""
    data = json.dumps({"env": env}).encode()
    home.write(data)
    result = home.install()
    assert json.loads(home.settings.read_bytes())["env"] == env
    assert len(result.warnings) == 1
    assert "env" in result.warnings[0]
    assert home.status().level == "warn"
    home.uninstall()
    assert home.settings.read_bytes() == data


def test_an_exporter_in_the_environment_stays(home: Home) -> None:
    """Claude Code's settings would win over it."""
    home.environ["OTEL_LOGS_EXPORTER"] = "otlp"
    (warning,) = home.install().warnings
    assert "OTEL_LOGS_EXPORTER" in warning
    assert "otlp.forward" in warning
    assert _env(home) == {}


@pytest.mark.parametrize("scope", ["project", "local"])
def test_shared_settings_hold_no_token(home: Home, scope: str) -> None:
    """Only the user's own settings do."""
    home.install(scope)
    for file in (home.folder / "ws" / ".claude").iterdir():
        assert b"OTEL" not in file.read_bytes()


def test_a_new_port_is_followed(home: Home) -> None:
    """Doctor calls the old one out of date, installing again mends it, uninstalling too."""
    home.write(b"{}")
    home.install()
    home.locations.config.mkdir(parents=True)
    home.locations.config_file.write_text("[otlp]\nport = 4999\n")
    assert home.status().level == "warn"
    home.install()
    assert _env(home)["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"] == "http://127.0.0.1:4999/v1/logs"
    home.locations.config_file.write_text("[otlp]\nenabled = false\n")
    home.install()
    assert _env(home) == {}
    home.uninstall()
    assert home.settings.read_bytes() == b"{}"


def test_a_dry_run_makes_no_token(home: Home) -> None:
    """It writes nothing at all."""
    assert "OTEL_LOGS_EXPORTER" in home.install(dry_run=True).diff
    assert home.tree() == set()
