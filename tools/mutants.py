"""Removes each guard in a copy of the tree, and expects the test that is named for it to fail.

Owns the copy, and the environment in which its tests run: the sources of the copy, the packages of
this checkout.  The product has no switch for this: what is removed is removed from its source.

    make mutants                        every guard
    make mutants ONLY=otlp,is_owner     those whose file, text or test has one of these in it

A guard whose source cannot be found exactly once, a test that does not exist, one that fails with
the guard in its place, and one that does not notice: each of them fails the run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from guards import GUARDS, Guard
from guards_of_data import GUARDS_OF_DATA

CHECKOUT = Path(__file__).resolve().parent.parent
ALL = GUARDS + GUARDS_OF_DATA
TEST_TIMEOUT_S = 60
FAILED, PASSED = 1, 0


def problem(guard: Guard, tree: Path) -> str:
    """Returns why a guard cannot be looked at in a tree, empty when it can."""
    path = tree / guard.file
    if not path.is_file():
        return f"{guard.file} does not exist"
    found = path.read_text(encoding="utf-8").count(guard.text)
    if found != 1:
        return f"{guard.file} has it {found} times, not once: {guard.text!r}"
    file, _, name = guard.test.partition("::")
    function = name.partition("[")[0]
    if not (tree / file).is_file() or f"def {function}(" not in (tree / file).read_text("utf-8"):
        return f"there is no test {guard.test}"
    return ""


def copy(to: Path) -> None:
    """Copies what git would commit, as it is now, and makes an environment for it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    for name in map(os.fsdecode, filter(None, listed.stdout.split(b"\0"))):
        if (CHECKOUT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, to / name, follow_symlinks=False)
    (to / ".cache").symlink_to(CHECKOUT / ".cache")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", to / ".venv"], check=True)
    [packages] = (to / ".venv").glob("lib/python*/site-packages")
    ours = [path for path in sys.path if path.endswith("site-packages")]
    # A folder named here is not searched for .pth files: the one of this checkout is left out.
    (packages / "tree.pth").write_text("\n".join([str(to / "src"), *ours, ""]))
    # A commit, because some tests ask git what the tree has.
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *command], cwd=to, check=True)


def run(tree: Path, tests: list[str]) -> tuple[int, str]:
    """Runs tests in a tree; returns pytest's exit status and what it printed."""
    command = [str(tree / ".venv/bin/python"), "-m", "pytest", "-q", "-x", "-rs"]
    command += ["-p", "no:cacheprovider", f"--timeout={TEST_TIMEOUT_S}", *tests]
    environ = {**os.environ, "HYPOTHESIS_PROFILE": "fast"}
    done = subprocess.run(
        command, cwd=tree, env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def verdict(tree: Path, guard: Guard) -> tuple[bool, str]:
    """Removes a guard, runs its test and puts it back; returns whether that is well, and a word."""
    path = tree / guard.file
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace(guard.text, guard.without), encoding="utf-8")
    try:
        status, said = run(tree, [guard.test])
    finally:
        path.write_text(whole, encoding="utf-8")
    if status == FAILED:
        return True, "noticed"
    if status == PASSED and " skipped" in said and " passed" not in said:
        return guard.root and os.geteuid() != 0, "SKIPPED (it needs root)"
    return False, "SURVIVED" if status == PASSED else f"BROKEN\n{said}"


def main() -> int:
    """Looks at every guard; returns 1 when one is not shown to matter."""
    only = os.environ.get("ONLY", "").split(",")
    chosen = [guard for guard in ALL if any(one in str(guard) for one in only)]
    problems = [text for guard in chosen if (text := problem(guard, CHECKOUT))]
    if problems or not chosen:
        print("\n".join(problems) or f"no guard has one of {only} in it")
        return 1
    began, bad = time.monotonic(), 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder).resolve() / "tree"
        copy(tree)
        status, said = run(tree, sorted({guard.test for guard in chosen}))
        if status != PASSED:
            print(f"{said}\nthese tests must pass while the guards are there")
            return 1
        for guard in chosen:
            well, word = verdict(tree, guard)
            bad += not well
            name = guard.text.strip().splitlines()[0][:60]
            print(f"{word:9} {guard.file}: {name}\n          {guard.test}", flush=True)
    took = time.monotonic() - began
    print(f"{len(chosen)} guards, {len(chosen) - bad} shown to matter, {bad} not, in {took:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
