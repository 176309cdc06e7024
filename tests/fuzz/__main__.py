"""``make fuzz``: spoils inputs for $FUZZ_MINUTES, and keeps those that find something.

    make fuzz                          ten minutes, every target for the same time
    make fuzz FUZZ_MINUTES=60
    make fuzz FUZZ_TARGETS=shell,rpc

Owns the processes: each target runs in one of its own with a limit of memory, an input that takes
more than the target's processor time is a hang, and one that ends the process is found as well,
because it was written down before it was tried.  What is found is made smaller, and kept in
``tests/fuzz/corpus/<target>/``, where `make test` tries it from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from types import FrameType

from tests.fuzz import engine, targets
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import Run, Target

CHECKOUT = Path(__file__).resolve().parents[2]
TRIED = CHECKOUT / ".cache" / "fuzz"
MEMORY = 3 << 30
SHRINK_S = 20.0
TARGETS = {target.name: target for target in (*targets.TARGETS, *engine.TARGETS)}


class Hang(BaseException):
    """An input took too much processor time; not an `Exception`, which a target might suppress."""


def _hang(_: int, frame: FrameType | None) -> None:
    raise Hang


def outcome(target: Target, run: Run, data: bytes) -> str:
    """Returns what is wrong with an input: the error and its place, empty when it is fine."""
    signal.setitimer(signal.ITIMER_VIRTUAL, target.cpu_s)
    try:
        run(data)
    except Hang:
        return "hang"
    except Exception as error:  # noqa: BLE001 - every kind of it is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(place.filename).name}:{place.name}"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return ""


def shrink(target: Target, run: Run, data: bytes, wrong: str) -> bytes:
    """Returns a shorter input with the same outcome, by leaving out ever smaller parts."""
    until, size = time.monotonic() + SHRINK_S, len(data) // 2
    while size and time.monotonic() < until:
        at = 0
        while at < len(data) and time.monotonic() < until:
            shorter = data[:at] + data[at + size :]
            if outcome(target, run, shorter) == wrong:
                data = shorter
            else:
                at += size
        size //= 2
    return data


def keep(target: Target, data: bytes, wrong: str) -> None:
    """Writes an input into the corpus and says so."""
    target.folder.mkdir(parents=True, exist_ok=True)
    word = "".join(char if char.isalnum() else "-" for char in wrong.split(" at ")[0].lower())
    path = target.folder / f"{word}-{hashlib.sha256(data).hexdigest()[:8]}"
    path.write_bytes(data)
    print(f"FOUND {target.name}: {wrong}: {path.relative_to(CHECKOUT)}", flush=True)


def work(target: Target, seconds: float, seed: int) -> int:
    """Tries inputs until the time is over; returns how many different things are wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGVTALRM, _hang)
    warnings.simplefilter("ignore", FutureWarning)  # of `re`: "possible nested set"
    source, found, tried = random.Random(seed), set[str](), 0
    seeds, until = target.seeds(), time.monotonic() + seconds
    current = TRIED / target.name
    with target.open() as run, current.open("wb", buffering=0) as written:
        while time.monotonic() < until:
            data = mutated(source, seeds, target.tokens)
            os.pwrite(written.fileno(), data, 0)
            os.ftruncate(written.fileno(), len(data))
            tried += 1
            wrong = outcome(target, run, data)
            if wrong and wrong not in found:
                found.add(wrong)
                keep(target, shrink(target, run, data, wrong), wrong)
    current.unlink()
    print(f"{target.name}: {tried} inputs, seed {seed}, {len(found)} found", flush=True)
    return len(found)


def supervise(target: Target, seconds: float, seed: int) -> int:
    """Runs a target in a process; what that one dies of is found as well."""
    command = [sys.executable, "-m", "tests.fuzz", "--target", target.name]
    command += ["--seconds", str(seconds), "--seed", str(seed)]
    try:
        done = subprocess.run(command, cwd=CHECKOUT, check=False, timeout=seconds + 120)
    except subprocess.TimeoutExpired:
        status, wrong = 1, "hang"
    else:
        status, wrong = done.returncode, f"exit {done.returncode}"
    current = TRIED / target.name
    if status and current.exists():
        keep(target, current.read_bytes(), wrong)
    return status


def main() -> int:
    """Runs all targets, or is the process of one; returns 1 when anything was found."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    TRIED.mkdir(parents=True, exist_ok=True)
    if args.target:
        return min(work(TARGETS[args.target], args.seconds, args.seed), 1)
    wanted = [name for name in os.environ.get("FUZZ_TARGETS", "").split(",") if name]
    chosen = [TARGETS[name] for name in wanted or sorted(TARGETS)]
    seconds = float(os.environ.get("FUZZ_MINUTES") or 10) * 60 / len(chosen)
    seed = int(os.environ.get("FUZZ_SEED") or time.time())
    return max([supervise(target, seconds, seed) for target in chosen])


if __name__ == "__main__":
    sys.exit(main())
