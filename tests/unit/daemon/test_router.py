"""Events reach the workspaces that they are about, and a session is introduced in each of them."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentdiff.core.events import (
    AgentEvent,
    CwdChanged,
    PromptSubmitted,
    Reach,
    SessionEnded,
    SessionStarted,
    Target,
    ToolFinished,
    ToolStarted,
    TurnEnded,
)
from agentdiff.daemon.router import MAX_SESSIONS, Route, Router
from tests.unit.daemon.bench import WAIT_S

WHO = {"agent": "claude", "session": "s"}


class Trees:
    """Two git work trees, a plain folder, and a router that knows none of them."""

    def __init__(self, folder: Path) -> None:
        self.one, self.two, self.plain = (bytes(folder / name) for name in ("one", "two", "plain"))
        for path in (self.one, self.two):
            (folder / path.decode() / ".git").mkdir(parents=True)
        (folder / "plain").mkdir()
        self.outside = bytes(folder / "elsewhere" / "f")
        self.known: set[bytes] = set()
        self.router = Router(lambda: self.known)

    def route(self, event: AgentEvent) -> list[Route]:
        """Routes an event; its workspaces are open from now on."""
        routes, _ = self.router.route(event)
        self.known |= {route.root for route in routes}
        return routes

    def edit(self, *paths: bytes, cwd: bytes | None = None, tool_call: str = "c") -> ToolStarted:
        """Returns an edit of these paths."""
        return ToolStarted(
            **WHO,
            cwd=cwd or self.one,
            tool_call=tool_call,
            tool="Edit",
            scope="paths",
            targets=tuple(Target(path=path, action="edit") for path in paths),
        )


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    """See `Trees`."""
    return Trees(tmp_path.resolve())


def test_an_event_goes_to_the_workspace_of_its_cwd(trees: Trees) -> None:
    """The innermost git work tree above it."""
    event = SessionStarted(**WHO, cwd=trees.one + b"/src/deep")
    assert trees.route(event) == [Route(trees.one, (event,))]


def test_outside_of_git_the_cwd_is_the_workspace(trees: Trees) -> None:
    """And what is below it belongs to it from then on."""
    event = SessionStarted(**WHO, cwd=trees.plain)
    below = TurnEnded(**WHO, cwd=trees.plain + b"/sub")
    assert [route.root for route in trees.route(event)] == [trees.plain]
    assert [route.root for route in trees.route(below)] == [trees.plain]


def test_targets_are_made_relative(trees: Trees) -> None:
    """Ledgers know paths of their own workspace only."""
    (route,) = trees.route(trees.edit(trees.one + b"/a/f"))
    (event,) = route.events
    assert isinstance(event, ToolStarted)
    assert [target.path for target in event.targets] == [b"a/f"]


def test_an_edit_is_split_by_workspace(trees: Trees) -> None:
    """Each ledger is told its own targets."""
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    routes = trees.route(trees.edit(trees.one + b"/f", trees.two + b"/g"))
    told = {
        route.root: [target.path for target in route.events[-1].targets]  # type: ignore[attr-defined]
        for route in routes
    }
    assert told == {trees.one: [b"f"], trees.two: [b"g"]}


def test_a_session_is_introduced_where_it_comes_to(trees: Trees) -> None:
    """With its start and its prompt, once."""
    start = SessionStarted(**WHO, cwd=trees.one)
    prompt = PromptSubmitted(**WHO, cwd=trees.one, prompt="p")
    trees.route(start)
    trees.route(prompt)
    (first,) = trees.route(trees.edit(trees.two + b"/f"))
    (second,) = trees.route(trees.edit(trees.two + b"/g", tool_call="d"))
    assert first.events[:-1] == (start, prompt)
    assert second.events[:-1] == ()


def test_a_shell_window_covers_every_workspace_of_the_session(trees: Trees) -> None:
    """It may write anywhere."""
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    trees.route(CwdChanged(**WHO, cwd=trees.two))
    shell = ToolStarted(**WHO, cwd=trees.two, tool_call="c", tool="Bash", scope="tree")
    assert [route.root for route in trees.route(shell)] == [trees.one, trees.two]


def test_another_session_stays_in_its_own(trees: Trees) -> None:
    """Sessions are keyed by (agent, id)."""
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    other = SessionStarted(agent="codex", session="s", cwd=trees.two)
    assert [route.root for route in trees.route(other)] == [trees.two]


def test_an_event_without_cwd_goes_where_the_session_is(trees: Trees) -> None:
    """Telemetry has none."""
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    assert [route.root for route in trees.route(TurnEnded(**WHO))] == [trees.one]


def test_an_event_of_nowhere_goes_nowhere(trees: Trees) -> None:
    """No cwd, and a session that nobody heard of."""
    assert trees.route(TurnEnded(**WHO)) == []


@pytest.mark.parametrize(
    "path", [b"/../escape", b"/a/../../escape", b""], ids=["above", "through", "the root itself"]
)
def test_a_path_that_leaves_the_workspace_is_named_and_not_routed(
    trees: Trees, path: bytes
) -> None:
    """A payload is text that an agent wrote."""
    target = trees.one + path
    routes, outside = trees.router.route(trees.edit(target))
    assert (routes, outside) == ([], [target])


def test_a_link_out_of_the_workspace_is_not_followed(trees: Trees, tmp_path: Path) -> None:
    """Parents are resolved before anything is trusted."""
    (tmp_path / "one" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    target = trees.one + b"/link/f"
    assert trees.router.route(trees.edit(target)) == ([], [target])


def test_what_belongs_to_no_workspace_does_not_stop_the_rest(trees: Trees) -> None:
    """The other targets are routed."""
    routes, outside = trees.router.route(trees.edit(trees.outside, trees.one + b"/f"))
    assert ([route.root for route in routes], outside) == ([trees.one], [trees.outside])


def test_a_finish_is_split_like_its_start(trees: Trees) -> None:
    """It repeats the targets."""
    finished = ToolFinished(
        **WHO,
        cwd=trees.one,
        tool_call="c",
        tool="Edit",
        outcome="ok",
        scope="paths",
        targets=(Target(path=trees.two + b"/f", action="edit"),),
    )
    assert [route.root for route in trees.route(finished)] == [trees.two]


def test_a_session_that_ended_is_forgotten(trees: Trees) -> None:
    """The end reaches every workspace; a later start knows only its own."""
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    trees.route(CwdChanged(**WHO, cwd=trees.two))
    ended = trees.route(SessionEnded(**WHO, cwd=trees.two))
    again = trees.route(SessionStarted(**WHO, cwd=trees.two))
    assert [route.root for route in ended] == [trees.one, trees.two]
    assert [route.root for route in again] == [trees.two]


def test_what_a_command_may_change_is_told_per_workspace(trees: Trees) -> None:
    """Paths are relative to each workspace; those of another one are not told."""
    trees.route(SessionStarted(**WHO, cwd=trees.two))
    (Path(trees.one.decode()) / "link").symlink_to("f")
    reach = Reach(
        paths=(trees.one + b"/link", trees.two + b"/g", b"/elsewhere"),
        below=(trees.one + b"/d/../e", trees.one.rsplit(b"/", 1)[0]),
        complete=True,
    )
    event = ToolStarted(**WHO, cwd=trees.one, tool_call="c", tool="Bash", scope="tree", reach=reach)
    told = {route.root: route.events[-1] for route in trees.route(event)}
    assert {
        root: event.reach for root, event in told.items() if isinstance(event, ToolStarted)
    } == {
        trees.one: Reach(paths=(b"link", b"f"), below=(b"e", b""), complete=True),
        trees.two: Reach(paths=(b"g",), below=(b"",), complete=True),
    }


def test_a_mount_that_hangs_holds_up_nobody_elsewhere(
    trees: Trees, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by its cwd, nor by a path, nor by what its command may reach."""
    hung = bytes(tmp_path / "hung")
    asked, answered = threading.Semaphore(0), threading.Event()
    lstat = os.lstat

    def wait(path: bytes, **more: Any) -> os.stat_result:
        if hung in os.fsencode(path):
            asked.release()
            answered.wait(WAIT_S)
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", wait)
    reach = Reach(paths=(hung + b"/f",), below=(), complete=True)
    shell = ToolStarted(**WHO, cwd=trees.one, tool_call="c", tool="Bash", scope="tree", reach=reach)
    trees.route(SessionStarted(**WHO, cwd=trees.one))
    with ThreadPoolExecutor(5) as pool:
        waiting = [
            pool.submit(trees.route, TurnEnded(**WHO, cwd=hung)),
            pool.submit(trees.route, trees.edit(hung + b"/f")),
            pool.submit(trees.route, shell),
            pool.submit(trees.router.into, shell, [trees.two]),
        ]
        try:
            assert all(asked.acquire(timeout=WAIT_S) for _ in waiting)
            other = SessionStarted(agent="codex", session="s", cwd=trees.two)
            assert pool.submit(trees.route, other).result(WAIT_S) == [Route(trees.two, (other,))]
            assert not any(one.done() for one in waiting)
        finally:
            answered.set()


def test_a_session_of_long_ago_is_introduced_anew(trees: Trees) -> None:
    """Not every agent says that a session is over: what is known of them must not grow for ever."""
    trees.route(PromptSubmitted(**WHO, cwd=trees.one, prompt="x"))
    for n in range(MAX_SESSIONS - 1):
        trees.route(TurnEnded(agent="claude", session=f"other {n}", cwd=trees.one))
    still = trees.route(trees.edit(trees.two + b"/f"))
    for n in range(MAX_SESSIONS):
        trees.route(TurnEnded(agent="claude", session=f"another {n}", cwd=trees.one))
    gone = trees.route(trees.edit(trees.one + b"/f"))
    kinds = [[type(event) for event in routes[0].events] for routes in (still, gone)]
    assert kinds == [[PromptSubmitted, ToolStarted], [ToolStarted]]
