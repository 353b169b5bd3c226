"""
The launcher's unix socket: frames in, `Servers` asked, frames out (wire/launcher.py has the shapes).

Checks who is there before it reads a byte. Knows nothing of processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

import structlog

from perijove import __version__
from perijove.kit.frames import framed, read_frame
from perijove.kit.tasks import TaskGroup
from perijove.launcher.errors import BadRequest, Forbidden, LauncherError
from perijove.launcher.servers import Servers
from perijove.wire.launcher import MAX_FRAME, VERSION, ExitReport, LaunchRequest, Limits

log = structlog.get_logger(__name__)

#: Requests of one connection that may be under way at once; more wait in the socket.
MAX_CONCURRENT: Final = 64
#: Exits that a watcher may be behind by; one that is further behind is disconnected and lists again.
MAX_EVENTS_BEHIND: Final = 1000
#: Most lines `log_tail` answers.
MAX_TAIL_LINES: Final = 500
#: Longest grace that `terminate` may ask for.
MAX_GRACE: Final = 3600.0

_PEERCRED: Final = struct.Struct("3i")


class Protocol:
    """
    Serves the hub's connections.

    Args:
        servers: what the requests are about.
        describe: the `hello` answer, apart from version and pid.
        hub_uid: the only uid, besides the launcher's own, that may ask.
    """

    def __init__(
        self, *, servers: Servers, describe: Callable[[], dict[str, Any]], hub_uid: int, tasks: TaskGroup
    ) -> None:
        self._servers = servers
        self._describe = describe
        self._allowed = {hub_uid, os.getuid()}
        self._tasks = tasks
        self._watchers: set[Connection] = set()

    def tell(self, report: ExitReport) -> None:
        """Send an exit to everybody who watches."""
        for watcher in list(self._watchers):
            watcher.send_event({"event": "exited", "report": report.to_json()})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first frame to its last."""
        connection = Connection(writer)
        self._tasks.start("send", connection.send_all())
        try:
            uid = peer_uid(writer.get_extra_info("socket"))
            allowed = uid in self._allowed
            if not allowed:
                log.warning("peer.refused", uid=uid)
            await self._read_frames(reader, connection, allowed=allowed)
        except (OSError, EOFError, ValueError) as exc:
            log.debug("connection.ended", error=str(exc))
        finally:
            self._watchers.discard(connection)
            connection.close()

    async def _read_frames(self, reader: asyncio.StreamReader, connection: Connection, *, allowed: bool) -> None:
        turns = asyncio.Semaphore(MAX_CONCURRENT)
        while (frame := await _read_frame(reader)) is not None:
            await turns.acquire()
            work = self._tasks.start("request", self._answer(frame, connection, allowed=allowed))
            work.add_done_callback(lambda _done: turns.release())

    async def _answer(self, frame: dict[str, Any], connection: Connection, *, allowed: bool) -> None:
        answer: dict[str, Any] = {"v": VERSION, "id": frame.get("id")}
        try:
            answer["ok"] = await self._perform(frame if allowed else {"op": None}, connection)
        except LauncherError as exc:
            answer["error"] = {"kind": exc.kind, "message": str(exc)}
        except Exception:
            # Process edge: whatever it was, the asker gets an answer and the log the trace.
            log.exception("request.failed", op=frame.get("op"))
            answer["error"] = {"kind": LauncherError.kind, "message": "the launcher failed; its log says why"}
        connection.send(answer)

    async def _perform(  # noqa: PLR0911  # one line per operation of the table in wire/launcher.py
        self, frame: dict[str, Any], connection: Connection
    ) -> dict[str, Any]:
        match frame.get("op"):
            case "hello":
                return {"version": __version__, "pid": os.getpid(), **self._describe()}
            case "launch":
                launched = await self._servers.launch(launch_request(frame))
                return launched.to_json()
            case "list":
                return {"servers": [launched.to_json() for launched in self._servers.running()]}
            case "inspect":
                running, exited = self._servers.inspect(_text(frame, "key"))
                return {
                    "running": running.to_json() if running else None,
                    "exit": exited.to_json() if exited else None,
                }
            case "terminate":
                grace = min(max(_number(frame, "grace"), 0.0), MAX_GRACE)
                await self._servers.terminate(_text(frame, "key"), int(_number(frame, "generation")), grace)
                return {}
            case "watch":
                self._watchers.add(connection)
                return {}
            case "log_tail":
                lines = min(max(int(_number(frame, "lines")), 0), MAX_TAIL_LINES)
                return {"lines": list(self._servers.log_tail(_text(frame, "key"), lines))}
            case None:
                raise Forbidden
            case unknown:
                raise BadRequest(f"there is no operation {unknown!r}")


class Connection:
    """The sending half of one connection: a bounded queue, so that a slow reader holds up nobody."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(MAX_EVENTS_BEHIND)

    def send(self, frame: dict[str, Any]) -> None:
        """Send an answer; a connection too far behind is closed."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            log.warning("connection.too_slow")
            self._writer.transport.abort()

    send_event = send

    def close(self) -> None:
        """Send what is queued, then hang up."""
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def send_all(self) -> None:
        """Write frames until closed."""
        try:
            while (frame := await self._queue.get()) is not None:
                self._writer.write(framed(json.dumps(frame).encode()))
                await self._writer.drain()
        except OSError as exc:
            log.debug("connection.lost", error=str(exc))
        finally:
            self._writer.close()


def launch_request(frame: dict[str, Any]) -> LaunchRequest:
    """
    The request in a `launch` frame.

    Raises:
        BadRequest: a field is missing or has the wrong type.
    """
    known = {field.name for field in fields(LaunchRequest)}
    values = {name: value for name, value in frame.items() if name in known}
    try:
        limits = Limits(**values.pop("limits", {}))
        environment = {str(name): str(value) for name, value in dict(values.pop("environment")).items()}
        for name in ("argv", "args"):
            values[name] = tuple(str(part) for part in values.get(name, ()))
        request = LaunchRequest(**values, environment=environment, limits=limits)
    except (TypeError, ValueError, KeyError) as exc:
        raise BadRequest(f"not a launch request: {exc}") from exc
    texts = [frame.get(name) for name in ("key", "user", "server_name", "system_user", "home")]
    texts.append(frame.get("directory", ""))
    if not all(isinstance(text, str) and "\0" not in text for text in texts) or not request.key:
        raise BadRequest("not a launch request: a name is missing or no text")
    if type(frame.get("listens", True)) is not bool:
        raise BadRequest("not a launch request: listens is neither true nor false")
    if type(frame.get("generation")) is not int:
        raise BadRequest("not a launch request: the generation is no number")
    for name in ("own_port", "walled"):
        if type(getattr(request, name)) is not bool:
            raise BadRequest(f"not a launch request: {name} is neither true nor false")
    if any("\0" in part for pair in environment.items() for part in pair) or any("=" in name for name in environment):
        raise BadRequest("not a launch request: a variable cannot be passed on")
    return request


async def _read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    data = await read_frame(reader, longest=MAX_FRAME)
    if data is None:
        return None
    frame = json.loads(data)
    if not isinstance(frame, dict):
        raise TypeError("a frame that is no object")
    return frame


def peer_uid(peer: socket.socket) -> int:
    """Who is at the other end of a unix socket: the uid when they connected, as the operating system says."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
    _, uid, _ = _PEERCRED.unpack(credentials)
    return int(uid)


def _text(frame: dict[str, Any], name: str) -> str:
    value = frame.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{name} must be text")
    return value


def _number(frame: dict[str, Any], name: str) -> float:
    value = frame.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest(f"{name} must be a number")
    return value
