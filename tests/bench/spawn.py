"""Starting a program the cheap way, so that what is around it is not what is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path


def spawner(
    command: Sequence[str], payload: bytes, file: Path, env: dict[str, str] | None = None
) -> Callable[[], None]:
    """Returns an action that runs `command` to its end, `payload` on its standard input.

    `os.posix_spawn`, because what `subprocess` does around it would be half of what is measured.

    Args:
        command: absolute path of a program, and its arguments.
        payload: what it reads.
        file: where the payload is kept meanwhile.
        env: its environment; ours when not given.
    """
    file.write_bytes(payload)
    quiet = os.open(os.devnull, os.O_WRONLY)
    actions = [(os.POSIX_SPAWN_OPEN, 0, str(file), os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, quiet, 1)]
    environment = os.environ if env is None else env

    def spawn() -> None:
        pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        if status != 0:
            raise AssertionError(f"{command[0]} ends with status {status}")

    return spawn
