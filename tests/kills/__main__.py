"""``python -m tests.kills --seed N``: one run, and what came of it.

Prints ``events: N``, ``kills: N`` and ``editor kills: N``; `tools/deep.py` reads that.
"""

from __future__ import annotations

import argparse
import os
import sys

from tests.kills.editor import CHECKOUT, Editor
from tests.kills.run import Lost, Run
from tests.kills.user import User


def main() -> int:
    """Plays one run; returns 1 when something was lost."""
    parser = argparse.ArgumentParser(prog="tests.kills", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--kill-every", type=int, default=25, help="events for each kill")
    parser.add_argument("--editor", action="store_true", help="with a Neovim that saves")
    given = parser.parse_args()
    nvim = os.environ.get("NVIM_BIN") or str(CHECKOUT / ".cache/nvim/0.12/nvim")
    user = User()
    editor = Editor(user, nvim) if given.editor else None
    say = sys.stdout.write
    run = Run(user, given.seed, given.kill_every, editor)
    try:
        outcome = run.play(given.events)
    except Lost as lost:
        say(f"seed {given.seed}: {lost}\nkills: {run.reaper.kills}\n")
        say(f"the daemon's log:\n{_tail(user)}\n")
        return 1
    finally:
        if editor is not None:
            editor.close()
        user.close()
    say(f"events: {outcome.events}\nkills: {outcome.kills}\n")
    say(f"editor kills: {outcome.editor_kills}\nlooks: {outcome.looks}\n")
    say(f"seconds: {outcome.seconds:.1f}\n")
    return 0


def _tail(user: User) -> str:
    try:
        lines = user.locations.log_file.read_text(errors="replace").splitlines()
    except OSError as error:
        return str(error)
    return "\n".join(lines[-30:])


if __name__ == "__main__":
    sys.exit(main())
