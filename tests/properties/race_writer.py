"""The other process of `test_races`: changes a file, then says which, and what it holds now.

    race_writer.py SOCKET_FD TREE OUTSIDE TRIALS KIND…

Each message is ``KIND PATH BLOB_ID``; it waits for an answer before it goes on.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import random
import socket
import sys
from collections.abc import Callable

DIRECTORIES, FILES, BYTES = 8, 5, 3000
TREE, OUTSIDE = os.fsencode(sys.argv[2]), os.fsencode(sys.argv[3])
_held: dict[bytes, int] = {}
_chance = random.Random(7)


def noise() -> bytes:
    """Returns bytes that were not there before."""
    return b"%020d" % _chance.randrange(10**18)


def write(path: bytes) -> bytes:
    """In place, and closed."""
    fd = os.open(path, os.O_WRONLY)
    os.pwrite(fd, noise(), 3)
    os.close(fd)
    return path


def write_held_open(path: bytes) -> bytes:
    """In place, by a descriptor that nobody closes."""
    if path not in _held:
        _held[path] = os.open(path, os.O_RDWR)
    os.pwrite(_held[path], noise(), 3)
    if os.fstat(_held[path]).st_nlink == 0:  # replaced by another kind meanwhile
        os.close(_held.pop(path))
        return write_held_open(path)
    return path


def truncate_and_write(path: bytes) -> bytes:
    """As an editor without care."""
    with open(path, "wb") as file:
        file.write(noise() * _chance.randrange(99))
    return path


def rename_over(path: bytes) -> bytes:
    """As an editor with care."""
    with open(path + b".new", "wb") as file:
        file.write(noise() * _chance.randrange(99))
    os.rename(path + b".new", path)
    return path


def truncate(path: bytes) -> bytes:
    """Without opening it."""
    os.truncate(path, _chance.randrange(BYTES))
    return path


def copy_file_range(path: bytes) -> bytes:
    """Within the kernel."""
    source = OUTSIDE + b"/source"
    with open(source, "wb") as file:
        file.write(noise() * 40)
    origin, target = os.open(source, os.O_RDONLY), os.open(path, os.O_WRONLY)
    os.copy_file_range(origin, target, 800)
    os.close(origin)
    os.close(target)
    return path


def mapping(path: bytes) -> bytes:
    """Through memory, and closed after that."""
    fd = os.open(path, os.O_RDWR)
    os.ftruncate(fd, BYTES)
    with mmap.mmap(fd, BYTES) as view:
        view[10:30] = noise()
    os.close(fd)
    return path


def new_file(path: bytes) -> bytes:
    """A name that was not there."""
    fresh = path + b"-" + noise()
    with open(fresh, "wb") as file:
        file.write(noise())
    return fresh


def new_directories(path: bytes) -> bytes:
    """A file in directories that were not there either."""
    folder = os.path.dirname(path) + b"/n" + noise() + b"/a/b"
    os.makedirs(folder)
    with open(folder + b"/leaf", "wb") as file:
        file.write(noise())
    return folder + b"/leaf"


def unlink_and_recreate(path: bytes) -> bytes:
    """Another file of the same name."""
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(noise() * 100)
    return path


def through_link(path: bytes) -> bytes:
    """By another name, a symbolic link from outside."""
    link = OUTSIDE + b"/link"
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(path, link)
    with open(link, "r+b") as file:
        file.write(noise())
    return path


KINDS: dict[str, Callable[[bytes], bytes]] = {
    one.__name__: one
    for one in (
        *(write, write_held_open, truncate_and_write, rename_over, truncate, copy_file_range),
        *(mapping, new_file, new_directories, unlink_and_recreate, through_link),
    )
}


def blob_id(path: bytes) -> str:
    """Returns git's name of what a file holds."""
    with open(path, "rb") as file:
        data = file.read()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def main() -> None:
    """Plays every kind, as often as it was told."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    for kind in sys.argv[5:]:
        for trial in range(int(sys.argv[4])):
            name = b"/d%d/f%d" % (_chance.randrange(DIRECTORIES), _chance.randrange(FILES))
            path = KINDS[kind](TREE + name)
            told = os.fsdecode(path[len(TREE) + 1 :])
            channel.send(f"{kind} {told} {blob_id(path)}".encode())
            channel.recv(16)
            if kind.startswith("new"):  # or the tree would grow without end
                os.unlink(path)
                if kind == "new_directories" and trial % 2:
                    os.removedirs(os.path.dirname(path))
    channel.send(b"")


if __name__ == "__main__":
    main()
