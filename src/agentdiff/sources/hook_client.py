#!@PYTHON@ -ISE
"""The hook client where there is no perl: the same as ``hook_client.pl``, in the smallest Python.

A program of its own, rendered at install time like the other one; nothing imports it.  With ``-I
-S -E``, and with modules that are built into the interpreter or stand next to it, it takes 6.7 ms
against 48 ms with those one would usually take; leaving by `posix._exit` saves more than all the
rest costs.
Never fails the agent: exits 0 whatever happens and prints nothing but what the agent shall read.
Hop 1.
"""

import _signal  # type: ignore[import-not-found]  # typeshed lacks it; signal imports enum
import _socket
import posix
import sys

PYTHON = "@PYTHON@"
GIVE_UP_AFTER_S = 12
FALL_BACK_WITHIN_S = 14
"""Longer than the Python client takes; agents wait for 15 s."""
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def leave(*_: object) -> None:
    """Ends the process well."""
    posix._exit(0)


def arguments(words: list[str]) -> tuple[str, str, str]:
    """Returns agent, socket and state of ``AGENT [--socket PATH] [--state DIR]``."""
    agent, given = "", {"--socket": "@SOCKET@", "--state": "@STATE@"}
    while words:
        word = words.pop(0)
        if word in given and words:
            given[word] = words.pop(0)
        else:
            agent = word
    return agent, given["--socket"], given["--state"]


def read_all() -> bytes:
    """Returns the payload, everything on standard input."""
    parts = []
    while part := posix.read(0, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def write_all(to: int, data: bytes) -> None:
    """Writes all of it, or as much as the other side takes."""
    rest = memoryview(data)
    while rest:
        rest = rest[posix.write(to, rest) :]


def is_ours(daemon: _socket.socket) -> bool:
    """Whether this user answers, or root; what an agent says is not for others."""
    level, option, size = (1, 17, 12) if sys.platform == "linux" else (0, 1, 76)
    peer = daemon.getsockopt(level, option, size)
    return int.from_bytes(peer[4:8], sys.byteorder) in (posix.geteuid(), 0)


def ask(socket: str, agent: str, payload: bytes) -> bytes:
    """Sends header and payload; returns the line of the answer, empty when there is no daemon."""
    name = "".join(c if c.isalnum() or c in "_.-" else "_" for c in agent)
    # Set by `agentdiff run` for everything inside it.
    given = posix.environ.get(b"AGENTDIFF_SESSION", b"").decode("ascii", "replace")
    run = "".join(c if c.isalnum() or c in "_.-" else "_" for c in given)
    size = len(payload)
    header = f'{{"proto":1,"min_proto":1,"agent":"{name}","len":{size},"within":"{run}"}}\n'
    line = b""
    try:
        daemon = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        daemon.connect(socket)
        if not is_ours(daemon):
            return b""
        daemon.sendall(header.encode("ascii", "replace") + payload)
        while not line.endswith(b"\n"):
            part = daemon.recv(65536)
            if not part:
                return b""
            line += part
    except OSError:
        return b""
    return line


def printed(answer: str) -> str:
    """Returns the text for the agent, the JSON string after ``"print":``.

    A quote inside any string has a backslash before it, so that the key cannot be found inside one.
    """
    _, _, rest = answer.partition('"print":"')
    text, at = [], 0
    while at < len(rest) and rest[at] != '"':
        if rest[at] != "\\":
            text.append(rest[at])
            at += 1
        elif rest[at + 1] == "u":
            text.append(chr(int(rest[at + 2 : at + 6], 16)))
            at += 6
        else:
            text.append(_ESCAPES.get(rest[at + 1], rest[at + 1]))
            at += 2
    return "".join(text)


def fall_back(agent: str, socket: str, state: str, payload: bytes) -> None:
    """Lets the whole of agentdiff start a daemon, or keep the payload for later, to its end.

    It is a child, so that whatever becomes of it (a Python that was replaced and has no agentdiff)
    is not our exit code.
    """
    read_end, write_end = posix.pipe()
    child = posix.fork()
    if not child:
        posix.dup2(read_end, 0)
        where = ["--socket", socket, "--state", state]
        # Neither the agent's PYTHONPATH nor the current folder may provide modules.
        posix.execv(PYTHON, [PYTHON, "-E", "-P", "-m", "agentdiff", "hook", agent, *where])
    _signal.alarm(FALL_BACK_WITHIN_S)
    posix.close(read_end)
    try:  # noqa: SIM105 - importing contextlib takes time
        write_all(write_end, payload)
    except OSError:
        pass  # it has ended already: nobody reads (Python ignores SIGPIPE)
    posix.close(write_end)
    posix.waitpid(child, 0)


def main() -> None:
    """Hands one hook on."""
    sys.excepthook = leave
    for number in (_signal.SIGALRM, _signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, leave)
    _signal.alarm(GIVE_UP_AFTER_S)
    agent, socket, state = arguments(sys.argv[1:])
    payload = read_all()
    answer = ask(socket, agent, payload)
    if answer:
        write_all(1, printed(answer.decode("utf-8", "replace")).encode("utf-8", "replace"))
    else:
        fall_back(agent, socket, state, payload)
    leave()


if __name__ == "__main__":
    main()
