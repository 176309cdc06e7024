"""H5: what a turn of the real Claude Code costs with our hook instead of one that does nothing.

Both sides run the same settings; what differs is the program that they name.  The model is the
scripted one of the end-to-end tests, and the daemon is the product.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.harness import MIN_ROUNDS, Pair, Row, Skipped, timed

CALLS = 30
NOTHING = "int main(void) { return 0; }\n"
TESTS = Path(__file__).resolve().parents[1]


def rows(scratch: Path) -> Iterator[Row]:
    """Yields the row of a turn."""
    yield Row(
        name="H5",
        what=f"a turn of Claude Code with {CALLS} tool calls vs an empty static binary as hook",
        at_most=1.25,
        measure=lambda rounds: _turns(scratch, rounds),
    )


def _turns(scratch: Path, rounds: int) -> Pair:
    sys.path.insert(0, str(TESTS))  # where the end-to-end tests find one another
    from e2e.agent_claude import ClaudeCode
    from e2e.driver import said, step
    from e2e.model_server import Scenario
    from e2e.rig import Rig

    fetch = [sys.executable, str(TESTS.parent / "tools" / "fetch_agents.py"), "claude-code"]
    fetched = subprocess.run(fetch, capture_output=True, text=True, check=False)
    if fetched.returncode != 0:
        raise Skipped("Claude Code could not be fetched")
    nothing = scratch / "nothing"
    build = ["cc", "-O2", "-static", "-x", "c", "-o", str(nothing), "-"]
    if subprocess.run(build, input=NOTHING, text=True, capture_output=True, check=False).returncode:
        raise Skipped("no C compiler for the reference")
    ours, reference = [], []
    with Rig(agent=ClaudeCode(Path(fetched.stdout.strip())), kind="git") as rig:
        rig.prepare({b"a.txt": b"text\n" * 40})
        rig.install_hooks()
        client = rig.home / "data" / "agentdiff" / "bin" / "agentdiff-hook"
        programs = [(ours, client.read_bytes()), (reference, nothing.read_bytes())]
        call = rig.agent.read(rig.workspace, b"a.txt")
        scenario = Scenario(steps=said(*(step(call) for _ in range(CALLS))))

        def turn() -> None:
            with rig.run(scenario):
                pass

        for number in range(max(rounds, MIN_ROUNDS) + 1):
            for samples, program in programs if number % 2 else programs[::-1]:
                client.unlink()
                client.write_bytes(program)
                client.chmod(0o755)
                samples.append(timed(turn))
    return Pair(ours_s=tuple(ours[1:]), reference_s=tuple(reference[1:]))
