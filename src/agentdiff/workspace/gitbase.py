"""Owns taking the first baseline of a git work tree from git, without reading the files.

Must not change anything.  Hop 5: the packs are asked whenever an old content is needed, the index
during a first population.
"""

from __future__ import annotations

import os
import stat
import time

from agentdiff.core.entries import Ref
from agentdiff.workspace.git import find_git, read_config
from agentdiff.workspace.gitindex import Conversions, GitIndex, UnusableIndex, row_of
from agentdiff.workspace.gitpacks import GitPacks
from agentdiff.workspace.known import Row
from agentdiff.workspace.plain import open_plain, read_plain

_SETTINGS = (
    rb"^(core\.(autocrlf|eol|attributesfile|bare)|extensions\.(objectformat|worktreeconfig))$"
)
_SYSTEM_ATTRIBUTES = b"/etc/gitattributes"
_MAX_ATTRIBUTES = 1 << 20
_MAX_INDEX = 512 << 20
_TICK_NS = 20_000_000


def open_packs(root: bytes) -> GitPacks | None:
    """Returns the packs of the work tree `root`, None when it is none or has none.

    Args:
        root: absolute path.
    """
    if not os.path.lexists(os.path.join(root, b".git")):
        return None
    paths = find_git(root)
    if paths is None:
        return None
    packs = GitPacks(paths.objects)
    return packs or None


class GitBase:
    """Vouches for files whose content is a blob in a pack that is held open.

    Attributes:
        unverified: paths that were vouched for, which `holds_true` has not looked at.

    Args:
        root: the work tree.
        packs: its packs.
        max_bytes: longer contents are not kept.

    Raises:
        UnusableIndex: nothing can be vouched for; the message says why.
    """

    def __init__(self, root: bytes, packs: GitPacks, max_bytes: int) -> None:
        paths = find_git(root)
        if paths is None:
            raise UnusableIndex("git does not know the work tree")
        settings = read_config(root, _SETTINGS)
        if settings.get(b"extensions.objectformat", b"sha1") != b"sha1":
            raise UnusableIndex("the repository does not name its objects by SHA-1")
        converting = settings.get(b"core.autocrlf", b"false").lower()
        if (
            converting not in (b"false", b"no", b"off", b"0")
            or settings.get(b"core.eol") == b"crlf"
        ):
            raise UnusableIndex("git converts line ends (core.autocrlf, core.eol)")
        if os.path.isdir(paths.replaced) or b" refs/replace/" in _content(paths.packed_refs):
            raise UnusableIndex("the repository replaces objects")
        self._index = GitIndex(*_read_index(paths.index))
        configured = settings.get(b"core.attributesfile", b"")
        home = os.environb.get(b"HOME", b"/")
        own = os.path.expanduser(configured) if configured else _default_attributes(home)
        outside = [(b"", _content(path)) for path in (_SYSTEM_ATTRIBUTES, own, paths.attributes)]
        inside = {b".gitattributes", *self._index.attributes}
        self._conversions = Conversions(
            outside
            + [
                (path[: -len(b".gitattributes")], _content(os.path.join(root, path)))
                for path in sorted(inside)
            ]
        )
        self._packs = packs
        names = packs.names()
        self._holds = packs.holds if names is None else names.__contains__
        self._max_bytes = max_bytes
        self._settled_ns = time.time_ns() - _TICK_NS
        self.unverified: list[bytes] = []

    def clean(self, path: bytes, status: os.stat_result) -> Row | None:
        """Returns the row of a file that holds exactly a blob of git's, else None."""
        oid = self._index.blob(path, status)
        if oid is None or not self._holds(oid):
            return None
        if (
            status.st_ctime_ns >= self._settled_ns
            or status.st_size > self._max_bytes
            or not stat.S_ISREG(status.st_mode)
            or self._conversions.converts(path)
        ):
            return None
        if not self._conversions.may_normalise(path):
            self.unverified.append(path)
        elif self._packs.size(oid) != status.st_size:
            return None
        return row_of(status, oid)

    def end(self) -> None:
        """Lets go what only `clean` needs."""
        del self._index, self._holds

    def holds_true(self, ref: Ref) -> bool:
        """Whether a blob has the length of its file.

        It has not when an attribute converted the file that was removed since.
        """
        return self._packs.size(bytes.fromhex(ref.oid)) == ref.size


def _read_index(path: bytes) -> tuple[bytes, int]:
    """Returns content and modification time (ns) of an index file."""
    try:
        with open(open_plain(path), "rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MAX_INDEX)
    except OSError as error:
        raise UnusableIndex(f"the index cannot be read: {error.strerror}") from error
    return data, status.st_mtime_ns


def _default_attributes(home: bytes) -> bytes:
    config = os.environb.get(b"XDG_CONFIG_HOME") or os.path.join(home, b".config")
    return os.path.join(config, b"git", b"attributes")


def _content(path: bytes) -> bytes:
    try:
        return read_plain(path, _MAX_ATTRIBUTES)
    except OSError:
        return b""
