"""What is fuzzed: one function per format that strangers write, with inputs that are right.

Owns the properties: nothing is raised but the documented refusal, and nothing that comes out leads
where it must not.  `tests.fuzz.engine` has the targets with a whole engine behind them.
"""

from __future__ import annotations

import json
import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from agentdiff.agents import acp, otlp, registry, telemetry
from agentdiff.agents.acp_conversation import Conversation
from agentdiff.cli import trace as trace_command
from agentdiff.core.entries import File, git_blob_oid
from agentdiff.core.events import AgentEvent
from agentdiff.errors import MalformedPayload
from agentdiff.sources import hooks, spool
from agentdiff.sources.trace import classify, log, redact, rules, server
from agentdiff.targets import apply_patch, patch_preview, shell
from agentdiff.workspace import head
from agentdiff.workspace.gitindex import Conversions, GitIndex, UnusableIndex
from agentdiff.workspace.gitpacks import GitPacks
from agentdiff.workspace.ignore import Scope

TESTS = Path(__file__).resolve().parents[1]
CORPUS = Path(__file__).with_name("corpus")

Run = Callable[[bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One format.

    Attributes:
        name: also the folder of its corpus.
        open: returns what takes one input and raises when a property does not hold.
        recorded: inputs that are right, from the recordings of other tests.
        tokens: words of the format.
        examples: how many spoilt inputs `make test` tries.
        cpu_s: processor time after which one input counts as a hang.
    """

    name: str
    open: Callable[[], AbstractContextManager[Run]]
    recorded: Callable[[], list[bytes]] = list
    tokens: tuple[bytes, ...] = ()
    examples: int = 60
    cpu_s: float = 1.0

    @property
    def folder(self) -> Path:
        """Where its kept inputs are."""
        return CORPUS / self.name

    def seeds(self) -> list[bytes]:
        """Returns every input to begin with; at least one."""
        kept = [path.read_bytes() for path in sorted(self.folder.glob("*")) if path.is_file()]
        return [*kept, *self.recorded()] or [b""]


def plain(run: Run) -> Callable[[], AbstractContextManager[Run]]:
    """Returns the `Target.open` of a function that needs nothing around it."""

    @contextmanager
    def opened() -> Iterator[Run]:
        yield run

    return opened


# --- what agents say -----------------------------------------------------------------------------


def _hook(agent: str, data: bytes) -> None:
    with suppress(MalformedPayload):
        for event in registry.parse(agent, data, 1):
            assert isinstance(event, AgentEvent)
            assert event.cwd is None or b"\0" not in event.cwd
            for target in getattr(event, "targets", ()):
                assert target.path.startswith(b"/")
                assert b"\0" not in target.path


def _payloads(agent: str) -> list[bytes]:
    files = sorted((TESTS / "golden").glob(f"{agent}/*/*.json"))
    return [path.read_bytes() for path in files if not path.name.endswith(".expected.json")]


def _telemetry(kind: str, data: bytes) -> None:
    with suppress(MalformedPayload):
        telemetry.parse(data, kind, 1)


def _logs(suffix: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(TESTS.rglob(f"otlp/*{suffix}"))]


def _acp(data: bytes) -> None:
    """Each line is a message of the client (``c``) or the agent (``a``)."""
    conversation = Conversation("echo", "nonce", "/ws")
    for line in data.split(b"\n"):
        read = conversation.from_client if line[:1] == b"c" else conversation.from_agent
        with suppress(orjson.JSONDecodeError):
            message = orjson.loads(line[1:])
            for told in read(message):
                _acp_told(told.payload)
    for told in conversation.end():
        _acp_told(told.payload)


def _acp_told(payload: bytes) -> None:
    with suppress(MalformedPayload):
        acp.parse(payload, 1)


def _conversations() -> list[bytes]:
    found = []
    for path in sorted((TESTS / "unit/agents/acp").glob("*.jsonl")):
        messages = map(json.loads, path.read_text().splitlines())
        lines = [f"{one['from'][0]}{json.dumps(one['message'])}" for one in messages]
        found.append("\n".join(lines).encode())
    return found


# --- what agents run -----------------------------------------------------------------------------


def _patch(data: bytes) -> None:
    for target in apply_patch.targets_of(data, b"/ws"):
        for path in filter(None, (target.path, target.move_to)):
            assert path.startswith(b"/")
            assert b".." not in path.split(b"/")
    with suppress(MalformedPayload):
        there = {b"/ws/a.txt": File(data=b"one\ntwo\nthree\n", mode=0o644)}
        patch_preview.preview(apply_patch.parse(data), b"/ws", there)


def _shell(data: bytes) -> None:
    for effect in shell.analyse(data, b"/ws").effects:
        assert effect.path.startswith(b"/")
        assert b".." not in effect.path.split(b"/")


def _commands() -> list[bytes]:
    payloads = [json.loads(one) for agent in ("claude", "codex") for one in _payloads(agent)]
    inputs = [one["tool_input"] for one in payloads if isinstance(one.get("tool_input"), dict)]
    return sorted(
        {one["command"].encode() for one in inputs if isinstance(one.get("command"), str)}
    )


# --- what repositories hold ----------------------------------------------------------------------


def _index(data: bytes) -> None:
    # Without a checksum, as index.skipHash leaves it: otherwise nothing behind it is ever read.
    with suppress(UnusableIndex):
        found = GitIndex(data[:-20] + bytes(20), 0)
        for path in list(found._offsets):
            found.blob(path, os.stat("/"))


def _attributes(data: bytes) -> None:
    with suppress(UnusableIndex):
        found = Conversions([(b"", data)])
        for path in (b"a.txt", b"d/e/f.bin", b"a" * 60):
            found.converts(path)
            found.may_normalise(path)


@contextmanager
def _packs() -> Iterator[Run]:
    """Four bytes of length, the index, the pack."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        place = Path(folder) / "pack"
        place.mkdir()

        def run(data: bytes) -> None:
            size = int.from_bytes(data[:4], "big") if len(data) >= 4 else 0
            (place / "x.idx").write_bytes(data[4 : 4 + size])
            (place / "x.pack").write_bytes(data[4 + size :])
            packs = GitPacks(os.fsencode(folder))
            for name in sorted(packs.names() or ())[:64]:
                found = packs.get(name)
                assert found is None or git_blob_oid(found) == name.hex()
                packs.size(name)
                packs.holds(name)
            packs.close()

        yield run


@contextmanager
def _reflog() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "HEAD"

        def run(data: bytes) -> None:
            path.write_bytes(b"")
            grown = head._Log(os.fsencode(path))
            path.write_bytes(data)
            grown.changed()
            for line in grown.added():
                move = head._parsed(line)
                # What is no id might be an option to git.
                assert move is None or (move.old + move.new).isalnum()

        yield run


def _ignore(data: bytes) -> None:
    """Patterns, two NULs, a path."""
    source, _, path = data.partition(b"\0\0")
    scope = Scope(b"", None, source)
    for name in path.split(b"/")[-3:]:
        scope.ignores(name, directory=False)
    Scope(b"deep/er", scope, source).ignores(path, directory=True)


# --- what our own clients send -------------------------------------------------------------------


class _Stream:
    """The part of a socket that is read from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int) -> bytes:
        part, self._data = self._data[:size], self._data[size:]
        return part


def _hook_frame(data: bytes) -> None:
    with suppress(MalformedPayload):
        agent, payload, _ = hooks.read_request(_Stream(data))  # type: ignore[arg-type]
        _hook(agent, payload)


def _spool(data: bytes) -> None:
    with suppress(MalformedPayload):
        spool.parse(data)


def _launcher(data: bytes) -> None:
    """What a launcher of the command trace says: ``ValueError`` is its documented refusal."""
    with suppress(ValueError):
        request = server.parse(data, "/")
        classify.can_write(request.tool, request.arguments, to_file=request.to_file)
        redact.redacted(request.tool, request.arguments)
        rules.first_match(
            [rules.Rule(command="git *push*", action="deny")], request.tool, request.arguments
        )


@contextmanager
def _trace_log() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:

        def run(data: bytes) -> None:
            (Path(folder) / log.NAME).write_bytes(data)
            for record in log.read(Path(folder)):
                kinds = set(map(unicodedata.category, trace_command._line(record)))
                assert kinds.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})

        yield run


HOOK_TOKENS = (
    *(b'"hook_event_name":"PreToolUse"', b'"hook_event_name":"PostToolUse"', b'"tool_name":"Bash"'),
    *(b'"cwd":"/ws"', b'"file_path":"../../x"', b'"tool_input":{}', b'"session_id":""', b"\\u0000"),
)
SHELL_TOKENS = (
    *(b"cat <<'EOF' > x\n", b"EOF\n", b"$(", b"`", b"${x:-", b"((", b"[[ ", b"case x in ", b"esac"),
    *(b"if true; then ", b"fi", b"for i in {1..9}; do ", b"done", b"sh -c '", b"cd .. && ", b">>"),
    *(b"xargs -I{} ", b"env -S ", b"git -C .. checkout -- ", b"sed -i ", b"{a,{b,c}}", b"2>&1 |"),
)
PATCH_TOKENS = (
    *(b"*** Begin Patch\n", b"*** End Patch\n", b"*** Update File: a.txt\n", b"@@\n", b"-two\n"),
    *(b"*** Add File: ../x\n", b"*** Delete File: /etc/x\n", b"*** Move to: b\n", b"+new\n"),
    *(b"*** End of File\n", b"<<'EOF'\n", b" one\n", b"*** Environment ID: x\n"),
)

TARGETS = (
    *(
        Target(
            name=f"hook-{agent}",
            open=plain(partial(_hook, agent)),
            recorded=partial(_payloads, agent),
            tokens=HOOK_TOKENS,
        )
        for agent in sorted(registry.PARSERS)
    ),
    Target(
        name="otlp-json",
        open=plain(partial(_telemetry, "application/json")),
        recorded=partial(_logs, ".json"),
        tokens=(b'"stringValue":', b'"kvlistValue":', b'"codex.tool_decision"', b'"call_id"'),
    ),
    Target(
        name="otlp-protobuf",
        open=plain(partial(_telemetry, otlp.PROTOBUF)),
        recorded=partial(_logs, ".binpb"),
    ),
    Target(name="acp", open=plain(_acp), recorded=_conversations, tokens=(b"\nc{}", b"\na[]")),
    Target(name="apply-patch", open=plain(_patch), tokens=PATCH_TOKENS),
    Target(name="shell", open=plain(_shell), recorded=_commands, tokens=SHELL_TOKENS),
    Target(name="git-index", open=plain(_index)),
    Target(
        name="git-attributes",
        open=plain(_attributes),
        tokens=(b"* text=auto\n", b"*.x filter=lfs\n", b"**/", b"*a*a*a*a*a*b -text\n", b"[!a-"),
    ),
    Target(name="git-packs", open=_packs),
    Target(name="git-reflog", open=_reflog),
    Target(
        name="git-ignore",
        open=plain(_ignore),
        tokens=(b"**/", b"*a*a*a*a*a*a*a*b", b"!", b"\\", b"[!", b"/**/a/**/b/**/c", b"\0\0"),
    ),
    Target(name="hook-frame", open=plain(_hook_frame), tokens=(b'"len":', b'"within":"x"')),
    Target(name="spool", open=plain(_spool), tokens=(b'"preimages":[', b'"received_ns":')),
    Target(name="launcher", open=plain(_launcher), tokens=(b"\0", b"\0git\0")),
    Target(name="trace-log", open=_trace_log, tokens=(b'"argv":[', b'"ts":"\\u001b[2J"', b"null")),
)
