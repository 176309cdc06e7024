"""What this Neovim shows, kept up to date.

Owns the attached workspaces and the views that Lua has drawn.  Must not touch Neovim except through
its `Editor`, nor block.  Everything runs in one event loop on a thread of its own; `receive` is the
only door for other threads.  Hop 7 on the way out, hop 1 on the way in.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from agentdiff.daemon.ports import RequestError
from agentdiff.locations import Locations
from agentdiff.nvim import paths as files
from agentdiff.nvim.attached import Attached, is_gone
from agentdiff.nvim.link import Connection, DaemonLink
from agentdiff.nvim.merging import merged
from agentdiff.nvim.params import exact
from agentdiff.nvim.paths import home_folder, path_param, relative, resolve, to_bytes
from agentdiff.nvim.screen import Screen, Workspace, text_key
from agentdiff.nvim.spill import spill
from agentdiff.nvim.views import Json
from agentdiff.wire import VersionMismatch, WireError

NOTHING_DONE: Json = {"done": [], "refused": [], "written": [], "moved_on": [], "decision": None}
RETRY_S = 1.0
"""How often an editor without a daemon looks for one."""


class Editor(Protocol):
    """Neovim, as the session sees it."""

    def deliver(self, messages: list[tuple[str, Json]]) -> None:
        """Hands Lua a batch of messages in one call; from the session's thread, never blocks."""

    async def flush(self) -> None:
        """Returns when every notification that Neovim sent before has been received."""


class EditorSession:
    """The daemon's client for one Neovim.

    Args:
        editor: where views go.
        locations: where the daemon is.
        find_daemon: returns where a daemon answers, starting one if told so, or raises OSError;
            blocks, and is called on a helper thread.
        pid: of Neovim.
    """

    def __init__(
        self,
        editor: Editor,
        locations: Locations,
        find_daemon: Callable[[bool], Locations],
        pid: int,
    ) -> None:
        self._editor = editor
        self._locations = locations
        self._loop = asyncio.new_event_loop()
        self._connection = Connection(
            find_daemon, on_notification=self._notified, on_link=self._resume, on_lost=self._gone
        )
        self._attached = Attached(pid)
        self._waiting: dict[str, Json] = {}
        self._early: list[Json] = []
        self._screen = Screen()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = False
        self._told: set[str] = set()

    # -- thread border ---------------------------------------------------------------------------

    def run(self) -> None:
        """Runs the event loop until `stop`; the body of the session's thread."""
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(self._report)
        self._spawn(self._look_for_daemon())
        self._loop.run_forever()
        self._loop.close()

    def stop(self) -> None:
        """Ends `run`; callable from any thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def receive(self, kind: str, payload: Json) -> None:
        """Takes a message from Lua; callable from any thread, never blocks."""
        self._loop.call_soon_threadsafe(self._handle, kind, payload)

    def _report(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Shows what would otherwise vanish with a task: a bug of ours."""
        problem = context.get("exception") or context.get("message")
        self._editor.deliver([("problem", {"message": f"internal error: {problem!r}"})])

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._loop.call_exception_handler({"exception": task.exception()})

    # -- messages from Lua -----------------------------------------------------------------------

    def _handle(self, kind: str, payload: Json) -> None:
        match kind:
            case "watch":
                self._waiting[payload["path"]] = payload
                self._spawn(self._watch(payload))
            case "unwatch":
                self._unwatch(payload["path"])
            case "claim":
                self._claim(payload)
            case "refresh":
                for workspace in self._attached:
                    if payload.get("full"):
                        workspace.drawn = None
                    self._mark(workspace)
            case "review.close":
                closed = self._attached.get(to_bytes(payload["workspace"]))
                if closed is not None:
                    closed.review = closed.drawn = None
            case _:
                self._spawn(self._answer(kind, payload))

    async def _answer(self, kind: str, payload: Json) -> None:
        """Performs a request of Lua that wants an answer."""
        reply: Json = {"id": payload["id"]}
        try:
            reply["result"] = await self._perform(kind, payload)
        except RequestError as error:
            reply["error"] = {"code": error.code, "message": error.message}
        except (OSError, WireError) as error:
            reply["error"] = {"code": "unavailable", "message": str(error)}
        self._editor.deliver([("reply", reply)])

    async def _perform(self, kind: str, payload: Json) -> object:
        if kind == "merge":
            return await asyncio.to_thread(merged, payload)
        if kind == "doctor":
            # Health looks, it starts nothing.
            link = await self._connection.linked(start=False)
            return await link.request("doctor", {"cwd": payload["cwd"]})
        link = await self._connection.linked(start=True)
        workspace = await self._workspace_of(payload)
        match kind:
            case "review.open":
                workspace.review, workspace.drawn = dict(payload.get("filters") or {}), None
                await self._refresh(workspace)
                return {"workspace": workspace.params["workspace"]}
            case "decide":
                return await self._decide(link, workspace, payload)
            case "review.apply":
                return await self._apply(link, workspace, payload)
            case "explain":
                ids = self._screen.hunk_at(workspace, payload)
                return await link.request("explain", {**workspace.params, "hunks": ids})
            case "undo" | "redo":
                result = await link.request(kind, workspace.params)
                await self._refresh(workspace, result)
                return result
            case "request":
                params = {**(payload.get("params") or {}), **workspace.params}
                result = await link.request(payload["method"], exact(params, payload, workspace))
                if isinstance(result, dict) and "decision" in result:
                    await self._refresh(workspace, result)
                return result
            case _:
                raise RequestError("unknown_method", f"Lua sent an unknown message: {kind}")

    async def _decide(self, link: DaemonLink, workspace: Workspace, payload: Json) -> object:
        selection = self._screen.select(workspace, payload)
        if selection is None:
            return dict(NOTHING_DONE)
        for name in ("agent", "session", "turn", "external"):
            if payload.get(name):
                selection[name] = payload[name]
        params: Json = {**workspace.params, "op": payload["op"], "selection": selection}
        for name in ("reason", "discard_user"):
            if payload.get(name):
                params[name] = payload[name]
        result = await link.request("decide", params)
        await self._refresh(workspace, result)
        return result

    async def _apply(self, link: DaemonLink, workspace: Workspace, payload: Json) -> object:
        """Writes what was edited in the review buffer."""
        edits = self._screen.edits(workspace, payload)
        if not edits:
            workspace.drawn = None  # whatever the buffer holds, it gets the text of the view again
            await self._refresh(workspace)
            return dict(NOTHING_DONE)
        result = await link.request("review.apply", {**workspace.params, "edits": edits})
        if not result["refused"]:
            workspace.drawn = None
            await self._refresh(workspace, result)
        return result

    # -- workspaces ------------------------------------------------------------------------------

    async def _workspace_of(self, payload: Json) -> Workspace:
        """Returns the workspace of the payload's file, or else of its working directory."""
        cwd = to_bytes(payload["cwd"])
        folder: bytes | None = cwd
        if payload.get("path"):
            folder = home_folder(resolve(payload["path"]), cwd, self._attached.roots)
        if payload.get("workspace"):
            folder = to_bytes(payload["workspace"])
        if folder is None:
            raise RequestError("refused", f"{payload['path']} is in no workspace")
        return await self._attach(folder)

    async def _attach(self, folder: bytes) -> Workspace:
        workspace = self._attached.home(folder)
        if workspace is None:
            link = await self._connection.linked(start=True)
            workspace = await self._attached.attach(link, folder)
            self._mark(workspace)
            self._watch_all()
        return workspace

    def _leave(self, workspace: Workspace) -> None:
        """Lets go of a workspace whose folder is gone: nothing is shown of it any more."""
        self._attached.leave(workspace)
        self._editor.deliver([("update", self._screen.emptied(workspace))])

    def _watch_all(self) -> None:
        for payload in list(self._waiting.values()):
            self._spawn(self._watch(payload))

    async def _watch(self, payload: Json) -> None:
        """Follows a buffer's file, when it is in a workspace."""
        name = payload["path"]
        path = resolve(name)
        folder = home_folder(path, to_bytes(payload["cwd"]), self._attached.roots)
        if folder is None or self._connection.link is None:
            return  # `_look_for_daemon` comes back to it.
        wanted = self._attached.knows(folder) or payload.get("attach")
        if folder in self._attached.refused or not wanted:
            return
        try:
            workspace = await self._attach(folder)
        except RequestError:
            self._attached.refused.add(folder)
            return
        except (OSError, WireError):
            return
        inside = relative(path, workspace.root)
        if inside is None or name not in self._waiting:
            return
        workspace.watched[name] = inside
        early, self._early = self._early, []
        for claim in early:
            self._claim(claim)
        self._editor.deliver(
            [("watching", {"path": name, "workspace": workspace.params["workspace"]})]
        )
        self._mark(workspace)

    def _unwatch(self, name: str) -> None:
        self._waiting.pop(name, None)
        self._screen.forget(name)
        for workspace in self._attached:
            workspace.watched.pop(name, None)

    def _claim(self, payload: Json) -> None:
        path = resolve(payload["path"])
        found = self._attached.around(path)
        if found is not None:
            workspace, inside = found
            claim: Json = {
                **workspace.params,
                **path_param(inside),
                "data_b64": b64encode(to_bytes(payload["data"])).decode("ascii"),
                "written": bool(payload["written"]),
                "at_us": int(payload["at_us"]),
                "since_us": payload.get("since_us"),
            }
            # A claim without its write proves nothing later; what was written still does, and for
            # as long as nobody wrote something else it may be told again.
            still = files.holding(path, to_bytes(payload["data"])) if claim["written"] else None
            self._connection.notify("claim", claim, keep=still)
            return
        if payload["written"] and payload["path"] in self._waiting:
            self._early.append(payload)

    # -- the daemon ------------------------------------------------------------------------------

    async def _resume(self, link: DaemonLink) -> None:
        """Tells a new daemon what the old one knew."""
        for workspace in await self._attached.resume(link):
            self._leave(workspace)
        for workspace in self._attached:
            self._mark(workspace)
        if self._lost:
            self._lost = False
            self._editor.deliver([("connected", {})])
        self._watch_all()

    def _gone(self) -> None:
        self._lost = True
        self._editor.deliver([("lost", {})])

    async def _look_for_daemon(self) -> None:
        """Connects to a daemon that an agent's hook started, or that came back."""
        while True:
            try:
                await self._connection.linked(start=self._expected())
            except VersionMismatch as error:
                self._editor.deliver([("problem", {"message": str(error)})])
                return
            except (OSError, WireError, RequestError):
                # Nobody there is the normal case until the first agent; commands report it.
                pass
            await asyncio.sleep(RETRY_S)

    def _expected(self) -> bool:
        """Whether something may pend: then a daemon is worth starting unasked."""
        if self._lost or not self._waiting:
            return False
        try:
            return next(self._locations.workspaces.iterdir(), None) is not None
        except OSError:
            return False

    def _notified(self, method: str, params: Mapping[str, Any]) -> None:
        match method:
            case "changed":
                self._changed(params)
            case "closed":
                if closed := self._attached.get(to_bytes(str(params.get("workspace")))):
                    self._leave(closed)
            case "settle":
                self._spawn(self._settle(str(params.get("token"))))
            case "waiting":
                self._editor.deliver([("waiting", dict(params))])
            case "turn_ended":
                self._editor.deliver([("turn_ended", dict(params))])

    def _changed(self, params: Mapping[str, Any]) -> None:
        workspace = self._attached.get(to_bytes(str(params.get("workspace"))))
        if workspace is None:
            return
        workspace.summary = params.get("summary") or workspace.summary
        workspace.note_written(params.get("written") or ())
        workspace.wrote.extend(text_key(path) for path in params.get("written") or ())
        self._mark(workspace)

    async def _settle(self, token: str) -> None:
        await self._editor.flush()
        self._connection.notify("settled", {"token": token})

    def _mark(self, workspace: Workspace) -> None:
        """Has the views refreshed soon; changes that come meanwhile share one refresh."""
        if not workspace.dirty:
            workspace.dirty = True
            self._spawn(self._refresh_soon(workspace))

    async def _refresh_soon(self, workspace: Workspace) -> None:
        try:
            async with workspace.pace:
                await self._refresh(workspace)
        except OSError:
            # The loss of the daemon is shown once by `_read`; its return marks the workspace again.
            workspace.dirty = False
        except RequestError as error:
            workspace.dirty = False
            if await is_gone(workspace):
                self._leave(workspace)
            elif error.message not in self._told:
                self._told.add(error.message)
                said = {"message": f"what is shown may be out of date: {error.message}"}
                self._editor.deliver([("problem", said)])

    async def _refresh(self, workspace: Workspace, decision: Json | None = None) -> None:
        """Fetches what is shown and hands it to Lua in one call."""
        if decision is not None:
            workspace.note_written(decision.get("written") or ())
        async with workspace.refreshing:
            workspace.dirty = False
            link = self._connection.link
            if link is None:
                raise ConnectionResetError("the daemon went away")
            update: Json = dict(workspace.params)
            if workspace.review is not None:
                view = await self._screen.review(link, workspace)
                update["review"] = spill(view, self._locations.runtime)
            update["inline"] = await self._screen.inline(link, workspace)
            written, workspace.written = workspace.written, set()
            update["written"] = sorted(written)
            update["wrote"] = list(workspace.wrote)
            workspace.wrote.clear()
            update["summary"] = workspace.summary
            self._editor.deliver([("update", update)])
