"""
The kernel socket: anybody may connect, so nothing that comes is trusted (wire/kernels.py has the shapes).

One task a connection; every read has an end, in bytes and in seconds. Knows nothing of templates.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.frames import HEADER, framed, readable, receive_exactly, receive_with_descriptors
from perijove.kit.tasks import TaskGroup
from perijove.launcher.errors import BadRequest, Forbidden, LauncherError
from perijove.launcher.kernels import Kernels
from perijove.launcher.protocol import peer_uid
from perijove.launcher.sockets import bind
from perijove.wire import kernels as wire
from perijove.wire.kernels import KernelRequest

log = structlog.get_logger(__name__)

#: Connections of one uid at once, which is kernels of it: one that has more starts them without us.
MAX_PER_UID: Final = 512
#: Seconds to wait when there is no descriptor left to accept with.
ACCEPT_PAUSE: Final = 0.1
#: Seconds that an asker who does not read may hold up the frame that says how its kernel ended.
SEND_SECONDS: Final = 5.0

_FIELDS: Final = frozenset({"v", "op", "marker", "argv", "environment", "directory"})


class NoPipe(BadRequest):
    """The descriptor that came with a request is no pipe; you may ask no more."""


class KernelProtocol:
    """
    Serves connections.

    Args:
        kernels: forks what is asked for.
        tasks: owns the connections.
    """

    def __init__(self, *, kernels: Kernels, tasks: TaskGroup) -> None:
        self._kernels = kernels
        self._tasks = tasks
        self._connections: Counter[int] = Counter()
        #: sent something else than a pipe: an error of a program that is not ours, or an attempt to hold us up
        self._banned: set[int] = set()

    async def serve(self, path: Path) -> None:
        """Listen at *path*, until cancelled."""
        with bind(path, gid=-1) as listening:
            # Its directory lets everybody through; who may ask is decided for each connection.
            os.chmod(path, 0o666)  # noqa: PTH101, S103  # meant so; in memory
            while True:
                try:
                    connection, _ = await asyncio.get_running_loop().sock_accept(listening)
                except OSError as exc:
                    log.warning("kernel.not_accepted", error=str(exc))
                    await asyncio.sleep(ACCEPT_PAUSE)
                    continue
                connection.setblocking(False)
                self._tasks.start("kernel", self._serve_one(connection))

    async def _serve_one(self, connection: socket.socket) -> None:
        with connection:
            uid = peer_uid(connection)
            self._connections[uid] += 1
            try:
                if uid in self._banned or not self._kernels.may_ask(uid):
                    # Not a byte is read of who has no server.
                    await _send(connection, _error(wire.FORBIDDEN, "no server runs as you"))
                elif self._connections[uid] > MAX_PER_UID:
                    await _send(connection, _error(wire.TOO_MANY, "you have as many kernels as there may be"))
                else:
                    await self._answer(connection, uid)
            except (OSError, EOFError) as exc:
                log.debug("kernel.connection_ended", uid=uid, error=str(exc))
            finally:
                self._connections[uid] -= 1
                if not self._connections[uid]:
                    del self._connections[uid]

    async def _answer(self, connection: socket.socket, uid: int) -> None:
        """Fork what is asked for, and say how it ends."""
        with contextlib.ExitStack() as received:
            try:
                async with asyncio.timeout(wire.REQUEST_SECONDS):
                    request, gate = await _request(connection, received)
                kernel = await self._kernels.fork(request, uid=uid, gate=gate)
            except NoPipe as exc:
                log.error("kernel.asker_banned", uid=uid, because=str(exc))  # noqa: TRY400
                self._banned.add(uid)
                await _send(connection, _error(wire.BAD_REQUEST, str(exc)))
                return
            except Forbidden as exc:
                log.warning("kernel.refused", uid=uid)
                await _send(connection, _error(wire.FORBIDDEN, str(exc)))
                return
            except BadRequest as exc:
                await _send(connection, _error(wire.BAD_REQUEST, str(exc)))
                return
            except (LauncherError, TimeoutError) as exc:
                await _send(connection, _error(wire.UNAVAILABLE, str(exc)))
                return
        try:
            data = _framed({"ok": {}})
            rights = array.array("i", [kernel.pidfd])
            # Small, and the first that is sent here: it fits into the socket's buffer, whole.
            connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        finally:
            os.close(kernel.pidfd)
        end = await self._kernels.end_of(kernel)
        log.debug("kernel.ended", pid=kernel.pid, reason=end.reason, status=end.status)
        await _send(connection, {"exit": end.to_json()})


def kernel_request(frame: object) -> KernelRequest:
    """
    The request in *frame*.

    Raises:
        BadRequest: there is more in it, less, or something else.
    """
    if not isinstance(frame, dict) or frame.keys() != _FIELDS:
        raise BadRequest(f"not a request for a kernel: its fields are {', '.join(sorted(_FIELDS))}")
    if frame["v"] != wire.VERSION or frame["op"] != wire.KERNEL:
        raise BadRequest(f"not a request of version {wire.VERSION} for a kernel")
    argv, environment = frame["argv"], frame["environment"]
    if not isinstance(argv, list) or not isinstance(environment, dict):
        raise BadRequest("not a request for a kernel: argv is no list, or environment is no object")
    if any("=" in name or not name for name in environment):
        raise BadRequest("not a request for a kernel: a variable cannot be passed on")
    texts = [frame["marker"], frame["directory"], *argv, *environment, *environment.values()]
    if not all(isinstance(text, str) and _is_plain(text) for text in texts):
        raise BadRequest("not a request for a kernel: something that must be text is not")
    return KernelRequest(
        marker=frame["marker"], argv=tuple(argv), environment=environment, directory=frame["directory"]
    )


def _is_plain(text: str) -> bool:
    """Whether the operating system takes it as an argument, a variable, or a path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


async def _request(connection: socket.socket, received: contextlib.ExitStack) -> tuple[KernelRequest, int]:
    """The frame and the gate, which *received* closes whatever happens."""
    descriptors: list[int] = []
    header = b""
    while len(header) < HEADER.size:
        await readable(connection)
        # Room for one; the operating system drops all others.
        more, some = receive_with_descriptors(connection, HEADER.size - len(header), most=0 if header else 1)
        for descriptor in some:
            received.callback(_close, descriptor)
        descriptors += some
        if not more:
            raise EOFError("no request")
        header += more
    (length,) = HEADER.unpack(header)
    if length > wire.MAX_FRAME:
        raise BadRequest(f"a frame of {length} bytes")
    if not descriptors:
        raise BadRequest("a request brings the reading end of a pipe")
    if not _is_pipe(descriptors[0]):
        raise NoPipe
    try:
        frame = json.loads(await receive_exactly(connection, length))
    except (ValueError, RecursionError) as exc:
        raise BadRequest("not a request for a kernel: no JSON") from exc
    return kernel_request(frame), descriptors[0]


def _is_pipe(descriptor: int) -> bool:
    """Whether it is an anonymous pipe; asks nobody else, as stat(2) would ask the file system that it is of."""
    return os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:")  # noqa: PTH115  # text, not a path


def _close(descriptor: int) -> None:
    """
    Close what a stranger sent. Closing a file waits for its file system, which may be a program of that stranger's
    (FUSE) that never answers: the launcher must not be the one who waits.
    """
    if _is_pipe(descriptor):
        os.close(descriptor)
    else:
        threading.Thread(target=os.close, args=(descriptor,), daemon=True).start()


async def _send(connection: socket.socket, frame: dict[str, Any]) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await asyncio.get_running_loop().sock_sendall(connection, _framed(frame))


def _framed(frame: dict[str, Any]) -> bytes:
    return framed(json.dumps(frame).encode())


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message}}
