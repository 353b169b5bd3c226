"""
Messages with their length before them, four bytes, big-endian; and descriptors that come with them (unix(7)).
"""

from __future__ import annotations

import array
import asyncio
import socket
import struct
from typing import Final

#: Length before every message.
HEADER: Final = struct.Struct(">I")


def framed(data: bytes) -> bytes:
    """*data* with its length before it."""
    return HEADER.pack(len(data)) + data


async def read_frame(reader: asyncio.StreamReader, *, longest: int) -> bytes | None:
    """
    The next message; None if the other side has ended, or ends within a header.

    Raises:
        ValueError: it is longer than *longest* bytes.
        asyncio.IncompleteReadError: the other side ends within the message.
    """
    try:
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
    except asyncio.IncompleteReadError:
        return None
    if length > longest:
        raise ValueError(f"a frame of {length} bytes")
    return await reader.readexactly(length)


async def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """
    The next *count* bytes; descriptors that come with them are dropped by the operating system.

    Raises:
        ConnectionError: the other side has ended.
    """
    data = bytearray()
    while len(data) < count:
        more = await asyncio.get_running_loop().sock_recv(connection, count - len(data))
        if not more:
            raise ConnectionError("the other side has hung up")
        data += more
    return bytes(data)


async def readable(connection: socket.socket) -> None:
    """Wait until there is something to receive."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


def receive_with_descriptors(connection: socket.socket, count: int, *, most: int) -> tuple[bytes, list[int]]:
    """
    Up to *count* bytes and up to *most* descriptors, which no program that is started here inherits.

    `socket.recv_fds` does not pass its flags on. The operating system drops descriptors beyond *most*.
    """
    found = array.array("i")
    room = socket.CMSG_LEN(most * found.itemsize) if most else 0
    data, ancillary, _, _ = connection.recvmsg(count, room, socket.MSG_CMSG_CLOEXEC)
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(payload[: len(payload) - len(payload) % found.itemsize])
    return data, list(found)
