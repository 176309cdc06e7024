"""The compiled launcher is built once and kept, as long as nothing changes that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentdiff.install import launcher
from agentdiff.install.hook_client import built
from agentdiff.locations import Locations

# A compiler that makes a script of what it compiles, and counts how often it is asked.
GOOD = """#!/bin/sh
echo >> "$(dirname "$0")/asked"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\nprintf %%s agentdiff-launcher\\n' > "$2"
chmod +x "$2"
"""
BAD = '#!/bin/sh\necho >> "$(dirname "$0")/asked"\nexit 1\n'


class Machine:
    """One user, and a compiler."""

    def __init__(self, root: Path) -> None:
        self.locations = Locations.from_env({"HOME": str(root)})
        self.compiler = root / "cc"
        self.use(GOOD)

    def use(self, script: str) -> None:
        """Puts another compiler in its place."""
        self.compiler.write_text(script)
        self.compiler.chmod(0o755)

    def run(self) -> bytes | None:
        """Returns the launcher of a run in a process of its own."""
        built.cache_clear()
        return launcher.program(self.locations, str(self.compiler), wait_s=30)

    @property
    def asked(self) -> int:
        """How often the compiler was asked."""
        return (self.compiler.parent / "asked").read_text().count("\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a compiler that works."""
    return Machine(tmp_path)


def test_the_second_run_builds_nothing(machine: Machine) -> None:
    """What is kept is private, and cannot be executed by mistake."""
    first, second = machine.run(), machine.run()
    assert first == second == b"#!/bin/sh\nprintf %s agentdiff-launcher\n"
    assert machine.asked == 1
    assert machine.locations.launcher.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("left", [0, 40, 64, -1])
def test_what_is_damaged_is_built_anew(machine: Machine, left: int) -> None:
    """It would stand in front of every program."""
    first = machine.run()
    kept = machine.locations.launcher
    kept.write_bytes(kept.read_bytes()[:left])
    assert machine.run() == first
    assert (machine.asked, machine.run(), machine.asked) == (2, first, 2)


def test_another_compiler_builds_anew(machine: Machine) -> None:
    """Also when the first one built nothing, which is not tried for each run."""
    machine.use(BAD)
    assert machine.run() is None
    tried = machine.asked
    assert (machine.run(), machine.asked) == (None, tried)
    machine.use(GOOD)
    assert machine.run() is not None
    assert machine.asked == tried + 1


def test_another_run_that_keeps_its_own_meanwhile_is_let_be(machine: Machine) -> None:
    """Nothing waits for a lock; this run has what it needs."""
    kept = machine.locations.launcher
    kept.parent.mkdir(parents=True)
    machine.use(GOOD + f"echo other > '{kept}'\n")
    assert machine.run() is not None
    assert kept.read_text() == "other\n"


def test_without_a_compiler_nothing_is_kept(machine: Machine) -> None:
    """And what was kept goes with the installation."""
    assert launcher.program(machine.locations, None, wait_s=30) is None
    assert not machine.locations.launcher.exists()
    machine.run()
    launcher.remove(machine.locations)
    launcher.remove(machine.locations)
    assert not machine.locations.launcher.exists()
