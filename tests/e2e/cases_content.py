"""Scenarios about what the agent writes: names and contents of any bytes, modes.

Must not check anything: `e2e.claims` does.
"""

from __future__ import annotations

from collections.abc import Mapping

from e2e.agent_claude import ClaudeCode
from e2e.case import Case, played
from e2e.driver import quoted, step, steps
from e2e.model_server import Call
from e2e.rig import Rig, Turn

_TOOL_NAMES = (
    b"with space.txt",
    b'quote\'s "double".txt',
    b"$HOME `id` $(id).txt",
    "caf\u00e9 \u65e5\u672c.txt".encode(),
    b"-dash.txt",
    b"back\\slash.txt",
    b"star*[a-z]?.txt",
    b"new\nline.txt",
)
_SHELL_NAMES = (
    *_TOOL_NAMES,
    b"\xff\xfe.txt",
    b"latin \xe9t\xe9/\xe8.txt",
    b" leading and trailing ",
    b"tab\tand\x01control\x7f",
    b"a -> b",
    b"#hash;semi&amp|pipe",
    b"carriage\rreturn",
)


def _names_tools(rig: Rig) -> tuple[Turn, ...]:
    ws, agent = rig.workspace, rig.agent
    calls: list[Call | None] = []
    for path in filter(agent.can_name, _TOOL_NAMES):
        calls += [
            agent.read(ws, path),
            agent.edit(ws, path, "two\n", "TWO\n"),
            agent.write(ws, b"made/" + path, "new\n"),
        ]
    return played(rig, *steps(*calls))


NAMES_TOOLS = Case(
    name="names, edit tools",
    baseline=dict.fromkeys(_TOOL_NAMES, b"one\ntwo\nthree\n"),
    play=_names_tools,
)


def _names_shell(rig: Rig) -> tuple[Turn, ...]:
    agent = rig.agent
    changed = [b"changed/" + name for name in _SHELL_NAMES]
    removed = [b"removed/" + name for name in _SHELL_NAMES]
    created = [b"created/" + name for name in _SHELL_NAMES]
    folders = sorted({path.rpartition(b"/")[0] for path in created})
    return played(
        rig,
        *steps(
            agent.bash("\n".join(f"echo more >> {quoted(path)}" for path in changed), *changed),
            agent.bash("\n".join(f"rm {quoted(path)}" for path in removed), *removed),
            agent.bash(
                "\n".join(
                    [f"mkdir -p {quoted(folder)}" for folder in folders]
                    + [f"printf 'new\\n' > {quoted(path)}" for path in created]
                ),
                *created,
            ),
        ),
    )


NAMES_SHELL = Case(
    name="names, shell",
    baseline={
        folder + name: b"one\ntwo\n"
        for folder in (b"changed/", b"removed/")
        for name in _SHELL_NAMES
    },
    play=_names_shell,
)

_BINARY = bytes(range(256)) * 5
_TEXTS: Mapping[bytes, bytes] = {
    b"crlf.txt": b"one\r\ntwo\r\nthree\r\n",
    b"mixed.txt": b"one\r\ntwo\nthree\r\nfour\n",
    b"bom.txt": b"\xef\xbb\xbfone\ntwo\nthree\n",
    b"latin1.txt": b"caf\xe9\ntwo\n\xff\xfe\n",
    b"separators.txt": b"form\x0cfeed\ntwo\nline\xe2\x80\xa8separator\x85\n",
    b"lone-cr.txt": b"one\rstill one\ntwo\n",
    b"no-eol.txt": b"one\ntwo",
}


def _bytes(rig: Rig) -> tuple[Turn, ...]:
    agent = rig.agent
    return played(
        rig,
        step(agent.bash("LC_ALL=C sed -i 's/two/TWO/' *.txt", *_TEXTS)),
        step(agent.bash("printf '\\nthree' >> grows.log", b"grows.log")),
        step(agent.bash("echo >> gains-eol.log", b"gains-eol.log")),
        step(agent.bash("truncate -s -1 loses-eol.log", b"loses-eol.log")),
        step(agent.bash("rm empty; : > made-empty", b"empty", b"made-empty")),
        step(agent.bash(": > emptied; echo x > filled", b"emptied", b"filled")),
        step(agent.bash("printf '\\000\\377' >> changed.bin", b"changed.bin")),
        step(
            agent.bash(
                "rm removed.bin; head -c 700 changed.bin > made.bin", b"removed.bin", b"made.bin"
            )
        ),
        step(agent.bash("printf 'now \\000 binary\\n' > becomes.bin", b"becomes.bin")),
        step(agent.bash("echo text > was.bin", b"was.bin")),
    )


BYTES = Case(
    name="bytes",
    baseline={
        **_TEXTS,
        b"grows.log": b"one\ntwo",
        b"gains-eol.log": b"one",
        b"loses-eol.log": b"one\ntwo\n",
        b"empty": b"",
        b"emptied": b"one\ntwo\n",
        b"filled": b"",
        b"changed.bin": _BINARY,
        b"removed.bin": _BINARY[::-1],
        b"becomes.bin": b"text\n",
        b"was.bin": b"\0binary\n",
    },
    play=_bytes,
)


def _edit_bytes(rig: Rig) -> tuple[Turn, ...]:
    """Edits of parts of lines, which only some agents have."""
    ws, agent = rig.workspace, rig.agent
    assert isinstance(agent, ClaudeCode)
    return played(
        rig,
        step(agent.read(ws, b"crlf.c"), agent.read(ws, b"bom.c"), agent.read(ws, b"no-eol.c")),
        step(
            agent.edit(ws, b"crlf.c", "two", "TWO\nand more", verbatim=False),
            agent.edit(ws, b"bom.c", "one", "ONE"),
            agent.edit(ws, b"no-eol.c", "two", "TWO"),
        ),
    )


EDIT_BYTES = Case(
    name="bytes, edit tools",
    baseline={
        b"crlf.c": b"one\r\ntwo\r\nthree\r\n",
        b"bom.c": b"\xef\xbb\xbfone\ntwo\n",
        b"no-eol.c": b"one\ntwo",
    },
    play=_edit_bytes,
)


def _modes(rig: Rig) -> tuple[Turn, ...]:
    agent = rig.agent
    return played(
        rig,
        *steps(
            agent.bash("chmod +x plain.sh", b"plain.sh"),
            agent.bash("chmod -x tool.sh", b"tool.sh"),
            agent.bash("echo more >> both.sh; chmod +x both.sh", b"both.sh"),
            agent.bash("echo '#!/bin/sh' > made.sh; chmod 755 made.sh", b"made.sh"),
            agent.bash("rm removed.sh secret.txt", b"removed.sh", b"secret.txt"),
            agent.bash("echo more >> private.txt", b"private.txt"),
            agent.bash("chmod +x empty", b"empty"),
            agent.bash("chmod +x back.sh; chmod -x back.sh"),
        ),
    )


MODES = Case(
    name="modes",
    baseline={
        b"plain.sh": b"echo\n",
        b"tool.sh": (b"echo\n", 0o755),
        b"both.sh": b"echo\n",
        b"removed.sh": (b"echo\n", 0o755),
        b"secret.txt": (b"secret\n", 0o600),
        b"private.txt": (b"private\n", 0o600),
        b"empty": b"",
        b"back.sh": b"echo\n",
    },
    play=_modes,
)

CASES = (NAMES_TOOLS, NAMES_SHELL, BYTES, EDIT_BYTES, MODES)
