"""The direction of dependencies, read from the source: nothing is imported to find it out."""

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SRC = CHECKOUT / "src"
RPLUGIN = CHECKOUT / "rplugin" / "python3"
ENGINE = "agentdiff.daemon.engine"

# What each part may import of the others; everything points to core.  daemon.ports holds the border
# between transports and engine, daemon.sockets and daemon.launch what both ends of a socket need.
MAY_IMPORT = {
    "errors": set(),
    "core": {"core", "errors"},
    "targets": {"targets", "core", "errors"},
    "agents": {"agents", "targets", "core", "errors"},
    "locations": set(),
    "config": {"locations"},
    "wire": {"errors"},
    "workspace": {"workspace", "core", "errors"},
    "sources": {
        *("sources", "workspace", "agents", "targets", "core", "errors", "wire", "locations"),
        *("daemon.ports", "daemon.sockets"),
    },
    "install": {"install", "agents", "core", "errors", "locations", "config"},
    "daemon": {
        *("daemon", "install", "sources", "workspace", "agents", "targets", "core", "errors"),
        *("wire", "locations", "config"),
    },
    "client": {"wire", "locations", "errors", "daemon.ports", "daemon.launch"},
    "nvim": {
        *("nvim", "core", "errors", "wire", "locations", "daemon.ports", "daemon.launch"),
        "workspace.roots",
    },
    "cli": {
        *("cli", "client", "config", "install", "daemon", "sources", "workspace", "agents", "core"),
        *("errors", "wire", "locations"),
    },
    "__main__": {"cli"},
}

PURE = ("core", "agents", "targets")
PURE_MODULES = {
    *(
        "__future__",
        "abc",
        "base64",
        "binascii",
        "bisect",
        "codecs",
        "collections",
        "copy",
        "dataclasses",
    ),
    *(
        "enum",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "json",
        "math",
        "operator",
        "posixpath",
        "re",
    ),
    *("shlex", "stat", "string", "struct", "textwrap", "types", "typing", "unicodedata", "zlib"),
    # protobuf messages and their decoder, nothing else of these two
    *("orjson", "unidiff", "google", "opentelemetry"),
}
PURE_FORBIDDEN_CALLS = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}


def _python_files() -> list[Path]:
    return sorted([*SRC.rglob("*.py"), *RPLUGIN.rglob("*.py")])


def _module_name(path: Path) -> str:
    root = RPLUGIN if path.is_relative_to(RPLUGIN) else SRC
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _names_in(node: ast.stmt) -> Iterator[str]:
    """Yields what an import statement imports: modules, or names in modules."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are absolute"
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _imports(tree: ast.AST) -> set[str]:
    return {name for node in ast.walk(tree) for name in _names_in(node)}  # type: ignore[arg-type]


def _at_import_time(tree: ast.Module) -> set[str]:
    """Returns what importing the module imports: not what only functions or type checkers do."""
    found: set[str] = set()
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
            continue
        found.update(_names_in(node))  # type: ignore[arg-type]
        todo.extend(ast.iter_child_nodes(node))
    return found


def _part_of(module: str) -> str:
    """Returns the part of the package that `module` belongs to, ``""`` for agentdiff itself."""
    return ".".join(module.split(".")[1:2])


MODULES = {_module_name(path): path for path in _python_files()}
OURS = {name for name in MODULES if name.split(".")[0] == "agentdiff"}


def _to_module(name: str) -> str:
    """Returns the module of ours that an imported name is or lives in."""
    return name if name in OURS else name.rpartition(".")[0]


def _is_foreign(name: str) -> bool:
    return name.split(".")[0] != "agentdiff"


def _ids(paths: list[str]) -> list[str]:
    return [path.removeprefix("agentdiff.") for path in paths]


EVERY = sorted(MODULES)
OWN = sorted(OURS)
PURE_OWN = [name for name in OWN if _part_of(name) in PURE]


@pytest.mark.parametrize("module", PURE_OWN, ids=_ids(PURE_OWN))
def test_pure_part_imports_nothing_that_reaches_the_world(module: str) -> None:
    """core, agents and targets import only each other and modules that do no I/O."""
    foreign = {name for name in _imports(_parsed(MODULES[module])) if _is_foreign(name)}
    assert {name for name in foreign if name.split(".")[0] not in PURE_MODULES} == set()


@pytest.mark.parametrize("module", PURE_OWN, ids=_ids(PURE_OWN))
def test_pure_part_calls_nothing_that_reaches_the_world(module: str) -> None:
    """core, agents and targets open, print and evaluate nothing."""
    called = {
        node.func.id
        for node in ast.walk(_parsed(MODULES[module]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called & PURE_FORBIDDEN_CALLS == set()


@pytest.mark.parametrize("module", PURE_OWN, ids=_ids(PURE_OWN))
def test_pure_part_splits_lines_in_one_place(module: str) -> None:
    """Splitlines knows more line ends than ours: only `split_lines`, which looks first, uses it."""
    uses = [
        node
        for node in ast.walk(_parsed(MODULES[module]))
        if isinstance(node, ast.Attribute) and node.attr == "splitlines"
    ]
    assert len(uses) == (1 if module == "agentdiff.core.diff" else 0)


@pytest.mark.parametrize("module", OWN, ids=_ids(OWN))
def test_every_import_points_towards_core(module: str) -> None:
    """No part imports a part that is further from core than the table allows."""
    allowed = MAY_IMPORT.get(_part_of(module), set())
    own = {_to_module(name) for name in _imports(_parsed(MODULES[module])) if not _is_foreign(name)}
    wrong = {
        name
        for name in own - {"agentdiff"}
        if _part_of(name) not in allowed and name.removeprefix("agentdiff.") not in allowed
    }
    assert wrong == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    """The modules can be listed so that each one comes after all that it imports."""
    graph = {
        name: {
            _to_module(imported)
            for imported in _at_import_time(_parsed(MODULES[name]))
            if not _is_foreign(imported)
        }
        & OURS
        for name in OURS
    }
    while ready := {name for name, needs in graph.items() if not needs & graph.keys() - {name}}:
        graph = {name: needs for name, needs in graph.items() if name not in ready}
    assert graph == {}


@pytest.mark.parametrize("module", EVERY, ids=_ids(EVERY))
def test_only_the_nvim_part_imports_pynvim(module: str) -> None:
    """pynvim is untyped and not thread-safe: one part and the rplugin file know it."""
    uses_it = any(name.split(".")[0] == "pynvim" for name in _imports(_parsed(MODULES[module])))
    assert not uses_it or _part_of(module) == "nvim" or module == "agentdiff_rplugin"


def test_rplugin_needs_only_the_standard_library_and_pynvim() -> None:
    """The shared Python host can import the rplugin file before our environment is known."""
    roots = {name.split(".")[0] for name in _at_import_time(_parsed(MODULES["agentdiff_rplugin"]))}
    assert roots - sys.stdlib_module_names == {"pynvim"}


def _broad_handlers(tree: ast.AST) -> list[int]:
    """Returns the lines that catch, or suppress, every exception."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler):
            caught = [node.type] if not isinstance(node.type, ast.Tuple) else node.type.elts
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            caught = list(node.args)
        else:
            continue
        names = {"" if each is None else ast.unparse(each) for each in caught}
        if names & {"", "Exception", "BaseException"}:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("module", EVERY, ids=_ids(EVERY))
def test_only_the_engine_catches_every_exception(module: str) -> None:
    """One place survives a bug and reports it; everywhere else the concrete class is named."""
    assert module == ENGINE or _broad_handlers(_parsed(MODULES[module])) == []


def test_the_engine_exists() -> None:
    """The one broad handler is where the table says, so that the exception above is not stale."""
    assert len(_broad_handlers(_parsed(MODULES[ENGINE]))) >= 1


VALUES = [name for name in OWN if name in ("agentdiff.core.events", "agentdiff.core.commands")]


@pytest.mark.parametrize("module", VALUES, ids=_ids(VALUES))
def test_events_and_commands_are_values(module: str) -> None:
    """Every dataclass of these modules is frozen, slotted and keyword-only."""
    loose = [
        node.name
        for node in ast.walk(_parsed(MODULES[module]))
        if isinstance(node, ast.ClassDef)
        for decorator in node.decorator_list
        if "dataclass" in ast.unparse(decorator)
        and ast.unparse(decorator) != "dataclass(frozen=True, slots=True, kw_only=True)"
    ]
    assert loose == []
