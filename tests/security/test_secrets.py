"""What the daemon writes down beside its work, and what the product could run or reach at all."""

from __future__ import annotations

import ast
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentdiff import wire
from tests.security.test_http import post
from tests.security.victim import WAIT_S, Victim

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = sorted([*CHECKOUT.glob("src/**/*.py"), *CHECKOUT.glob("rplugin/**/*.py")])
LUA = sorted([*CHECKOUT.glob("lua/**/*.lua"), *CHECKOUT.glob("plugin/*.lua")])


def test_the_log_holds_no_secrets(victim: Victim, workspace: Path) -> None:
    """Neither prompts, contents, commands, environments nor tokens; of nonsense, only its place."""
    token = victim.locations.token_file.read_text().strip()
    secrets = [f"log-secret-{n}-e7" for n in range(8)]
    victim.hook(workspace, "UserPromptSubmit", prompt=secrets[0])
    victim.edit(workspace, "a.txt", secrets[1].encode())
    bash = {"tool_name": "Bash", "tool_use_id": "b", "tool_input": {"command": secrets[2]}}
    victim.hook(workspace, "PreToolUse", **bash, env={"API_KEY": secrets[3]})
    victim.hook(workspace, "PreToolUse", tool_name={"a": secrets[4]}, tool_use_id="c")
    victim.send(b'{"session_id": "' + secrets[5].encode())
    post(victim, x_agentdiff_token=secrets[6], authorization=secrets[6])
    post(victim, b'{"resourceLogs": "' + secrets[7].encode() + b'"}')
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(str(victim.locations.rpc_socket))
        connection.sendall(wire.encode(wire.greeting("cli")) + secrets[7].encode() + b"\n")
        while connection.recv(65536):
            pass
    victim.call("decide", cwd=str(workspace), op="reject", selection={"all": True})
    log = victim.log()
    assert [one for one in (*secrets, token) if one in log] == []
    assert '"event":"hook malformed"' in log
    assert '"event":"client dropped"' in log


def test_an_endless_line_ends_the_connection(victim: Victim) -> None:
    """No client can make the daemon keep more than one line of 64 MiB."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WAIT_S)
        connection.connect(str(victim.locations.rpc_socket))
        with pytest.raises(ConnectionError):
            connection.sendall(bytes(2 * wire.MAX_LINE_BYTES))
    assert f"a line of more than {wire.MAX_LINE_BYTES} bytes" in victim.log()


def test_an_oversized_hook_is_refused_and_the_agent_goes_on(victim: Victim) -> None:
    """It is read to its end, so that the answer arrives, and not kept."""
    answer = victim.send(b" " * (32 * 2**20 + 1))
    assert answer["ok"] is False
    assert "bytes" in answer["error"]
    assert victim.send(json.dumps({"deep": [[[[]]]]}).encode() * 1)["ok"] is False
    assert victim.send(b"[" * 1_000_000)["ok"] is False
    assert victim.bugs() == 0


# --- what the product could run or reach ---------------------------------------------------------

EVALUATES = {"eval", "exec", "compile", "__import__", "execfile"}
RUNS = {"subprocess", "pty", "multiprocessing"}
REACHES = {"urllib.request", "http.client", "ftplib", "smtplib", "asyncio.open_connection", "ssl"}
UNPACKS = {"pickle", "marshal", "shelve", "dill", "yaml"}
MAY_RUN = {
    "daemon/launch.py": "our own daemon",
    "workspace/git.py": "git, see its `run_git`",
    "install/hook_client.py": "the C compiler, when the user installs",
    "sources/trace/launcher.py": "the C compiler, when the user starts a traced run",
    "sources/acp/proxy.py": "the agent that the user names on the command line",
    "sources/run/foreground.py": "the agent that the user names on the command line",
    "sources/hook_client.py": "our own fallback",
}
MAY_COMPILE = {"install/hook_client.py": "our own text, into the client that runs it"}
MAY_REACH = {"sources/forward.py": "the collector in the user's own settings"}


def _named(tree: ast.AST) -> Iterator[str]:
    """Yields what a module imports and calls, by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield ast.unparse(node.func)
            yield from ("shell=True" for key in node.keywords if key.arg == "shell")


def test_nothing_is_evaluated_and_only_few_places_run_or_reach_anything() -> None:
    """Read from the source: a new place has to be written down here, with its reason."""
    runs, reaches, compiles = set(), set(), set()
    for path in PYTHON:
        names = set(_named(ast.parse(path.read_text(encoding="utf-8"))))
        assert names.isdisjoint({"os.system", "os.popen", "shell=True"}), path
        name = path.as_posix().rpartition("agentdiff/")[2]
        starts = {
            one for one in names if re.match(r"(?:os|posix)\.(?:exec|spawn|posix_spawn)", one)
        }
        compiles |= {name} if names & (EVALUATES | UNPACKS) else set()
        runs |= {name} if names & RUNS or starts else set()
        reaches |= {name} if names & REACHES else set()
    assert (runs - MAY_RUN.keys(), reaches) == (set(), set(MAY_REACH))
    assert compiles == set(MAY_COMPILE)


def test_the_editor_evaluates_nothing_and_runs_two_programs() -> None:
    """Lua: the host, and the command line for what the user asks it."""
    text = {path.name: path.read_text(encoding="utf-8") for path in LUA}
    evaluates = re.compile(
        r"\b(?:loadstring|loadfile|dofile|os\.execute|io\.popen|nvim_eval|fn\.eval)\("
    )
    assert [name for name, code in text.items() if evaluates.search(code)] == []
    runs = re.compile(r"\b(?:fn\.system(?:list)?|termopen|uv\.spawn|vim\.system|jobstart)\b")
    assert {name for name, code in text.items() if runs.search(code)} == {"command.lua", "rpc.lua"}
