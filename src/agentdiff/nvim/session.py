"""What this Neovim shows, kept up to date.

Owns the attached workspaces and the views that Lua has drawn.  Must not touch Neovim except through
its `Editor`, nor block.  Everything runs in one event loop on a thread of its own; `receive` is the
only door for other threads.  Hop 7 on the way out, hop 1 on the way in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from agentdiff.daemon.ports import RequestError
from agentdiff.locations import Locations
from agentdiff.nvim.attached import Attached, is_gone
from agentdiff.nvim.claims import Claims
from agentdiff.nvim.history import History
from agentdiff.nvim.link import Connection, DaemonLink
from agentdiff.nvim.merging import merged
from agentdiff.nvim.params import decided, exact, filters
from agentdiff.nvim.paths import home_folder, resolve, to_bytes
from agentdiff.nvim.screen import Screen, Workspace
from agentdiff.nvim.spill import spill, sweep
from agentdiff.nvim.views import Json
from agentdiff.nvim.watching import Wanted, Watching
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
            find_daemon,
            on_notification=self._notified,
            on_link=self._resume,
            on_lost=self._gone,
            held=lambda params: self._claims.held(params),
        )
        self._attached = Attached(pid, self._is_attached)
        self._claims = Claims(self._attached, self._connection)
        self._watching = Watching(self._attached, self._attach)
        self._history = History(self._attached, self._attach, self._refresh)
        self._looking = False
        self._screen = Screen()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = False
        self._told: set[str] = set()

    # -- thread border ---------------------------------------------------------------------------

    def run(self) -> None:
        """Runs the event loop until `stop`; the body of the session's thread."""
        asyncio.set_event_loop(self._loop)
        sweep(self._locations.runtime)
        self._loop.set_exception_handler(self._report)
        self._spawn(self._look_for_daemon())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
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
                self._spawn(self._watch(self._watching.want(payload)))
            case "unwatch":
                self._unwatch(payload["path"])
            case "claim":
                self._claims.take(payload, awaited=payload["path"] in self._watching)
            case "refresh":
                for workspace in self._attached:
                    if payload.get("full"):
                        workspace.drawn = None
                    self._mark(workspace)
            case "review.close":
                root = to_bytes(payload["workspace"])
                if not self._attached.close_review(root):
                    self._screen.forget(root)
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
        if kind in ("undo", "redo"):
            return await self._history.turn(link, kind, payload)
        workspace = await self._workspace_of(payload)
        match kind:
            case "review.open":
                with workspace.reviewing(filters(payload, workspace), self._mark):
                    await self._refresh(workspace)
                return {"workspace": workspace.params["workspace"]}
            case "decide":
                return await self._decide(link, workspace, payload)
            case "review.apply":
                return await self._apply(link, workspace, payload)
            case "explain":
                ids = self._screen.hunk_at(workspace, payload)
                return await link.request("explain", {**workspace.params, "hunks": ids})
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
        result = await link.request("decide", decided(payload, selection, workspace))
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
        link = await self._connection.linked(start=True)
        return await self._attached.attach(link, folder)

    def _is_attached(self, workspace: Workspace, new: bool) -> None:
        """Follows what is in a workspace that the present daemon was just told of."""
        self._claims.release()
        self._mark(workspace)
        for wanted in self._watching.all():
            # A buffer may have waited for a new one, or have been in one around it.
            if new or wanted.name in workspace.watched:
                self._spawn(self._watch(wanted))

    def _leave(self, workspace: Workspace) -> None:
        """Lets go of a workspace whose folder is gone: nothing is shown of it any more."""
        if self._attached.leave(workspace):
            self._editor.deliver([("update", self._screen.emptied(workspace))])

    def _watch_all(self) -> None:
        for wanted in self._watching.all():
            self._spawn(self._watch(wanted))

    async def _watch(self, wanted: Wanted) -> None:
        """Follows a buffer's file, when it is in a workspace, and tells Lua."""
        if self._connection.link is None:
            return  # `_look_for_daemon` comes back to it.
        workspace = await self._watching.follow(wanted)
        if workspace is not None:
            message = {"path": wanted.name, "workspace": workspace.params["workspace"]}
            self._editor.deliver([("watching", message)])
            self._mark(workspace)

    def _unwatch(self, name: str) -> None:
        self._watching.forget(name)
        self._claims.forget(name)
        self._screen.forget(name)

    # -- the daemon ------------------------------------------------------------------------------

    async def _resume(self, link: DaemonLink) -> None:
        """Tells a new daemon what the old one knew: a slow workspace keeps no other one waiting."""
        self._attached.refused.clear()
        workspaces = list(self._attached)
        for workspace in workspaces:
            self._spawn(self._attach_again(link, workspace))
        if self._lost and not workspaces:  # else the first update says it
            self._editor.deliver([("connected", {})])
        self._lost = False
        self._watch_all()

    async def _attach_again(self, link: DaemonLink, workspace: Workspace) -> None:
        try:
            await self._attached.attach(link, workspace.root)
        except RequestError as error:
            await self._failed(workspace, error)
        except OSError:  # the next daemon is told
            pass

    async def _failed(self, workspace: Workspace, error: RequestError) -> None:
        """Leaves a workspace that cannot be shown because it is gone; else says so once."""
        if not self._attached.holds(workspace):
            return
        if await is_gone(workspace):
            self._leave(workspace)
        else:
            self._tell_once(f"what is shown may be out of date: {error.message}")

    def _tell_once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._editor.deliver([("problem", {"message": message})])

    def _gone(self) -> None:
        self._lost = True
        self._told.clear()
        self._editor.deliver([("lost", {})])

    async def _look_for_daemon(self) -> None:
        """Connects to a daemon that an agent's hook started, or that came back."""
        while True:
            try:
                link = await self._connection.linked(start=self._expected())
            except VersionMismatch as error:
                self._tell_once(str(error))
            except (OSError, WireError, RequestError):
                # Nobody there is the normal case until the first agent; commands report it.
                pass
            else:
                if not self._looking:
                    self._looking = True
                    self._spawn(self._look_for_folders(link))
            self._claims.prune()
            await asyncio.sleep(RETRY_S)

    async def _look_for_folders(self, link: DaemonLink) -> None:
        """Attaches what could not be attached before, and what came back."""
        try:
            for workspace in self._attached:
                if workspace.link is not link:
                    self._spawn(self._attach_again(link, workspace))
            for folder in await self._attached.back():
                self._spawn(self._attach_missed(link, folder))
        finally:
            self._looking = False

    async def _attach_missed(self, link: DaemonLink, folder: bytes) -> None:
        try:
            await self._attached.attach(link, folder)
        except RequestError as error:
            await self._attached.refuse(folder, error)
        except OSError:  # the next daemon is asked
            pass
        else:
            self._watch_all()

    def _expected(self) -> bool:
        """Whether something may pend: then a daemon is worth starting unasked."""
        if self._lost or not self._watching:
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
        workspace.note_changed(params)
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
            await self._failed(workspace, error)

    async def _refresh(self, workspace: Workspace, decision: Json | None = None) -> None:
        """Fetches what is shown and hands it to Lua in one call."""
        if decision is not None:
            workspace.note_written(decision.get("written") or ())
            self._history.note(workspace.root, decision)
        async with workspace.refreshing:
            workspace.dirty = False
            if not self._attached.holds(workspace):
                return  # it was left meanwhile, and this is shown already
            link = self._connection.link
            if link is None:
                raise ConnectionResetError("the daemon went away")
            update = await self._screen.update(link, workspace)
            if self._attached.holds(workspace):  # who never hears of a file does not remove it
                self._editor.deliver([("update", spill(update, self._locations.runtime))])
