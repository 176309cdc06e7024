"""``make screenshots``: the pictures of README, taken from the running product.

Owns the scenes.  A Neovim with a user interface of ours shows them on the stage of the
demonstration (`demo`): what the scripted agent did is really under review.  The screen is drawn as
SVG, cell by cell, so that no font, browser or display is needed.  Must not change anything outside
of doc/images/.

    python tools/screenshots.py [FOLDER]
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from demo import CHECKOUT, DemoError, Stage, neovim, perform, staged
from screen import COLUMNS, ROWS, Screen, svg

T = TypeVar("T")

FOLDER = CHECKOUT / "doc" / "images"
STATUSLINE = "\\ %t\\ %m%=%{v:lua.require'agentdiff'.statusline()}\\ "
SETTINGS = (
    "set background=dark termguicolors noswapfile shortmess+=IF laststatus=2 noruler noshowcmd "
    f"statusline={STATUSLINE}"
)
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One picture.

    Attributes:
        name: of the file.
        commands: Ex commands that lead there.
        ready: a Lua expression that is true when there is something to see.
        rows: how many rows of the screen are shown, from the top.
    """

    name: str
    commands: tuple[str, ...]
    ready: str
    rows: int = ROWS


SHOWN = "(vim.b.agentdiff_status_dict or {}).hunks"
SCENES = (
    Scene(
        name="review",
        commands=("AgentDiff", "normal! gg", "call search('^+from')"),
        ready="vim.bo.filetype == 'agentdiff'",
        rows=26,
    ),
    Scene(
        name="inline",
        commands=(
            "edit invoices/total.py",
            "set number signcolumn=yes",
            "normal! G",
            "AgentDiff owner",
            "doautocmd CursorMoved",
        ),
        ready=f"({SHOWN} or 0) > 1",
        rows=18,
    ),
    Scene(
        name="statusline",
        commands=(
            "edit README.md",
            "AgentBaseline",
            "redrawstatus!",
        ),
        ready=f"({SHOWN} or 0) > 0",
        rows=14,
    ),
)


def wait_for(condition: Callable[[], T | None], what: str) -> T:
    """Polls until a condition is true, and returns its value.

    Raises:
        DemoError: it did not become true.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise DemoError(f"waited for {what}")
        time.sleep(0.05)
    return value


def _connected(path: str) -> Screen | None:
    try:
        return Screen(path)
    except OSError:  # it does not listen yet
        return None


def take(stage: Stage, scene: Scene) -> str:
    """Returns the picture of a scene, in a Neovim of its own."""
    socket = stage.root / f"{scene.name}.nvim"
    argv = [*stage.neovim, "--headless", "--listen", str(socket), "--cmd", SETTINGS]
    process = subprocess.Popen(
        argv,
        cwd=stage.workspace,
        env=stage.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        screen = wait_for(lambda: _connected(str(socket)), "Neovim's socket")
        height = scene.rows + 1
        screen.attach(COLUMNS, height)
        first, *rest = scene.commands
        screen.command(first)
        wait_for(lambda: screen.lua(f"return ({scene.ready}) or false"), scene.ready)
        for command in rest:
            screen.command(command)
        screen.settle()
        return svg(screen, scene.rows)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)


def main() -> int:
    """Takes all pictures; returns the exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    try:
        with staged(neovim()) as stage:
            stage.agentdiff("install", "claude", "--scope", "user")
            perform(stage)
            folder.mkdir(parents=True, exist_ok=True)
            for scene in SCENES:
                (folder / f"{scene.name}.svg").write_text(take(stage, scene), encoding="utf-8")
                print(f"{folder / scene.name}.svg")
    except (DemoError, OSError) as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
