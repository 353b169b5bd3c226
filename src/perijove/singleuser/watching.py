"""
The WebSocket of a kernel for those who may look but not run code: they hear everything and say nothing.

Jupyter Server's own connection passes whatever comes in on to the kernel. This one answers it itself: that it may not
be, or, to the one question that JupyterLab asks before it shows a kernel at all, what the kernel is.
Watching leaves no trace: it takes over nobody's session, and whoever closed their browser still finds what their
kernel has said meanwhile.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler
from tornado.ioloop import IOLoop
from tornado.web import HTTPError

from perijove.singleuser.visitor import Visitor
from perijove.wire.identity import READ

#: below the base URL, as a pattern
CHANNELS_PATH: Final = r"api/kernels/(?P<kernel_id>\w+-\w+-\w+-\w+-\w+)/channels"
#: What the visitor's program may have done: it says what language the kernel speaks, and nothing is run for it.
_HARMLESS: Final = "kernel_info_request"
_REQUEST: Final = "_request"
#: Longest header that is read: ours has 200 bytes. And the most parts of a message, most of them buffers.
MAX_HEADER: Final = 4096
MAX_PARTS: Final = 64
#: Longest message as plain JSON that is read.
MAX_TEXT: Final = 1024 * 1024
#: Questions that are put to a kernel for one visitor in that many seconds; it has better things to do.
MAX_QUESTIONS: Final = 20
QUESTIONS_SECONDS: Final = 60.0

_V1: Final = "v1.kernel.websocket.jupyter.org"
#: Bytes of a number in that protocol.
_NUMBER: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody who watches wants of a kernel."""

    channel: str
    #: type and header of the message
    what: str
    header: Mapping[str, Any]


def read_message(message: str | bytes, *, is_v1: bool) -> Asked | None:
    """What *message* asks for; None if that cannot be told."""
    try:
        channel, header = _read_v1(message) if is_v1 else _read_json(message)
        what, number = header["msg_type"], header["msg_id"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if not (isinstance(channel, str) and isinstance(what, str) and isinstance(number, str)):
        return None
    return Asked(channel=channel, what=what, header=header)


def _read_v1(message: str | bytes) -> tuple[Any, Any]:
    if not isinstance(message, bytes):
        raise TypeError
    parts = int.from_bytes(message[:_NUMBER], "little")
    # The channel, four parts of the message and the end of the last one at the least.
    if not 6 <= parts <= MAX_PARTS:  # noqa: PLR2004  # counted above
        raise ValueError
    places = range(_NUMBER, 4 * _NUMBER, _NUMBER)
    channel, header, end = (int.from_bytes(message[at : at + _NUMBER], "little") for at in places)
    if end - header > MAX_HEADER:
        raise ValueError
    return message[channel:header].decode(), json.loads(message[header:end])


def _read_json(message: str | bytes) -> tuple[Any, Any]:
    if not isinstance(message, str) or len(message) > MAX_TEXT:
        raise TypeError
    said = json.loads(message)
    return said.get("channel") or "shell", said["header"]


class WatchingConnection(ZMQChannelsWebsocketConnection):
    """From a kernel to somebody who may only look."""

    def __init__(self, *, visitor: Visitor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._visitor = visitor
        self._questions: deque[float] = deque(maxlen=MAX_QUESTIONS)

    def create_stream(self) -> None:
        """What all hear, and where a question is answered; input that a kernel asks for is none of their business."""
        for channel in ("iopub", "shell"):
            connect = getattr(self.kernel_manager, f"connect_{channel}")
            self.channels[channel] = stream = connect(identity=self.session.bsession)
            stream.channel = channel

    def connect(self) -> Any:
        """
        Begin to hear.

        Not the base's: that would count this as one of the kernel's own connections, and throw away what the kernel
        has said to somebody whose browser is closed.
        """
        self.create_stream()
        connected = self.nudge()
        self.multi_kernel_manager.add_restart_callback(self.kernel_id, self.on_kernel_restarted)
        self.multi_kernel_manager.add_restart_callback(self.kernel_id, self.on_restart_failed, "dead")
        connected.add_done_callback(self._hear)
        self._open_sockets.add(self)
        return connected

    def disconnect(self) -> None:  # type: ignore[override]  # as the base's
        """Stop hearing; never as the kernel's last connection, for which the base keeps what the kernel says."""
        manager = self.multi_kernel_manager
        # Two more than there are: the base takes one away, and finds another.
        manager.notify_connect(self.kernel_id)
        manager.notify_connect(self.kernel_id)
        super().disconnect()  # type: ignore[no-untyped-call]
        manager.notify_disconnect(self.kernel_id)

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Answer it; nothing of it reaches the kernel."""
        asked = read_message(incoming_msg, is_v1=self.subprotocol == _V1)
        if asked is None or not self.channels or not asked.what.endswith(_REQUEST):
            return
        if asked.what == _HARMLESS and asked.channel == "shell":
            self._ask(asked)
        else:
            self._refuse(asked)

    def _hear(self, _connected: object) -> None:
        for stream in self.channels.values():
            stream.on_recv_stream(self.handle_outgoing_message)

    def _ask(self, asked: Asked) -> None:
        """A question of our own, whose answer says whose it was."""
        now = IOLoop.current().time()
        if len(self._questions) == MAX_QUESTIONS and now - self._questions[0] < QUESTIONS_SECONDS:
            self._refuse(asked)
            return
        self._questions.append(now)
        whose = {name: str(asked.header.get(name, "")) for name in ("msg_id", "session", "username")}
        header = {**self.session.msg_header(_HARMLESS), **whose}
        self.session.send(self.channels["shell"], _HARMLESS, content={}, header=header)

    def _refuse(self, asked: Asked) -> None:
        """As a kernel says that something went wrong, so that nobody waits for an answer."""
        error = {
            "ename": "PermissionError",
            "evalue": self._visitor.refusal,
            "traceback": [f"PermissionError: {self._visitor.refusal}"],
        }
        if asked.what == "execute_request":
            self._say("iopub", "error", error, asked)
        reply = f"{asked.what.removesuffix(_REQUEST)}_reply"
        self._say(asked.channel, reply, {"status": "error", **error}, asked)
        self._say("iopub", "status", {"execution_state": "idle"}, asked)

    def _say(self, channel: str, what: str, content: dict[str, Any], asked: Asked) -> None:
        message = self.session.msg(what, content, parent={"header": dict(asked.header)})
        if self.subprotocol == _V1:
            packed = serialize_msg_to_ws_v1(message, channel, self.session.pack)  # type: ignore[no-untyped-call]
            self.write_message(packed, binary=True)
        else:
            message["channel"] = channel
            self.write_message(json.dumps(message, default=str))


class ChannelsHandler(KernelWebsocketHandler):
    """Jupyter Server's own for those who may run code; for others, one that they can watch by."""

    async def pre_get(self) -> None:
        """Judge, and make the connection."""
        visitor = self.current_user
        if not isinstance(visitor, Visitor) or visitor.may_run:
            await super().pre_get()  # type: ignore[no-untyped-call]
            return
        if READ not in visitor.scopes:
            raise HTTPError(403, visitor.refusal)
        kernel = self.kernel_manager.get_kernel(self.kernel_id)
        # With a session of its own, whatever the address says: somebody else's would get their messages.
        self.connection = WatchingConnection(visitor=visitor, parent=kernel, websocket_handler=self, config=self.config)
        await self.connection.prepare()
