"""
Nonsense on the launcher's socket is refused or hung up on, and harms nobody.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import MAX_FRAME
from tests.support.launcher import LauncherProcess, eventually, launch_request

#: Seconds in which a launcher answers, or hangs up, on a busy machine.
PATIENCE: Final = 20.0

OPERATIONS: Final = ("hello", "launch", "list", "inspect", "terminate", "watch", "log_tail", "kernel", "", None, 7)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS: Final = [*launch_request().to_json(), "grace", "lines", "id", "v"]
#: A launch that lacks nothing, with a field or two replaced by anything.
ALMOST: Final = st.dictionaries(st.sampled_from(FIELDS), JSON, min_size=1, max_size=3)

fuzzed = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def connected(launcher: LauncherProcess) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX)
    channel.settimeout(PATIENCE)
    channel.connect(str(launcher.socket))
    return channel


def framed(message: object) -> bytes:
    data = json.dumps(message).encode("utf-8", "surrogatepass")
    return struct.pack(">I", len(data)) + data


def answer_of(channel: socket.socket) -> dict[str, Any]:
    """The next frame; nothing if the other side hung up."""
    head = _exactly(channel, 4)
    return json.loads(_exactly(channel, struct.unpack(">I", head)[0])) if head else {}


def _exactly(channel: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            chunk = channel.recv(count - len(data))
        except ConnectionResetError:
            return b""
        if not chunk:
            return b""
        data += chunk
    return data


def is_well(launcher: LauncherProcess) -> bool:
    with connected(launcher) as channel:
        channel.sendall(framed({"v": 1, "id": 1, "op": "hello"}))
        return "version" in answer_of(channel)["ok"]


@pytest.fixture
async def ready(client: LauncherClient, launcher: LauncherProcess) -> LauncherProcess:
    """The launcher, once it answers."""

    async def listens() -> bool:
        return launcher.socket.exists()

    await eventually(listens)
    await client.hello()
    return launcher


def test_bytes_that_are_no_frames_end_the_connection_only(ready: LauncherProcess) -> None:
    @fuzzed
    @given(data=st.binary(min_size=1, max_size=300))
    def send(data: bytes) -> None:
        with connected(ready) as channel:
            channel.sendall(data)
            channel.shutdown(socket.SHUT_WR)
            while answer := answer_of(channel):
                assert "error" in answer

    send()

    assert is_well(ready)


def test_requests_with_anything_in_their_fields_are_answered_with_an_error(ready: LauncherProcess) -> None:
    """
    Nothing that a wrong request says makes a server, and nothing makes the launcher stumble over itself.
    """

    @fuzzed
    @given(op=st.sampled_from(OPERATIONS), fields=ALMOST)
    def send(op: object, fields: dict[str, Any]) -> None:
        # A key of nobody, and an account that must exist and does not: a launch that is right by chance makes nothing.
        right = {**launch_request("fuzz").to_json(), "create_user": False, "grace": 0, "lines": 1}
        right["system_user"] = "no-such-account"
        message = {**right, **fields, "create_user": False, "system_user": "no-such-account", "op": op}
        message["key"] = fields.get("key", "fuzz/")
        message["generation"] = fields.get("generation", 1)
        if op == "launch":
            # Without root everybody has an account: only what is refused before that is sent.
            message["walled"] = "perhaps"
        with connected(ready) as channel:
            channel.sendall(framed(message))
            answer = answer_of(channel)
        assert "ok" in answer or answer["error"]["kind"] != "launch_failed", answer

    send()

    assert is_well(ready)


def test_a_frame_that_says_it_is_enormous_is_not_waited_for(ready: LauncherProcess) -> None:
    with connected(ready) as channel:
        channel.sendall(struct.pack(">I", 2**31) + b"x" * 1000)

        assert answer_of(channel) == {}

    assert is_well(ready)


def test_a_frame_of_just_the_longest_length_is_read(ready: LauncherProcess) -> None:
    message = {"v": 1, "id": 1, "op": "hello", "padding": ""}
    message["padding"] = "x" * (MAX_FRAME - len(framed(message)) + 4)
    with connected(ready) as channel:
        channel.sendall(framed(message))

        assert "version" in answer_of(channel)["ok"]


def test_one_who_hangs_in_the_middle_of_a_frame_holds_up_nobody(ready: LauncherProcess) -> None:
    hanging = [connected(ready) for _ in range(50)]
    for channel in hanging:
        channel.sendall(struct.pack(">I", 1000) + b"{")

    assert is_well(ready)

    for channel in hanging:
        channel.close()
