"""The order of decisions over workspaces."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from agentdiff.daemon.ports import RequestError
from agentdiff.nvim.attached import Attached
from agentdiff.nvim.history import History
from agentdiff.nvim.link import DaemonLink
from agentdiff.nvim.screen import Workspace


class Link:
    """A daemon with what can be undone or redone in each workspace, next one last.

    A decision below zero is one that is refused.
    """

    def __init__(self, **steps: list[int]) -> None:
        self.steps = steps

    async def request(self, kind: str, params: dict[str, Any]) -> dict[str, Any]:
        """Answers ``undo`` and ``redo``."""
        if params["workspace"] not in self.steps:
            raise RequestError("usage", "no such folder")
        number = (self.steps[params["workspace"]] or [0]).pop()
        if number < 0:
            self.steps[params["workspace"]].insert(0, number)
            return {"op": kind, "decision": None, "done": [], "refused": [1]}
        return {"op": kind, "decision": number or None, "done": [1] * number, "refused": []}


def made(history: History, root: bytes, decision: int) -> None:
    """Notes a new decision."""
    history.note(root, {"op": "reject", "decision": decision, "done": [1], "refused": []})


def walk(history: History, link: Link, kind: str, times: int) -> list[tuple[str, int | None]]:
    """Returns in which workspaces so many undos or redos, with the cursor in ``/c``, do what."""
    out = []
    for _ in range(times):
        payload = {"cwd": "/", "near": "/c"}
        result = asyncio.run(history.turn(cast("DaemonLink", link), kind, payload))
        out.append((result["workspace"], result["decision"]))
    return out


def make() -> History:
    """A history without a Neovim."""

    async def attach(folder: bytes) -> Workspace:
        return Workspace(root=folder)

    async def refresh(workspace: Workspace, result: dict[str, Any]) -> None:
        history.note(workspace.root, result)

    history = History(Attached(1, lambda *_: None), attach, refresh)
    return history


def test_what_is_refused_comes_last() -> None:
    """As it does in its own workspace."""
    history = make()
    for root, number in ((b"/a", 1), (b"/b", 2), (b"/a", 3)):
        made(history, root, number)
    link = Link(**{"/a": [1, -3], "/b": [2]})
    refused = [("/a", None), ("/b", 2), ("/a", 1), ("/a", None)]
    assert walk(history, link, "undo", 4) == refused


def test_what_another_neovim_decided_takes_nothing_from_the_order() -> None:
    """Its decision, the newest there, goes first; what it took back is passed over."""
    history = make()
    for root, number in ((b"/a", 1), (b"/b", 2)):
        made(history, root, number)
    link = Link(**{"/a": [1, 7], "/b": [], "/c": []})
    assert walk(history, link, "undo", 3) == [("/a", 7), ("/a", 1), ("/c", None)]


def test_a_new_decision_leaves_nothing_to_redo_in_its_own_workspace_only() -> None:
    """The daemon knows what can be redone in the others."""
    history = make()
    for root, number in ((b"/a", 1), (b"/b", 2)):
        made(history, root, number)
    walk(history, Link(**{"/a": [1], "/b": [2]}), "undo", 2)
    made(history, b"/a", 3)
    assert walk(history, Link(**{"/b": [2], "/c": []}), "redo", 2) == [("/b", 2), ("/c", None)]


def test_a_workspace_that_is_gone_is_in_nobodys_way() -> None:
    """That is told once; then the decision before is meant."""
    history = make()
    for root, number in ((b"/b", 1), (b"/nowhere", 2)):
        made(history, root, number)
    link = Link(**{"/b": [1]})
    with pytest.raises(RequestError):
        walk(history, link, "undo", 1)
    assert walk(history, link, "undo", 1) == [("/b", 1)]
