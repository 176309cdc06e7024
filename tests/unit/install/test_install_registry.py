"""Installing Claude Code's hooks into real files: permissions, links, refusals, reports."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from install_home import Home

from agentdiff.errors import MalformedPayload
from agentdiff.install import claude, registry, status

GROUP = {"matcher": "Edit", "hooks": [{"type": "command", "command": "notify"}]}


def _load(data: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(data)
    return loaded


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home folder."""
    return Home(tmp_path)


def test_files_that_we_made_disappear(home: Home) -> None:
    """Without settings before there are none afterwards, nor their folder, nor a hook client."""
    home.install()
    home.uninstall()
    assert not {".claude", ".local/share/agentdiff"} & home.tree()


def test_a_folder_that_was_there_stays(home: Home) -> None:
    """We remove the settings that we made, and not the folder that we found."""
    home.settings.parent.mkdir()
    home.install()
    home.uninstall()
    assert (home.settings.exists(), home.settings.parent.exists()) == (False, True)


def test_settings_made_by_us_stay_when_somebody_uses_them(home: Home) -> None:
    """A file that we made and somebody wrote into is theirs."""
    home.install()
    document = {"model": "opus", **_load(home.settings.read_bytes())}
    home.settings.write_text(json.dumps(document, indent=2) + "\n")
    home.uninstall()
    assert home.settings.read_bytes() == b'{\n  "model": "opus"\n}\n'


def test_uninstalling_without_a_record_removes_exactly_ours(home: Home) -> None:
    """Without a record our groups go all the same, and what they leave empty is left out."""
    home.write(b'{\n  "model": "opus"\n}\n')
    home.install()
    (home.locations.state / "installed.json").unlink()
    home.uninstall()
    assert home.settings.read_bytes() == b'{\n  "model": "opus"\n}\n'


def test_a_hook_that_somebody_put_into_our_group_stays(home: Home) -> None:
    """Only our own entry leaves a group that somebody shares."""
    home.install()
    document = _load(home.settings.read_bytes())
    document["hooks"]["Stop"][0]["hooks"].append(GROUP["hooks"][0])
    home.settings.write_text(json.dumps(document))
    home.uninstall()
    expected = {"hooks": {"Stop": [{"matcher": "", "hooks": GROUP["hooks"]}]}}
    assert _load(home.settings.read_bytes()) == expected


def test_a_foreign_hook_that_mentions_us_is_foreign(home: Home) -> None:
    """A hook is ours by its command, not because our name is in it."""
    mention = {"type": "command", "command": "echo agentdiff-hook claude >> log"}
    home.write(json.dumps({"hooks": {"Stop": [{"hooks": [mention]}]}}).encode())
    home.install()
    home.uninstall()
    assert _load(home.settings.read_bytes())["hooks"] == {"Stop": [{"hooks": [mention]}]}


def test_an_outdated_installation_is_updated_in_place(home: Home) -> None:
    """Installing from elsewhere changes our groups where they stand, and adds none."""
    home.write(json.dumps({"hooks": {"Stop": [GROUP]}}, indent=2).encode())
    home.install()
    moved = home.settings.read_bytes().replace(b"/run/hook.sock", b"/elsewhere/hook.sock")
    home.settings.write_bytes(moved.replace(b'"PreToolUse"', b'"PreviousEvent"'))
    home.install()
    hooks = _load(home.settings.read_bytes())["hooks"]
    ours = {"matcher": "", "hooks": [claude.handler(home.site())]}
    assert hooks == {**{event: [ours] for event in claude.EVENTS}, "Stop": [GROUP, ours]}


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_permissions_are_kept(home: Home, mode: int) -> None:
    """The settings have the permissions that they had."""
    home.write(b"{}")
    home.settings.chmod(mode)
    home.install()
    assert stat.S_IMODE(home.settings.stat().st_mode) == mode


def test_a_symbolic_link_is_written_through(home: Home) -> None:
    """Settings that are a link into somebody's dotfiles stay a link."""
    target = home.folder / "dotfiles.json"
    target.write_bytes(b"{ }\n")
    home.settings.parent.mkdir()
    home.settings.symlink_to(target)
    home.install()
    linked = home.settings.is_symlink(), b"agentdiff-hook" in target.read_bytes()
    home.uninstall()
    assert (linked, home.settings.is_symlink(), target.read_bytes()) == (
        (True, True),
        True,
        b"{ }\n",
    )


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{\n  "model": "opus",\n}\n', "settings.json:2:18: is not JSON: a trailing comma"),
        (b"{\n  // mine\n}\n", "settings.json:2:3: is not JSON: a comment"),
        (b'{"model": "\xff"}', "settings.json:1:12: is not JSON: is not UTF-8"),
        (b"[]", "settings.json: the root is not an object, which claude needs it to be"),
        (b'{"hooks": []}', "settings.json: hooks is not an object, which claude needs it to be"),
        (b'{"hooks": {"Stop": 1}}', "settings.json: hooks.Stop is not an array"),
    ],
)
@pytest.mark.parametrize("act", ["install", "uninstall"])
def test_settings_that_cannot_be_understood_are_refused(
    home: Home, act: str, data: bytes, error: str
) -> None:
    """A broken file is named with the position, and nothing at all is written."""
    home.write(data)
    before = home.tree()
    with pytest.raises(MalformedPayload) as caught:
        getattr(home, act)()
    assert (error in str(caught.value), home.settings.read_bytes(), home.tree()) == (
        True,
        data,
        before,
    )


def test_settings_that_cannot_be_read_are_refused(home: Home) -> None:
    """A folder in the place of the file is an error, and stays."""
    home.settings.mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        home.install()
    assert home.tree() == {".claude", ".claude/settings.json"}


@pytest.mark.parametrize("act", ["install", "uninstall"])
def test_a_dry_run_writes_nothing(home: Home, act: str) -> None:
    """A dry run shows the difference and touches nothing."""
    home.write(b"{}\n")
    if act == "uninstall":
        home.install()
    before, content = home.tree(), home.settings.read_bytes()
    result = getattr(home, act)(dry_run=True)
    assert (result.changed, home.tree(), home.settings.read_bytes()) == (True, before, content)
    assert result.diff.startswith(f"--- {home.settings}\n+++ {home.settings}\n@@ ")


def test_the_settings_as_they_were_are_backed_up(home: Home) -> None:
    """Before settings are changed a private copy is kept."""
    home.write(b'{"model": 1}')
    home.install()
    (copy,) = (home.locations.state / "backups").iterdir()
    assert (copy.read_bytes(), stat.S_IMODE(copy.stat().st_mode)) == (b'{"model": 1}', 0o600)


def test_the_record_is_private(home: Home) -> None:
    """Nobody else reads what we remember of the user's settings."""
    home.install()
    record = home.locations.state / "installed.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_a_damaged_record_is_refused(home: Home) -> None:
    """A record that we cannot read is not overwritten, and the settings stay."""
    home.write(b"{}")
    home.locations.state.mkdir(parents=True)
    (home.locations.state / "installed.json").write_bytes(b'{"files": 3}')
    with pytest.raises(MalformedPayload, match=r"installed\.json: is damaged"):
        home.install()
    assert home.settings.read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("scope", "name"), [("project", "settings.json"), ("local", "settings.local.json")]
)
def test_the_other_scopes_are_in_the_workspace(home: Home, scope: str, name: str) -> None:
    """Project and local installations go into the workspace, and leave nothing there."""
    (home.folder / "ws").mkdir()
    result = home.install(scope)
    uninstalled = home.uninstall(scope)
    expected = home.folder / "ws" / ".claude" / name
    assert (result.path, uninstalled.path, list((home.folder / "ws").iterdir())) == (
        expected,
        expected,
        [],
    )


def test_a_project_installation_holds_nothing_of_this_machine(home: Home) -> None:
    """What is committed for others has no path of ours in it."""
    (home.folder / "ws").mkdir()
    path = home.install("project").path
    assert str(home.folder) not in path.read_text()


def test_the_config_folder_of_claude_is_respected(home: Home) -> None:
    """``CLAUDE_CONFIG_DIR`` says where the user's settings are."""
    home.environ["CLAUDE_CONFIG_DIR"] = str(home.folder / "conf")
    assert home.install().path == home.folder / "conf" / "settings.json"


def test_a_location_that_json_cannot_name_is_refused(home: Home) -> None:
    """A home folder that is not UTF-8 is refused, before anything is written."""
    odd = Home(Path(os.fsdecode(os.fsencode(home.folder) + b"/\xff")))
    with pytest.raises(MalformedPayload, match="is not UTF-8, and settings cannot name it"):
        odd.install()
    assert home.tree() == set()


def test_the_hook_client_stays_while_somebody_needs_it(home: Home) -> None:
    """The client goes with the last installation, on record or not."""
    (home.folder / "ws").mkdir()
    home.install()
    home.install("local")
    home.uninstall("local")
    on_record = home.locations.hook_client.exists()
    (home.locations.state / "installed.json").unlink()
    home.uninstall("project")
    in_settings = home.locations.hook_client.exists()
    home.uninstall()
    assert (on_record, in_settings, home.locations.hook_client.exists()) == (True, True, False)


@pytest.mark.parametrize("switch", ["disableAllHooks", "allowManagedHooksOnly"])
def test_switches_that_disable_hooks_are_pointed_out(home: Home, switch: str) -> None:
    """An installation that cannot work says so."""
    home.write(json.dumps({switch: True}).encode())
    (warning,) = home.install().warnings
    assert warning.startswith(f"{home.settings}: {switch}: ")


@pytest.mark.parametrize(
    ("agent", "scope", "error"),
    [
        (
            "clude",
            "user",
            f"unknown agent 'clude', known are: {', '.join(sorted(registry.AGENTS))}",
        ),
        ("claude", "world", "claude has no scope 'world', known are: user, project, local"),
        ("claude", "local", "the scope local needs a workspace"),
    ],
)
def test_wrong_words_are_named(home: Home, agent: str, scope: str, error: str) -> None:
    """A name that we do not know is answered with those that we do."""
    with pytest.raises(MalformedPayload) as caught:
        registry.install(agent, scope, None, home.locations, home.environ, False)
    assert str(caught.value) == error


def test_without_an_installation_status_says_how(home: Home) -> None:
    """Absent hooks are a warning with the command that installs them."""
    home.settings.parent.mkdir()
    state = home.status()
    assert (state.level, state.detail, state.remedy) == (
        "warn",
        f"not installed, and {home.settings.parent} is there",
        "agentdiff install claude --scope user",
    )


def test_an_agent_that_is_not_there_needs_nothing(home: Home) -> None:
    """Nobody is asked to connect an agent that this machine does not have."""
    state = home.status()
    assert (state.level, state.detail, state.remedy) == ("ok", "not on this machine", "")


def test_an_agent_is_detected_by_its_program_or_its_folder(home: Home) -> None:
    """On PATH, used before, or installed: each is a sign."""
    program = home.folder / "bin" / "claude"
    program.parent.mkdir()
    program.touch(mode=0o755)
    home.environ["PATH"] += f":{program.parent}"
    detected = {one.agent: one for one in status.detect(None, home.locations, home.environ)}
    claude_there = detected["claude"]
    home.install()
    detected = {one.agent: one for one in status.detect(None, home.locations, home.environ)}
    assert (claude_there.program, claude_there.home, claude_there.scopes) == (program, None, ())
    assert (detected["claude"].home, detected["claude"].scopes) == (
        home.settings.parent,
        ("user",),
    )


def test_a_good_installation_is_ok(home: Home) -> None:
    """Installed for two scopes, and nothing to do."""
    (home.folder / "ws").mkdir()
    home.install()
    home.install("local")
    state = home.status()
    assert (state.level, state.scopes, state.remedy) == ("ok", ("user", "local"), "")


def test_a_missing_hook_client_is_an_error(home: Home) -> None:
    """Hooks that run nothing are worse than no hooks."""
    home.install()
    home.locations.hook_client.unlink()
    assert (home.status().level, home.status().remedy) == (
        "error",
        "agentdiff install claude --scope user",
    )


def test_an_outdated_installation_is_reported(home: Home) -> None:
    """Hooks that name another place are out of date."""
    home.install()
    home.settings.write_bytes(home.settings.read_bytes().replace(b"/run/", b"/other/"))
    assert (home.status().level, home.status().detail) == (
        "warn",
        "installed for user; out of date for user",
    )


def test_broken_settings_are_reported(home: Home) -> None:
    """A file that does not parse is in the report, with its position."""
    home.write(b"{,}")
    assert f"{home.settings}:1:2: is not JSON" in home.status().detail
