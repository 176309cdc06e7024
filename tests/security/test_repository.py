"""A repository that somebody else wrote: it runs nothing, holds nobody up and leads nowhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agentdiff.workspace.git import run_git
from agentdiff.workspace.head import Head
from tests.security.victim import Victim

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="no git")

RUNS = {
    "core.fsmonitor": "{}",
    "core.hooksPath": "{folder}",
    "core.sshCommand": "{}",
    "core.pager": "{}",
    "core.editor": "{}",
    "core.askPass": "{}",
    "core.alternateRefsCommand": "{}",
    "credential.helper": "{}",
    "gpg.program": "{}",
    "diff.external": "{}",
    "diff.x.textconv": "{}",
    "diff.x.command": "{}",
    "filter.x.clean": "{}",
    "filter.x.smudge": "{}",
    "filter.x.process": "{}",
    "filter.x.required": "true",
    "merge.x.driver": "{}",
    "alias.rev-parse": "!{}",
    "alias.ls-files": "!{}",
    "uploadpack.packObjectsHook": "{}",
    "remote.origin.url": "ext::{} %S",
    "remote.origin.promisor": "true",
    "protocol.ext.allow": "always",
    "extensions.partialClone": "origin",
}


@pytest.fixture
def ran(tmp_path: Path, workspace: Path) -> Path:
    """A file that is made by every program that the repository's configuration can name."""
    marker, folder = tmp_path / "ran", tmp_path / "programs"
    folder.mkdir()
    hooks = ("post-index-change", "post-checkout", "reference-transaction", "pre-commit")
    for name in ("program", *hooks):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {marker}\nexit 1\n')
        (folder / name).chmod(0o755)
    lines = []
    for name, value in RUNS.items():
        section, _, key = name.rpartition(".")
        top, _, sub = section.partition(".")
        heading = f'[{top} "{sub}"]' if sub else f"[{top}]"
        text = value.replace("{folder}", str(folder)).replace("{}", str(folder / "program"))
        lines.append(f'{heading}\n\t{key} = "{text}"\n')
    with (workspace / ".git/config").open("a") as file:
        file.write("".join(lines))
    (workspace / ".gitattributes").write_text("* filter=x diff=x merge=x\n")
    return marker


def test_a_repository_runs_nothing(victim: Victim, workspace: Path, ran: Path) -> None:
    """Its configuration names a program for everything; a whole session runs none of them."""
    victim.edit(workspace, "a.txt", b"one\n2\nthree\n")
    victim.edit(workspace, "new.txt", b"new\n", tool="Bash")
    assert {"a.txt", "new.txt"} <= victim.pending(workspace).keys()
    victim.call("diff", cwd=str(workspace))
    victim.call("decide", cwd=str(workspace), op="reject", selection={"paths": ["a.txt"]})
    victim.call("undo", cwd=str(workspace))
    victim.call("baseline.set", cwd=str(workspace))
    assert not ran.exists()


@pytest.mark.parametrize(
    "command",
    [(b"status", b"--porcelain"), (b"ls-files", b"-m"), (b"update-index", b"--refresh")],
)
def test_even_git_that_refreshes_runs_nothing(
    workspace: Path, ran: Path, command: tuple[bytes, ...]
) -> None:
    """What we ask of git does not look at the work tree; what it would run is off all the same."""
    (workspace / ".gitattributes").unlink()  # filters are run by these, and by nothing of ours
    (workspace / "a.txt").touch()
    run_git(os.fsencode(workspace), *command)
    assert not ran.exists()


def test_what_is_missing_is_not_fetched(workspace: Path, ran: Path) -> None:
    """A partial clone of a hostile server names the command that fetches."""
    run_git(os.fsencode(workspace), b"cat-file", b"-p", b"1" * 40)
    assert not ran.exists()


SPECIAL = [".git/index", ".git/logs/HEAD", ".git/info/exclude", ".gitignore", ".gitattributes"]
SPECIAL += [".git/info/attributes", ".git/objects/info/alternates", ".git/HEAD"]
SPECIAL += [".git/objects/pack/pack-x.idx"]


@pytest.mark.parametrize("name", SPECIAL)
def test_a_fifo_in_a_repository_holds_nobody_up(victim: Victim, tmp_path: Path, name: str) -> None:
    """In the place of a file that we read: the work goes on as if it were not there."""
    root = victim.workspace(tmp_path / "work")
    victim.pending(root)  # git, which the first look asks, is not interrupted by this
    place = root / name
    place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)
    fresh = tmp_path / "fresh"  # and where it was there from the beginning
    shutil.copytree(root / ".git", fresh / ".git", copy_function=_copy)
    for folder in (root, fresh):
        assert victim.edit(folder, "b.txt", b"written\n")["ok"]
        assert "b.txt" in victim.pending(folder)
        victim.call("decide", cwd=str(folder), op="reject", selection={"all": True})
    assert victim.bugs() == 0


def _copy(source: str, target: str) -> None:
    if Path(source).is_file():
        shutil.copy2(source, target)
    else:
        os.mkfifo(target)


@pytest.mark.parametrize(
    "said", ["gitdir: {}/.git", "gitdir: ../outside", "gitdir: /dev/zero", "nonsense", "gitdir: \0"]
)
def test_a_file_named_git_leads_nowhere(
    victim: Victim, tmp_path: Path, outside: Path, said: str
) -> None:
    """It may point at any repository, or at nothing: nothing is written there; work goes on."""
    victim.git(outside, "init", "-q")
    shutil.rmtree(outside / ".git")  # `outside` has to stay as it was
    elsewhere = victim.workspace(tmp_path / "elsewhere")
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    root = tmp_path / "pointing"
    root.mkdir()
    (root / ".git").write_text(said.format(elsewhere) + "\n")
    assert victim.edit(root, "a.txt", b"written\n")["ok"]
    victim.call("decide", cwd=str(root), op="reject", selection={"all": True, "external": True})
    assert before == {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    assert victim.bugs() == 0


def test_a_reflog_cannot_give_git_an_option(workspace: Path, tmp_path: Path) -> None:
    """What stands where an id should be is passed over."""
    head = Head(os.fsencode(workspace))
    made = tmp_path / "made"
    with (workspace / ".git/logs/HEAD").open("ab") as file:
        file.write(
            b"--output=%b --output=%b t <t@t> 1 +0000\tcommit: x\n" % ((os.fsencode(made),) * 2)
        )
    assert head.moves() == []
    assert not made.exists()


def test_settings_in_a_workspace_are_not_read(victim: Victim, workspace: Path) -> None:
    """Settings are the user's own file; one in the tree can neither name a collector nor more."""
    text = '[otlp]\nforward = "http://127.0.0.1:1"\nunknown_key_5c = 1\n'
    for name in (
        "config.toml",
        ".agentdiff.toml",
        "agentdiff.toml",
        ".config/agentdiff/config.toml",
    ):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).write_text(text)
    (workspace / "agentdiff").mkdir()
    (workspace / "agentdiff/__init__.py").write_text("raise SystemExit('imported')\n")
    done = victim.cli(workspace, "doctor", "--json")
    assert b"unknown_key_5c" not in done.stdout + done.stderr
    assert b"imported" not in done.stdout + done.stderr
    assert "unknown_key_5c" not in victim.log()
