"""What every file keeps to: sizes, docstrings, no leftovers, nothing of one machine."""

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

# Longer than the rule allows, each with its reason: a path, or "path:function".
LONGER: dict[str, str] = {}

# Codex names its agents like paths; a task's name is none.
MACHINE_PATHS = re.compile(r'(?<![\w.})/-])(?<!task_name\\":\\")/(?:work|root|mnt|build)/\w')
REGISTRIES = re.compile(
    r"https?://(?:registry\.npmjs\.org|(?:[a-z.]*\.)?pypi\.org|files\.pythonhosted\.org|deb\.debian\.org)"
)
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
LEFTOVERS = re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b")


def _tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return [name for name in listed.stdout.split("\0") if (CHECKOUT / name).is_file()]


TRACKED = _tracked()
CODE = [name for name in TRACKED if name.endswith((".py", ".lua", ".pl", ".sh", ".mjs"))]
PYTHON = [name for name in TRACKED if name.endswith(".py")]
PRODUCT = [name for name in CODE if name.startswith(("src/", "lua/", "plugin/", "rplugin/"))]


def _text(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8", errors="replace")


def _hits(pattern: re.Pattern[str], name: str) -> list[str]:
    lines = enumerate(_text(name).split("\n"), start=1)
    return [f"{name}:{number}: {line}" for number, line in lines if pattern.search(line)]


def _long_functions(name: str) -> set[str]:
    return {
        f"{name}:{node.name}"
        for node in ast.walk(ast.parse(_text(name)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > MAX_FUNCTION_LINES
    }


def test_no_file_is_too_long() -> None:
    """No file of the product or its tools has more than 400 lines without a listed reason."""
    ours = [*PRODUCT, *(name for name in CODE if name.startswith("tools/"))]
    long = {name for name in ours if _text(name).count("\n") > MAX_FILE_LINES}
    assert long == {name for name in LONGER if ":" not in name}


def test_no_function_is_too_long() -> None:
    """No Python function has more than 60 lines without a listed reason."""
    long = set().union(*(_long_functions(name) for name in PYTHON))
    assert long == {name for name in LONGER if ":" in name}


# One test for all files: one for each of a thousand costs seconds, and a hit names its place.


def test_python_modules_have_docstrings() -> None:
    """Every Python module says what it owns."""
    trees = ((name, ast.parse(_text(name))) for name in PYTHON)
    assert [name for name, tree in trees if tree.body and not ast.get_docstring(tree)] == []


def test_product_source_has_no_leftovers() -> None:
    """What is not done is not left in the source as a note."""
    assert [hit for name in PRODUCT for hit in _hits(LEFTOVERS, name)] == []


def test_files_name_no_place_of_one_machine() -> None:
    """No path of the machine that they were written on, and no registry's address."""
    patterns = (MACHINE_PATHS, REGISTRIES)
    assert [hit for name in TRACKED for one in patterns for hit in _hits(one, name)] == []


def _requirement_names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0].lower() for requirement in requirements}


def _locked(name: str) -> dict[str, int]:
    """Returns each package of a lock file with the number of hashes that it may have."""
    found: dict[str, int] = {}
    package = ""
    for line in _text(name).split("\n"):
        if pinned := re.match(r"([\w-]+)==[\w.]+", line):
            package = pinned[1].lower()
            found[package] = 0
        found |= {package: found[package] + 1} if "--hash=sha256:" in line else {}
    return found


@pytest.mark.parametrize(
    ("lock", "extras"), [("requirements.lock", []), ("requirements-dev.lock", ["dev"])]
)
def test_lock_holds_every_dependency(lock: str, extras: list[str]) -> None:
    """Every package of pyproject.toml is pinned; `make lock` was not forgotten."""
    wanted = PYPROJECT["build-system"]["requires"] + PYPROJECT["project"]["dependencies"]
    for extra in extras:
        wanted = wanted + PYPROJECT["project"]["optional-dependencies"][extra]
    assert _requirement_names(wanted) - _locked(lock).keys() == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_hashes(lock: str) -> None:
    """What is installed is what was locked, byte for byte."""
    assert [package for package, hashes in _locked(lock).items() if hashes == 0] == []


def test_ci_runs_make_test_and_nothing_else() -> None:
    """What is green here is green there."""
    commands = [line for line in _text(".ci/run").split("\n") if line and not line.startswith("#")]
    assert commands == ['cd "$(dirname "$0")/.." && exec make test']
