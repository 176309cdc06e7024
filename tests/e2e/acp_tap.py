"""Records what passes through standard input and output of a program, byte for byte.

    python acp_tap.py NAME -- CMD…      writes NAME.in and NAME.out

Owns nothing else: it is put on both sides of the proxy, to compare them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def copy(source: int, target: int, record: str) -> None:
    """Copies until the end of a stream, and keeps a copy."""
    with open(record, "wb", buffering=0) as kept:
        while data := os.read(source, 65536):
            kept.write(data)
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[os.write(target, rest) :]
                except OSError:
                    return  # the other side left; what it did not read does not count
    if target != 1:
        os.close(target)


def main() -> int:
    """Runs the program; returns its exit code."""
    name, _, *argv = sys.argv[1:]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    # The pipe's end belongs to the thread: closing it is how the program learns of the end.
    to_program = os.dup(process.stdin.fileno())
    process.stdin.close()
    threading.Thread(target=copy, args=(0, to_program, f"{name}.in"), daemon=True).start()
    copy(process.stdout.fileno(), 1, f"{name}.out")
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
