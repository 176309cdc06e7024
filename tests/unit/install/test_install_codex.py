"""Installing Codex's hooks and its exporter, and what Codex thinks of them."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from install_home import Home

from agentdiff.errors import MalformedPayload
from agentdiff.install import codex, codex_trust
from agentdiff.install.codex_config import CodexConfig
from agentdiff.install.part import Site
from agentdiff.install.record import Found
from agentdiff.install.telemetry import Endpoint
from agentdiff.locations import Locations

FOREIGN = {"matcher": "Bash", "hooks": [{"type": "command", "command": "notify"}]}
CONFIG = b"""\
# mine
model = "gpt-6"   # the good one

[tui]
theme = "dark"
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home folder in which Codex was never used."""
    return Home(tmp_path, "codex")


def _config(home: Home) -> Path:
    return home.settings.parent / "config.toml"


def _write_config(home: Home, data: bytes) -> None:
    home.settings.parent.mkdir(exist_ok=True)
    _config(home).write_bytes(data)


_LINES = st.sampled_from(
    [
        "# a comment",
        "",
        "   # indented [otel]",
        'model = "x"',
        'note = """\n[otel]\nexporter = 1\n"""',
        "[tui]",
        "theme = 1 # one",
        "[otel]",
        "[otel] # ours",
        "log_user_prompt = true",
        "otel.log_user_prompt = true",
        "otel = { log_user_prompt = true }",
        'exporter = "none"',
        'exporter = { otlp-http = { endpoint = "http://x", protocol = "json" } }',
        "[hooks.state]",
        "[otel.span_attributes]",
    ]
)


@st.composite
def configs(draw: st.DrawFn) -> bytes:
    """A config.toml in any layout, with and without a table for telemetry."""
    lines: list[str] = []
    for line in draw(st.lists(_LINES, max_size=8)):
        with_it = "\n".join([*lines, line])
        try:
            tomllib.loads(with_it)
        except tomllib.TOMLDecodeError:
            continue
        lines.append(line)
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    ending = draw(st.sampled_from(["", newline, newline * 2]))
    return (newline.join("\n".join(lines).split("\n")) + ending).encode()


SITE = Site(
    scope="user",
    workspace=None,
    locations=Locations.from_env({"HOME": "/home/u"}),
    environ={"HOME": "/home/u"},
    telemetry=Endpoint(url="http://127.0.0.1:41318", token="0" * 64),
)
CONFIG_PART = CodexConfig(locate=codex.config_file)


def _toml(data: bytes | None) -> dict[str, Any]:
    return tomllib.loads((data or b"").decode())


@given(data=configs())
def test_the_exporter_comes_and_goes_without_a_trace(data: bytes) -> None:
    """Installed, installed again and uninstalled, every byte is as before; in between, only it."""
    found = Found(agent="codex", scope="user")
    installed = CONFIG_PART.installed(data, SITE, found)
    assert installed is not None
    assert CONFIG_PART.installed(installed, SITE, found) == installed
    seen = CONFIG_PART.inspect(installed, SITE)
    assert (seen.current, seen.present, bool(seen.warnings)) == (
        True,
        installed != data,
        installed == data,
    )
    before, after = _toml(data), _toml(installed)
    if seen.present:
        exporter = after["otel"].pop("exporter")
        assert exporter["otlp-http"]["headers"] == {"x-agentdiff-token": "0" * 64}
        before.setdefault("otel", {})
    assert after == before
    assert CONFIG_PART.removed(installed, found) == data


@given(
    data=configs(),
    added=st.sampled_from(["\n[hooks.x]\n", '\n[projects."/x"]\ntrust_level = "trusted"\n']),
    recorded=st.booleans(),
)
def test_what_codex_adds_meanwhile_stays(data: bytes, added: str, recorded: bool) -> None:
    """Codex writes trust into the same file; ours goes all the same, also without a record."""
    found = Found(agent="codex", scope="user")
    installed = CONFIG_PART.installed(data, SITE, found)
    assert installed is not None
    later = installed + b"\n" + added.encode()
    left = CONFIG_PART.removed(later, found if recorded else Found(agent="codex", scope="user"))
    expected = _toml(data + b"\n" + added.encode())
    empty = {"otel": {}}
    assert {**empty, **_toml(left)} == {**empty, **expected}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[otel]\nexporter = "none"\n', "there is one already"),
        ('[otel.exporter.otlp-http]\nendpoint = "http://x"\n', "there is one already"),
        ("otel = { log_user_prompt = true }\n", "write it as a table [otel]"),
        ("[otel.span_attributes]\na = 'b'\n", ""),
    ],
)
def test_an_exporter_of_somebody_else_stays(home: Home, text: str, why: str) -> None:
    """One that is there is explained and never replaced."""
    _write_config(home, text.encode())
    warnings = home.install().warnings
    assert _config(home).read_text().startswith(text)
    assert [why in warning for warning in warnings] == ([True] if why else [])
    assert home.status().level == "warn"


def test_a_config_that_does_not_parse_is_refused(home: Home) -> None:
    """The file is named with the position, and nothing at all is written."""
    _write_config(home, b"model = \n")
    before = home.tree()
    with pytest.raises(MalformedPayload, match=r"config\.toml: is not TOML: .*line 1, column 9"):
        home.install()
    assert home.tree() == before


def test_files_that_we_made_disappear(home: Home) -> None:
    """Where Codex was never used nothing of it remains."""
    home.install()
    home.uninstall()
    assert ".codex" not in home.tree()


def test_ours_stands_behind_what_is_there(home: Home) -> None:
    """Codex trusts a hook by its place: those of the user keep theirs."""
    home.write(json.dumps({"hooks": {"PreToolUse": [FOREIGN], "Other": [FOREIGN]}}).encode())
    home.install()
    hooks = json.loads(home.settings.read_text())["hooks"]
    assert hooks["PreToolUse"][0] == FOREIGN
    assert [len(hooks[event]) for event in codex.EVENTS] == [
        2 if event == "PreToolUse" else 1 for event in codex.EVENTS
    ]


def test_the_command_is_the_same_in_every_version(home: Home) -> None:
    """Another word in it, and everybody has to trust the hooks again."""
    command = codex.handler(home.site())["command"]
    folder = home.folder
    assert command == (
        f"{folder}/.local/share/agentdiff/bin/agentdiff-hook codex "
        f"--socket {folder}/.cache/agentdiff/run/hook.sock --state {folder}/.local/state/agentdiff"
    )


def test_a_project_installation_holds_nothing_of_this_machine(home: Home) -> None:
    """What is committed for others has no path of ours in it, and no token."""
    (home.folder / "ws").mkdir()
    result = home.install("project")
    assert [edited.path for edited in result.edited] == [
        home.folder / "ws" / ".codex" / "hooks.json"
    ]
    assert str(home.folder) not in result.path.read_text()


def test_codex_has_no_local_settings(home: Home) -> None:
    """A scope that the agent does not have is answered with those that it has."""
    with pytest.raises(MalformedPayload, match="codex has no scope 'local', known are: user, proj"):
        home.install("local")


@pytest.mark.parametrize(
    ("event", "matcher", "hook", "digest"),
    [
        (
            "pre_tool_use",
            "",
            {"command": "/x/agentdiff-hook codex", "timeout": 15},
            "e48c520758ad65cd16ce0579d2d0219c96365350bd5ef4d16f4451bed8cde875",
        ),
        (
            "pre_tool_use",
            None,
            {"command": 'foo é" bar'},
            "9862b0b5fcc13de1de45dbef219a08ebcbddcaf0016f8d468b2cca2a5d8a999e",
        ),
        (
            "pre_tool_use",
            "Bash",
            {"command": "a", "async": False, "statusMessage": "hi"},
            "4bd3c4580af1a8ad350ad10264fd50e4c329b05babaac81197eeacabc35f5ccc",
        ),
        (
            "session_end",
            "",
            {"command": "/x/agentdiff-hook codex", "timeout": 15},
            "ab071d168fc93a53ba205439432c68f3daa855a99e6cc7645760298471e2f556",
        ),
        (
            "stop",
            "",
            {"command": "/x/agentdiff-hook codex", "timeout": 15},
            "3d6b91e1f9dfba7ff15a45850278da67b462c4ef38de5554f87105e1f4d99c4d",
        ),
    ],
)
def test_a_hook_is_hashed_as_codex_does(
    event: str, matcher: str | None, hook: dict[str, object], digest: str
) -> None:
    """What ``hooks/list`` of Codex 0.169.0 answered for these hooks."""
    assert codex_trust.identity(event, matcher, hook) == f"sha256:{digest}"


def _trust_everything(home: Home) -> None:
    """Writes what Codex writes when the user trusts all hooks."""
    path, lines = home.settings, [_config(home).read_text()]
    for event, groups in json.loads(path.read_text())["hooks"].items():
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in event).strip("_")
        for at, group in enumerate(groups):
            digest = codex_trust.identity(snake, group.get("matcher"), group["hooks"][0])
            lines.append(f'[hooks.state."{path}:{snake}:{at}:0"]\ntrusted_hash = "{digest}"\n')
    _config(home).write_text("\n".join(lines))


def test_without_trust_every_step_is_told(home: Home) -> None:
    """New hooks are skipped until the user trusts them, in Codex."""
    result = home.install()
    assert result.trust is not None
    assert (result.trust.trusted, len(result.trust.steps)) == (False, 4)
    assert "10 of 10 hooks not trusted" in result.trust.detail
    state = home.status()
    assert (state.level, "10 of 10 hooks not trusted" in state.detail) == ("warn", True)
    assert state.remedy.startswith("Start codex in a terminal")


def test_trusted_hooks_need_nothing(home: Home) -> None:
    """What the user trusted is reported as good."""
    _write_config(home, CONFIG)
    home.install()
    _trust_everything(home)
    state = home.status()
    assert (state.level, state.remedy) == ("ok", "")
    again = home.install()
    assert again.trust is not None
    assert (again.changed, again.trust.trusted) == (False, True)


def test_a_changed_or_disabled_hook_is_told(home: Home) -> None:
    """A hook that differs from what was trusted is skipped, as is one that was switched off."""
    home.install()
    _trust_everything(home)
    text = _config(home).read_text().replace("sha256:", "sha256:0", 1)
    _config(home).write_text(text + "enabled = false\n")
    detail = home.status().detail
    assert "1 of 10 hooks changed since it was trusted, 1 of 10 hooks disabled" in detail


def test_hooks_that_move_up_when_ours_go_are_told(home: Home) -> None:
    """A hook behind ours loses its trust when ours go, and the user is told before."""
    home.install()
    document = json.loads(home.settings.read_text())
    document["hooks"]["Stop"].append(FOREIGN)
    home.settings.write_text(json.dumps(document))
    _trust_everything(home)
    result = home.uninstall(dry_run=True)
    assert result.trust is not None
    assert "1 hooks of yours moved up" in result.trust.detail


def test_a_key_that_makes_codex_ignore_the_file_is_told(home: Home) -> None:
    """Codex drops all hooks of a file with a top-level key that it does not know."""
    home.write(b'{"version": 1}')
    (warning,) = home.install().warnings
    assert warning.endswith("version: Codex ignores the whole file because of this key")


def test_hooks_that_are_switched_off_are_told(home: Home) -> None:
    """The feature can be switched off as a whole."""
    _write_config(home, b"[features]\nhooks = false\n")
    assert any("features.hooks" in warning for warning in home.install().warnings)
