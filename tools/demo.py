"""``make demo``: the real product on a scratch workspace, without an agent account.

Owns the stage: a temporary folder with HOME, workspace and sockets, the installed hooks, a scripted
agent (`demo_agent`) that really writes files, and a Neovim with the plugin.  With a terminal the
review opens and is yours; without one it runs headless, prints the review, checks it, and says what
it checked.  Must leave nothing behind, neither file nor process, and must not touch anything of the
user's.

    python tools/demo.py              NVIM_BIN chooses the Neovim; else fetch_nvim.py does
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo_agent import HookError, ScriptedAgent

CHECKOUT = Path(__file__).resolve().parent.parent
AGENTDIFF = Path(sys.executable).parent / "agentdiff"
REVIEW_SCRIPT = CHECKOUT / "tools" / "demo_review.lua"
TIMEOUT_S = 60
STOP_TIMEOUT_S = 10
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

FILES = {
    "README.md": "# Invoices\n\nAdds up invoices.\n\nRun it with `python -m invoices`.\n",
    "invoices/__init__.py": '"""Invoices."""\n',
    "invoices/total.py": (
        '"""Totals."""\n\n\ndef total(lines):\n    sum = 0\n    for line in lines:\n'
        "        sum = sum + line\n    return sum\n"
    ),
    "invoices/old_tax.py": "RATE = 0.19\n",
    "notes.txt": "todo: tax\ntodo: currencies\n",
    "draft.txt": "a draft\n",
}
KEYS = """
The review opens in Neovim.  There, `a` accepts the hunk under the cursor and `x` rejects it, `u`
takes that back, `]c` and `[c` move, `g?` lists all keys, and `:qa` leaves.
"""


class DemoError(Exception):
    """Something that the product promises is not so; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The temporary folder of one demonstration."""

    root: Path
    nvim: Path

    @property
    def home(self) -> Path:
        """The user's home of the demonstration."""
        return self.root / "home"

    @property
    def workspace(self) -> Path:
        """Where the agent works."""
        return self.root / "invoices"

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of everything that runs here; the terminal's own settings pass."""
        terminal = ("PATH", "TERM", "COLORTERM", "LANG", "LC_ALL", "SHELL")
        return {
            **{name: os.environ[name] for name in terminal if name in os.environ},
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.root / "run"),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
        }

    @property
    def neovim(self) -> list[str]:
        """The command line of a Neovim with the plugin and nothing of the user's."""
        return [str(self.nvim), "--clean", "--cmd", f"set rtp^={CHECKOUT}"]

    def run(self, argv: Sequence[str | Path], **environment: str) -> str:
        """Runs a program in the workspace and returns its standard output.

        Raises:
            DemoError: it failed.
        """
        done = subprocess.run(
            argv,
            cwd=self.workspace,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            shown = " ".join(map(str, argv))
            raise DemoError(f"{shown}: exit {done.returncode}\n{done.stdout}{done.stderr}".rstrip())
        return done.stdout

    def agentdiff(self, *args: str) -> str:
        """Runs agentdiff's command line."""
        return self.run([AGENTDIFF, *args])


@contextmanager
def staged(nvim: Path) -> Iterator[Stage]:
    """Sets the stage, and clears it away whatever happened on it."""
    # Short: the path of a Unix socket may have about 100 bytes.
    root = Path(tempfile.mkdtemp(prefix="ad-demo-", dir="/tmp")).resolve()
    stage = Stage(root=root, nvim=nvim)
    try:
        for folder in (stage.home, stage.workspace, root / "run"):
            folder.mkdir(mode=0o700)
        settings = stage.home / "config" / "agentdiff" / "config.toml"
        settings.parent.mkdir(parents=True)
        # The user's own daemon holds the port that is stable per user.
        settings.write_text("[otlp]\nport = 0\n")
        for name, content in FILES.items():
            path = stage.workspace / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(content)
        git = ["git", "-c", "user.name=demo", "-c", "user.email=demo@localhost"]
        stage.run(["git", "init", "-q"])
        stage.run(["git", "add", "-A"])
        stage.run([*git, "commit", "-q", "-m", "before the agent came"])
        yield stage
    finally:
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # a second one must not leave things behind
        stop_daemon(stage)
        shutil.rmtree(root)


def stop_daemon(stage: Stage) -> None:
    """Stops the daemon that the hooks started, by its pid if asking does not help."""
    try:
        pid = json.loads(stage.agentdiff("daemon", "status", "--json"))["pid"]
        stage.agentdiff("daemon", "stop")
    except DemoError:
        return  # no daemon was ever started
    if not _gone(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        _gone(pid)


def _gone(pid: int) -> bool:
    """Waits until a process has ended; returns False if it has not after `STOP_TIMEOUT_S`."""
    # Polling, because macOS has no pidfd and the daemon is nobody's child any more.
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def perform(stage: Stage) -> None:
    """Lets the scripted agent work through two prompts, through the installed hooks."""
    agent = ScriptedAgent(
        workspace=stage.workspace,
        settings=stage.home / ".claude" / "settings.json",
        environment=stage.environment,
        say=lambda line: print(f"  {line}"),
    )
    agent.start()
    agent.prompt("Add tax to the totals")
    agent.edit("invoices/total.py", "def total(lines):", "def total(lines, rate=RATE):")
    agent.edit("invoices/total.py", "    return sum\n", "    return sum * (1 + rate)\n")
    agent.edit("invoices/total.py", "\n\n\ndef", "\n\nfrom invoices.tax import RATE\n\n\ndef")
    agent.write("invoices/tax.py", '"""Tax."""\n\nRATE = 0.19\n')
    agent.stop()
    agent.prompt("Now tidy up")
    agent.bash("sed -i.bak 's/Adds up invoices/Adds up invoices, with tax/' README.md && rm *.bak")
    agent.bash("rm invoices/old_tax.py")
    agent.bash("mv draft.txt final.txt && echo 'done: tax' >> notes.txt")
    agent.stop()
    agent.end()


def check_attribution(stage: Stage, before: dict[str, bytes]) -> None:
    """Every path that differs is pending, and every hunk names its prompt and its tool call."""
    status: dict[str, Any] = json.loads(stage.agentdiff("status", "--json"))
    pending = {file["path"] for file in status["files"]}
    pending |= {file["old_path"] for file in status["files"] if file.get("old_path")}
    now = contents(stage.workspace)
    expected = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
    expect("the pending paths", sorted(pending), sorted(expected))
    prompts = {
        turn["id"]: turn["prompt"] for session in status["sessions"] for turn in session["turns"]
    }
    for file in status["files"]:
        for owner in (owner for hunk in file["hunks"] for owner in hunk["owners"]):
            expect(f"the agent of {file['path']}", owner["agent"], "claude")
            if owner["turn"] not in prompts or not owner["tool_call"]:
                raise DemoError(f"a hunk of {file['path']} names no turn or no tool call: {owner}")


def check_patch(stage: Stage) -> str:
    """Returns ``agentdiff diff`` after git has confirmed that it leads to the tree as it is."""
    patch = stage.agentdiff("diff")
    file = stage.root / "pending.patch"
    file.write_text(patch)
    stage.run(["git", "apply", "--check", "--reverse", str(file)])
    return patch


def check_review(stage: Stage, patch: str) -> None:
    """Prints what a Neovim shows, and compares it with the patch."""
    out = stage.root / "review.json"
    stage.run([*stage.neovim, "--headless", "-S", str(REVIEW_SCRIPT)], AGENTDIFF_DEMO_OUT=str(out))
    if not out.exists():
        raise DemoError("Neovim ended without showing a review")
    shown = json.loads(out.read_text())
    if not shown["complete"]:
        raise DemoError(f"no review or no statusline in Neovim; it shows {shown}")
    print("\nThe review buffer of Neovim:\n")
    print("\n".join(shown["lines"]))
    print(f"\nThe statusline:  {shown['statusline']}\n")
    expect("the lines of the review", changed_lines(shown["lines"]), hunk_lines(patch))
    totals = json.loads(stage.agentdiff("status", "--json"))["totals"]
    counted = f"{totals['files']} files {totals['hunks']} hunks"
    expect("the counts of the statusline", counted in shown["statusline"], True)


def check_reject(stage: Stage, before: dict[str, bytes]) -> None:
    """``reject --all`` brings every file back, ``undo`` the agent's version."""
    now = contents(stage.workspace)
    stage.agentdiff("reject", "--all")
    expect("the tree after reject --all", contents(stage.workspace), before)
    stage.agentdiff("undo")
    expect("the tree after undo", contents(stage.workspace), now)


def contents(workspace: Path) -> dict[str, bytes]:
    """Returns the content of every file of the workspace but git's own."""
    return {
        str(path.relative_to(workspace)): path.read_bytes()
        for path in workspace.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(workspace).parts
    }


def changed_lines(lines: Sequence[str]) -> Counter[str]:
    """Counts the added and removed lines, with their sign."""
    return Counter(line for line in lines if line[:1] in ("+", "-"))


def hunk_lines(patch: str) -> Counter[str]:
    """Counts the added and removed lines of a unified diff; file headers do not count."""
    headers = ("+++ ", "--- ")
    return changed_lines([line for line in patch.split("\n") if not line.startswith(headers)])


def expect(what: str, found: object, wanted: object) -> None:
    """Raises `DemoError` unless `found` equals `wanted`."""
    if found != wanted:
        raise DemoError(f"{what}:\n  expected {wanted}\n  found    {found}")


def demonstrate(stage: Stage, *, interactive: bool) -> None:
    """Installs the hooks, lets the agent work, and shows the review.

    Raises:
        DemoError, HookError: the product does not do what it promises.
    """
    before = contents(stage.workspace)
    stage.agentdiff("install", "claude", "--scope", "user")
    print(f"Scratch workspace {stage.workspace}; no Neovim is open.  The agent works:\n")
    perform(stage)
    check_attribution(stage, before)
    patch = check_patch(stage)
    if interactive:
        print(KEYS)
        left = subprocess.run(
            [*stage.neovim, "-c", "AgentDiff"],
            cwd=stage.workspace,
            env=stage.environment,
            check=False,
        )
        expect("the exit code of Neovim", left.returncode, 0)
        print(stage.agentdiff("status"))
        return
    print(f"\nagentdiff diff:\n\n{patch}")
    check_review(stage, patch)
    check_reject(stage, before)
    print("Checked: every change is pending with its prompt and tool call; git accepts the diff;")
    print("the review shows it; reject --all restores every file; undo brings the changes back.")


def neovim() -> Path:
    """Returns $NVIM_BIN, else what ``fetch_nvim.py any`` finds or fetches.

    Raises:
        DemoError: there is none.
    """
    if os.environ.get("NVIM_BIN"):
        return Path(os.environ["NVIM_BIN"])
    argv = [sys.executable, str(CHECKOUT / "tools" / "fetch_nvim.py"), "any"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise DemoError("no Neovim 0.10 or newer: set NVIM_BIN")
    return Path(done.stdout.strip())


def main() -> int:
    """Runs the demonstration; returns 0 when all of it was as promised."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    for number in ENDING:
        # The default would end this process without clearing the stage.
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with staged(neovim()) as stage:
            demonstrate(stage, interactive=interactive)
    except (DemoError, HookError, subprocess.SubprocessError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
