"""Finds and ends the processes that a test started, directly or not.

Owns the rule by which a process counts as ours: its environment holds the test's own ``HOME``,
which is a fresh temporary folder.  Must not end anything else.  Linux only (``/proc``), as are the
end-to-end tests.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path

_GRACE_S = 5.0
_SHOWN = 200


def of_home(home: Path) -> list[int]:
    """Returns the pids of the live processes whose environment has ``HOME=home``, but this one."""
    wanted = f"HOME={home}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        # A process may end between the listing and the read, or belong to somebody else.
        with suppress(OSError):
            environment = Path("/proc", name, "environ").read_bytes().split(b"\0")
            if wanted in environment and int(name) != os.getpid():
                found.append(int(name))
    return found


def described(home: Path) -> list[str]:
    """Returns what `of_home` finds in words: pid, state, what the kernel has it wait in, words."""
    found = []
    for pid in of_home(home):
        with suppress(OSError):
            folder = Path("/proc", str(pid))
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ")[:_SHOWN]
            waits = (folder / "wchan").read_text()
            found.append(f"{pid} {state} {waits} {words.decode(errors='replace')}")
    return found


def end_all(home: Path) -> None:
    """Ends what `of_home` finds: asks, kills after five seconds, returns when all are gone."""
    for pid in of_home(home):
        end(pid)


def end(pid: int, *, first: signal.Signals = signal.SIGTERM) -> None:
    """Ends one process and returns when it is gone; after five seconds the signal is SIGKILL."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (first, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            # A pidfd becomes readable when the process has ended.
            if select.select([handle], [], [], _GRACE_S)[0]:
                return
    finally:
        os.close(handle)
