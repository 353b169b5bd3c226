"""
Asks the launcher for a kernel, over the socket that wire/kernels.py describes.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from perijove.kit.frames import HEADER, readable, receive_exactly, receive_with_descriptors
from perijove.wire import kernels as wire
from perijove.wire.kernels import KernelRequest

#: Seconds in which the launcher has forked a kernel, or will not in time.
PATIENCE: Final = 2.0


class NotForked(Exception):
    """The launcher forked no kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A kernel that runs; both are the caller's now."""

    pid: int
    pidfd: int
    #: on which the launcher will say how it ended
    connection: socket.socket


async def ask(path: Path, request: KernelRequest, *, patience: float = PATIENCE) -> Answer:
    """
    Have a kernel forked and let it run.

    Args:
        path: the launcher's socket.
        request: what it is to be.
        patience: seconds.

    Raises:
        NotForked: in words for the log; whatever was forked all the same ends by itself.
    """
    try:
        async with asyncio.timeout(patience):
            return await _ask(path, request)
    except TimeoutError as exc:
        raise NotForked(f"the launcher has not answered within {patience:.0f} s") from exc
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise NotForked(f"{type(exc).__name__}: {exc}") from exc


async def _ask(path: Path, request: KernelRequest) -> Answer:
    loop = asyncio.get_running_loop()
    data = json.dumps(request.to_json()).encode()
    if len(data) > wire.MAX_FRAME:
        raise NotForked("its environment is too long")
    with ExitStack() as opened:
        connection = opened.enter_context(socket.socket(socket.AF_UNIX))
        connection.setblocking(False)
        await loop.sock_connect(connection, str(path))
        gate, opener = os.pipe()
        opened.callback(os.close, opener)
        try:
            rights = array.array("i", [gate])
            connection.sendmsg([HEADER.pack(len(data))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        finally:
            os.close(gate)
        await loop.sock_sendall(connection, data)
        answer, pidfd = await _receive(connection)
        if pidfd is None:
            raise NotForked(str(answer.get("error", {}).get("message", answer)))
        opened.callback(os.close, pidfd)
        pid = _pid_of(pidfd)
        os.write(opener, wire.GO)
        os.close(opener)
        opened.pop_all()
        return Answer(pid=pid, pidfd=pidfd, connection=connection)


async def _receive(connection: socket.socket) -> tuple[dict[str, Any], int | None]:
    """One frame, and the descriptor that came with it."""
    await readable(connection)
    first, descriptors = receive_with_descriptors(connection, HEADER.size, most=1)
    pidfd = descriptors[0] if descriptors else None
    try:
        header = first + await receive_exactly(connection, HEADER.size - len(first))
        (length,) = HEADER.unpack(header)
        frame = json.loads(await receive_exactly(connection, min(length, wire.MAX_FRAME)))
    except BaseException:
        if pidfd is not None:
            os.close(pidfd)
        raise
    return dict(frame), pidfd


def _pid_of(pidfd: int) -> int:
    """The number that the process of *pidfd* has here: behind walls of its own, the launcher knows it by another."""
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text(encoding="ascii").splitlines()
    pid = int(next(line.split()[1] for line in lines if line.startswith("Pid:")))
    if pid <= 0:
        raise NotForked("it has ended already, or cannot be seen from here")
    return pid


def read_end(connection: socket.socket) -> bytes:
    """What the launcher has sent by now of how the kernel ended; nothing, if it is gone or not that far."""
    try:
        return connection.recv(wire.MAX_FRAME + HEADER.size)
    except OSError:
        return b""


def end_in(data: bytes) -> wire.KernelEnd | None:
    """The frame `exit` in *data*, if it is there, whole."""
    if len(data) < HEADER.size:
        return None
    (length,) = HEADER.unpack(data[: HEADER.size])
    body = data[HEADER.size :]
    if len(body) < length:
        return None
    try:
        end = json.loads(body[:length])["exit"]
        return wire.KernelEnd(reason=str(end["reason"]), status=int(end["status"]), message=str(end["message"]))
    except (ValueError, KeyError, TypeError):
        return None
