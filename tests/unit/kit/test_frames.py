from __future__ import annotations

import array
import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from perijove.kit.frames import HEADER, framed, read_frame, readable, receive_exactly, receive_with_descriptors

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of one connection, for a loop."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        yield near, far


def send_with(far: socket.socket, data: bytes, descriptors: list[int]) -> None:
    far.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])


async def read(data: bytes, *, longest: int = 100) -> bytes | None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return await read_frame(reader, longest=longest)


def test_a_length_is_four_bytes_the_highest_first() -> None:
    assert framed(b"ab") == b"\0\0\0\2ab"


@pytest.mark.parametrize("message", [b"", b"a", b"a" * 100])
def test_what_was_framed_is_read_whole_and_nothing_of_the_next(message: bytes) -> None:
    assert asyncio.run(read(framed(message) + framed(b"next"))) == message


@pytest.mark.parametrize("left", [b"", b"\0\0\0"])
def test_an_end_before_a_message_is_no_error(left: bytes) -> None:
    assert asyncio.run(read(left)) is None


def test_an_end_within_a_message_is_an_error() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        asyncio.run(read(framed(b"abc")[:-1]))


def test_a_message_that_says_it_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ValueError, match="101 bytes"):
        asyncio.run(read(HEADER.pack(101)))


def test_bytes_are_waited_for_until_all_are_there(pair: Pair) -> None:
    near, far = pair

    async def receive() -> bytes:
        far.sendall(b"ab")
        asyncio.get_running_loop().call_later(0.01, far.sendall, b"cde")
        return await asyncio.wait_for(receive_exactly(near, 4), 5)

    assert asyncio.run(receive()) == b"abcd"


def test_an_end_before_all_bytes_are_there_is_an_error(pair: Pair) -> None:
    near, far = pair
    far.sendall(b"ab")
    far.close()

    with pytest.raises(ConnectionError):
        asyncio.run(receive_exactly(near, 4))


def test_whoever_waits_for_something_to_receive_waits_until_it_is_there(pair: Pair) -> None:
    near, far = pair

    async def wait() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(readable(near), 0.01)
        far.sendall(b"a")
        await asyncio.wait_for(readable(near), 5)

    asyncio.run(wait())


def test_descriptors_that_come_are_inherited_by_no_program(pair: Pair) -> None:
    near, far = pair
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    send_with(far, b"abc", [reading])
    os.close(reading)

    data, (received,) = receive_with_descriptors(near, 2, most=1)
    try:
        os.write(writing, b"through")

        assert data == b"ab"
        assert not os.get_inheritable(received)
        assert os.read(received, 10) == b"through"
    finally:
        os.close(received)
        os.close(writing)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_no_more_descriptors_are_taken_than_wanted(pair: Pair, most: int) -> None:
    near, far = pair
    before = len(list(Path("/proc/self/fd").iterdir()))
    send_with(far, b"a", [0, 1, 2])

    _, received = receive_with_descriptors(near, 1, most=most)
    open_now = len(list(Path("/proc/self/fd").iterdir())) - before
    for descriptor in received:
        os.close(descriptor)

    assert (len(received), open_now) == (most, most)
