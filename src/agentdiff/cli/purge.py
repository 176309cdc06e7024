"""``agentdiff purge``: forgets the review of a workspace, or everything; never touches the tree.

Owns the confirmation, and that no daemon has open what is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

from agentdiff.cli import daemon, output
from agentdiff.cli.context import DONE, NOTHING, REFUSED, Context
from agentdiff.client import RequestError
from agentdiff.daemon import lifecycle
from agentdiff.locations import Locations
from agentdiff.workspace.roots import find_root
from agentdiff.workspace.store import root_of

_TRIES = 5
# What cannot be opened must be removable all the same: it is the remedy that is named for it.
_CANNOT_BE_OPENED = ("unavailable", "internal")


def purge(context: Context) -> int:
    """``agentdiff purge``."""
    folders, lost = _everything(context) if context.args.all else _this_one(context)
    if not folders:
        output.say("nothing to remove")
        return NOTHING
    if lost and not context.args.yes and not _confirmed(lost):
        output.complain(f"{output.escaped(lost)}: nothing was removed; --yes removes it")
        return REFUSED
    for folder in folders:
        output.say(f"removes {output.escaped(str(folder))}")
    try:
        lock = _alone(context)
    except (TimeoutError, lifecycle.AlreadyRunning) as error:
        output.complain(f"{error.strerror or error}: nothing was removed; end it and try again")
        return REFUSED
    try:
        for folder in folders:
            if folder == context.locations.state:
                _remove_state(context.locations)
            else:
                _remove(folder)
    except OSError as error:
        where = os.fsdecode(error.filename or context.locations.state)
        output.complain(f"{output.escaped(where)}: {error.strerror}: not everything was removed")
        return REFUSED
    finally:
        lock.release()
    return DONE


def _this_one(context: Context) -> tuple[list[Path], str]:
    """Returns the state folder of the workspace of the current folder, and what would be lost.

    Raises:
        RequestError: the daemon refuses to open it, and it cannot be told which folder it is.
    """
    refused: RequestError | None = None
    with context.daemon() as client:
        try:
            files = int(client.call("status", **context.place())["totals"]["files"])
            lost = f"{output.counted(files, 'file')} pending" if files else ""
        except RequestError as error:
            if error.code not in _CANNOT_BE_OPENED:
                raise
            refused = error
            lost = f"a review that cannot be opened ({error.message})"
    known = [root for root in map(root_of, context.locations.workspaces.iterdir()) if root]
    folder = context.locations.workspace_folder(find_root(context.cwd, known))
    if folder.is_dir():
        return [folder], lost
    if refused is not None:
        raise refused
    return [], ""


def _everything(context: Context) -> tuple[list[Path], str]:
    """Returns the whole state folder, and what would be lost.

    What pends is known of open workspaces only, so every known workspace counts.
    """
    locations = context.locations
    known = list(locations.workspaces.iterdir()) if locations.workspaces.is_dir() else []
    lost = f"{output.counted(len(known), 'workspace')} with all reviews" if known else ""
    return ([locations.state] if locations.state.is_dir() else []), lost


def _confirmed(lost: str) -> bool:
    """Asks on the terminal; False without one."""
    if sys.stdin is None or not sys.stdin.isatty() or not sys.stdout.isatty():
        return False
    try:
        answer = input(f"{output.escaped(lost)}: forget? [y/N] ")
    except (EOFError, UnicodeDecodeError):
        output.say()  # the next line shall not begin behind the question
        return False
    return answer.strip().lower() in ("y", "yes")


def _alone(context: Context) -> lifecycle.Lock:
    """Ends the daemon and takes its lock: a hook that starts another one now has to wait for us.

    Raises:
        TimeoutError: the daemon does not leave.
        AlreadyRunning: somebody starts one again and again.
        OSError: the lock cannot be taken.
    """
    for _ in range(_TRIES - 1):
        daemon.stop_and_wait(context)
        try:
            return lifecycle.Lock.acquire(context.locations.lock_file, context.locations.runtime)
        except lifecycle.AlreadyRunning:
            continue
    daemon.stop_and_wait(context)
    return lifecycle.Lock.acquire(context.locations.lock_file, context.locations.runtime)


def _remove(folder: Path) -> None:
    """Removes a folder into which a hook may write while that goes on (its spool, a trace).

    Raises:
        OSError: it cannot be removed.
    """
    for left in reversed(range(_TRIES)):
        try:
            shutil.rmtree(folder)
        except OSError as error:
            if not folder.exists():
                return
            if not left or error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                raise


def _remove_state(locations: Locations) -> None:
    """Removes the whole state folder, the lock that we hold last.

    Raises:
        OSError: something cannot be removed; the lock is still there then.
    """
    for one in locations.state.iterdir():
        if one.is_dir() and not one.is_symlink():
            _remove(one)
        elif one != locations.lock_file:
            one.unlink(missing_ok=True)
    locations.lock_file.unlink(missing_ok=True)
    try:
        locations.state.rmdir()
    except OSError as error:
        # Whoever began to start a daemon in this instant made the folders of a new, empty state.
        if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):  # the latter: it is a link
            raise
