"""The launchers of one traced run: which programs get one, and the environment that finds them.

Owns the private folder and its removal.  Must never shim a shell, and never let a program seem to
exist that does not.  Hop 1.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Final

# fmt: off
DEFAULT: Final = (
    "git", "npm", "npx", "node", "pnpm", "bun", "python", "python3", "pip", "pip3", "jq", "curl",
    "wget", "tar", "unzip", "make", "go", "cargo", "deno", "docker", "kubectl",
)
CORE_UTILITIES: Final = (
    "awk", "cat", "chmod", "chown", "cp", "cut", "dd", "diff", "find", "grep", "head", "install",
    "ln", "ls", "mkdir", "mv", "patch", "rm", "rmdir", "rsync", "sed", "sort", "tail", "tee",
    "touch", "tr", "truncate", "uniq", "wc", "xargs",
)
SHELLS: Final = frozenset({
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "mksh", "nu", "posh", "pwsh",
    "rbash", "sh", "tcsh", "xonsh", "yash", "zsh",
})
# fmt: on
WAIT_S = 30
"""Longer than a first baseline may take: a supervisor that is silent for so long was stopped."""
_STALE_SUFFIX = ".pid"
_BASH_ENV = "bash_env.sh"
# Number of prctl(2) in the system call tables of Linux (asm/unistd_64.h, asm-generic/unistd.h).
_CALLS: Final = {"x86_64": "157", "aarch64": "167", "riscv64": "167"}
_PRCTL: Final = _CALLS.get(platform.machine(), "0") if sys.platform == "linux" else "0"


def unique(path: str, without: Iterable[str] = ()) -> str:
    """Returns a PATH with each folder once, in order, and without some of them."""
    hidden = {os.path.normpath(one) for one in without}
    seen: dict[str, None] = {}
    for part in path.split(":"):
        if part == "" or os.path.normpath(part) not in hidden:
            seen.setdefault(part, None)
    return ":".join(seen)


def acceptable(name: str) -> bool:
    """Whether a program may get a launcher: a plain name, and never a shell."""
    return bool(name) and name not in SHELLS and "/" not in name and name not in (".", "..")


class Launchers:
    """One folder of launchers; `remove` when the run is over.

    Args:
        folder: for everything of this run; must not exist.
        off: the file that switches traces off; absolute.
        program: the launcher as a program, None for the one in perl.
        perl: absolute path; needed where there is no program.
        tools: programs that get a launcher, if they are on the PATH.
        environ: of the run; only its PATH is read here.
        wait_s: how long the one in perl waits for the supervisor before it runs its program alone.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        *,
        off: Path,
        program: bytes | None,
        perl: str | None,
        tools: Iterable[str],
        environ: Mapping[str, str],
        wait_s: int = WAIT_S,
    ) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bash_env = folder / _BASH_ENV
        self.original_path = unique(environ.get("PATH", os.defpath), without=_others(environ))
        self.bin.mkdir(mode=0o700, parents=True)
        (folder / f"{os.getpid()}{_STALE_SUFFIX}").touch()
        # A program is the same for all runs: it finds the switch by this link.
        (folder / "switch").symlink_to(off)
        words = {"@FOLDER@": str(self.bin), "@OFF@": str(off)}
        if program is None:
            more = {"@PERL@": str(perl), "@PRCTL@": _PRCTL, "@WAIT@": str(wait_s)}
            program = _rendered("launcher.pl", words | more, {"\\": "\\\\", "'": "\\'"})
        self.tools = tuple(
            name
            for name in dict.fromkeys(tools)
            if acceptable(name) and shutil.which(name, path=self.original_path)
        )
        for name in self.tools:
            # Real files: a link would let a program see another name than its own.
            path = self.bin / name
            path.write_bytes(program)
            path.chmod(0o700)
        self.bash_env.write_bytes(_rendered(_BASH_ENV, words, {"'": "'\\''"}))

    def environment(self, environ: Mapping[str, str], socket: Path) -> dict[str, str]:
        """Returns the environment of the traced program.

        Args:
            environ: what it would get without a trace.
            socket: where the launchers ask.
        """
        more = {
            "PATH": f"{self.bin}:{self.original_path}",
            "ORIGINAL_PATH": self.original_path,
            "AGENTDIFF_TRACE": str(socket),
            "BASH_ENV": str(self.bash_env),
        }
        own = environ.get("BASH_ENV", "")
        if own and not _is_ours(own):
            more["AGENTDIFF_BASH_ENV"] = own
        kept = {name: value for name, value in environ.items() if name not in _OURS}
        return {**kept, **more}

    def remove(self) -> None:
        """Removes the folder; commands that still run are not disturbed."""
        shutil.rmtree(self.folder, ignore_errors=True)


_OURS = frozenset({"SHIM_ACTIVE", "AGENTDIFF_TRACE_PARENT", "AGENTDIFF_TRACE_ENV"})


def _others(environ: Mapping[str, str]) -> list[str]:
    """Returns the launchers of the run around this one, which the PATH still begins with."""
    outer = environ.get("BASH_ENV", "")
    return [os.path.join(os.path.dirname(outer), "bin")] if _is_ours(outer) else []


def _is_ours(bash_env: str) -> bool:
    """Whether a file for ``BASH_ENV`` is that of a run, be it one with another HOME."""
    folder, name = os.path.split(bash_env)
    return name == _BASH_ENV and any(Path(folder).glob(f"*{_STALE_SUFFIX}"))


def _rendered(name: str, words: Mapping[str, str], escapes: Mapping[str, str]) -> bytes:
    """Fills in a template; the words stand inside single quotes of its language."""
    text = resources.files("agentdiff").joinpath("sources", "trace", name).read_text("utf-8")
    for word, place in words.items():
        for plain, escaped in escapes.items():
            place = place.replace(plain, escaped)
        text = text.replace(word, place)
    return os.fsencode(text)


def remove_stale(parent: Path) -> None:
    """Removes the folders of runs that were killed."""
    for marker in parent.glob(f"*/*{_STALE_SUFFIX}"):
        try:
            os.kill(int(marker.stem), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(marker.parent, ignore_errors=True)
        except PermissionError:
            continue
