"""The hook client on disk, and what the installed commands run."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agentdiff.install import claude, hook_client
from agentdiff.install.part import Site
from agentdiff.locations import Locations


@pytest.fixture
def locations(tmp_path: Path) -> Locations:
    """Folders below a home with a space, a quote and a backslash in its name."""
    home = tmp_path / "it's a \\ home"
    home.mkdir()
    return Locations.from_env({"HOME": str(home)})


def _script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("perl", ["/usr/bin/perl", None])
def test_the_places_are_filled_in(locations: Locations, perl: str | None) -> None:
    """Every place becomes a path, quoted for the language of the client."""
    content = hook_client.render(locations, sys.executable, perl).decode()
    for path in map(str, (locations.hook_socket, locations.state)):
        escaped = path.replace("\\", "\\\\").replace("'", "\\'")
        assert (f"'{escaped}'" if perl else ascii(path)) in content


@pytest.mark.parametrize("perl", ["/usr/bin/perl", None])
def test_nothing_of_the_template_is_left_open(locations: Locations, perl: str | None) -> None:
    """The templates that are shipped have no other places than those we fill in."""
    content = hook_client.render(locations, "/py", perl)
    left = [word for word in (b"@PERL@", b"@PYTHON@", b"@SOCKET@", b"@STATE@") if word in content]
    first = f"#!{perl or '/py -ISE'}".encode()
    assert (content.split(b"\n")[0], left) == (first, [])


@pytest.mark.parametrize("same", [True, False])
def test_another_python_compiles_the_text(locations: Locations, tmp_path: Path, same: bool) -> None:
    """What was compiled is for one version of Python, which may be replaced in its place."""
    fallback = _script(tmp_path / "fall'back", '#!/bin/sh\nprintf "%s|" "$@"; cat')
    content = hook_client.python_client(locations, f"#!{sys.executable} -ISE", fallback)
    if not same:
        content = re.sub(rb"(?m)^MAGIC = .*$", b"MAGIC = b'other'", content)
        content = re.sub(rb"(?m)^CODE = .*$", b"CODE = b''", content)
    client = Path(_script(tmp_path / "client", content.decode()))
    done = subprocess.run([client, "claude"], input=b"{}", capture_output=True, check=True)
    words = ["-E", "-P", "-m", "agentdiff", "hook", "claude"]
    words += ["--socket", str(locations.hook_socket), "--state", str(locations.state)]
    assert (done.stdout.decode(), done.stderr) == ("|".join(words) + "|{}", b"")


def test_the_client_can_be_run_by_everybody_and_is_written_once(locations: Locations) -> None:
    """The file has mode 0755, and a second installation of the same does not touch it."""
    install = hook_client.install_hook_client
    first = install(locations, "/py", perl="/usr/bin/perl")
    inode = locations.hook_client.stat().st_ino
    second = install(locations, "/py", perl="/usr/bin/perl")
    found = locations.hook_client.stat()
    assert (first, second, found.st_ino, stat.S_IMODE(found.st_mode)) == (True, False, inode, 0o755)


def test_an_upgrade_changes_the_content_and_not_the_place(locations: Locations) -> None:
    """Another interpreter means other content at the same path: settings stay as they are."""
    hook_client.install_hook_client(locations, "/old", perl="/usr/bin/perl")
    hook = claude.handler(_site("user", locations))
    changed = hook_client.install_hook_client(locations, "/new", perl="/usr/bin/perl")
    assert (changed, b"'/new'" in locations.hook_client.read_bytes()) == (True, True)
    assert claude.handler(_site("user", locations)) == hook


def test_with_a_compiler_the_client_is_a_program_that_is_built_once(locations: Locations) -> None:
    """The same installation gives the same bytes; paths may hold any character."""
    compiler = hook_client.find_compiler(os.environ["PATH"])
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    install = hook_client.install_hook_client
    first = install(locations, "/py", perl=None, compiler=compiler)
    again = install(locations, "/py", perl=None, compiler=compiler)
    content = locations.hook_client.read_bytes()
    assert (first, again, content[:2] == b"#!") == (True, False, False)
    assert os.fsencode(locations.hook_socket) in content


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\nexit 0\n"])
def test_a_compiler_that_does_not_work_leaves_the_script(
    locations: Locations, tmp_path: Path, script: str
) -> None:
    """One that fails, and one that builds nothing that runs."""
    broken = _script(tmp_path / "bin" / "cc", script)
    assert hook_client.find_compiler(f"rel:{tmp_path / 'bin'}") == broken
    content = hook_client.render(locations, "/py", "/usr/bin/perl", broken)
    assert content == hook_client.render(locations, "/py", "/usr/bin/perl")
    assert hook_client.find_compiler("rel") is None


def test_where_no_interpreter_fits_the_shell_hands_over(
    locations: Locations, tmp_path: Path
) -> None:
    """No Perl, and a Python that fits no first line: arguments and payload are passed on."""
    python = _script(tmp_path / "with space" / "py", '#!/bin/sh\nprintf "%s|" "$@"; cat; exit 9\n')
    hook_client.install_hook_client(locations, python, perl=None)
    done = subprocess.run(
        [locations.hook_client, "claude"], input=b"{}", capture_output=True, check=False
    )
    words = ["-E", "-P", "-m", "agentdiff", "hook"]
    words += ["--socket", str(locations.hook_socket), "--state", str(locations.state), "claude"]
    assert (done.returncode, done.stdout.decode()) == (0, "|".join(words) + "|{}")


def test_perl_is_found_on_the_path_when_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative folders, folders with spaces and things that cannot be run are passed over."""
    monkeypatch.setattr(hook_client, "_PERL", str(tmp_path / "none"))
    _script(tmp_path / "with space" / "perl", "")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "perl").touch()
    found = _script(tmp_path / "good" / "perl", "")
    folders = ["bin", *(str(tmp_path / name) for name in ("with space", "plain", "good"))]
    assert (hook_client.find_perl(":".join(folders)), hook_client.find_perl("")) == (found, None)


def _site(scope: str, locations: Locations) -> Site:
    return Site(scope=scope, workspace=None, locations=locations, environ={})


def _run_project_hook(locations: Locations, **environ: str) -> tuple[int, bytes]:
    hook = claude.handler(_site("project", locations))
    assert isinstance(hook["args"], list)
    done = subprocess.run(
        [str(hook["command"]), *hook["args"]],
        input=b"{}",
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environ},
    )
    return done.returncode, done.stdout + done.stderr


def test_a_shared_hook_is_silent_where_agentdiff_is_not_installed(locations: Locations) -> None:
    """Somebody without agentdiff does not notice the hook that a project brings."""
    assert _run_project_hook(locations) == (0, b"")


@pytest.mark.parametrize("variable", ["HOME", "XDG_DATA_HOME"])
def test_a_shared_hook_finds_the_client_of_its_user(
    locations: Locations, tmp_path: Path, variable: str
) -> None:
    """The hook of a project runs the client of whoever works there, payload and all."""
    home = tmp_path / "a home"
    data = home if variable == "XDG_DATA_HOME" else home / ".local" / "share"
    client = data / "agentdiff" / "bin" / "agentdiff-hook"
    _script(client, '#!/bin/sh\necho "$@"; cat\n')
    assert _run_project_hook(locations, **{variable: str(home)}) == (0, b"claude\n{}")


def test_a_shared_hook_never_runs_a_program_of_the_workspace(
    locations: Locations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative data folder, which the XDG rules forbid, is not looked up in the workspace."""
    monkeypatch.chdir(tmp_path)
    _script(tmp_path / "rel" / "agentdiff" / "bin" / "agentdiff-hook", "#!/bin/sh\necho bad\n")
    assert _run_project_hook(locations, XDG_DATA_HOME="rel") == (0, b"")
