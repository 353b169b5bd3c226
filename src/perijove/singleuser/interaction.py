"""
What in the traffic of a browser is somebody at work, and what is only a tab that was left open.

JupyterLab asks for kernels, sessions, terminals and the listing of a folder every few seconds, for as long as its
tab is open, and Jupyter Server counts each of these as activity. So the requests are judged here anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tornado.httputil import HTTPServerRequest
from tornado.websocket import WebSocketHandler

from perijove.wire.notebook import CONTENTS, OWN, SENT_BY_ITSELF

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Opening a document. The listing of a folder, which is polled, has the type `directory` or none.
_DOCUMENTS: Final = frozenset({"file", "notebook"})
#: WebSockets whose messages say nothing: a kernel's own account of what it is asked is better than the asking
#: (a tab that reconnects asks for its version), and the event stream only flows the other way.
_NO_INPUT: Final = re.compile(r"api/kernels/[^/]+/channels$|api/events/subscribe$")
_TERMINAL: Final = re.compile(r"terminals/websocket/")
_TOGETHER: Final = re.compile(r"api/collaboration/room/")
#: A change of a document, in the protocol of y-websocket; other messages tell who is there, every few seconds.
_CHANGE: Final = b"\x00\x02"


def is_interaction(*, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
    """
    Whether somebody did something that sent this request.

    Args:
        method: of the request.
        path: below the base URL, without a leading slash.
        query: its arguments.
        headers: with names in lower case.
    """
    if path.startswith(OWN) or "no_track_activity" in query:
        return False
    if method not in _READS:
        return SENT_BY_ITSELF.match(path) is None
    if CONTENTS.match(path):
        return query.get("type") in _DOCUMENTS and query.get("content") != "0"
    mode = headers.get("sec-fetch-mode")
    return mode == "navigate" if mode else "text/html" in headers.get("accept", "")


def is_input(path: str, message: str | bytes) -> bool:
    """Whether somebody did something that sent *message* over the WebSocket at *path*, below the base URL."""
    if _NO_INPUT.match(path):
        return False
    if _TOGETHER.match(path):
        return isinstance(message, bytes) and message.startswith(_CHANGE)
    return not _TERMINAL.match(path) or _is_typed(message)


def _is_typed(message: str | bytes) -> bool:
    """Whether a terminal is told what was typed, and not how large its window is."""
    try:
        said = json.loads(message)
    except ValueError:
        return False
    return isinstance(said, list) and said[:1] == ["stdin"]


class Interactions:
    """Remembers when somebody last did something."""

    def __init__(self, *, base_url: str, now: Callable[[], datetime]) -> None:
        self._base_url = base_url
        self._now = now
        self.latest: datetime | None = None

    def saw(self, request: HTTPServerRequest) -> None:
        """A request was let in."""
        path = request.path.removeprefix(self._base_url)
        query = {name: values[-1].decode("utf-8", "replace") for name, values in request.arguments.items()}
        headers = {name.lower(): value for name, value in request.headers.get_all()}
        if is_interaction(method=request.method or "", path=path, query=query, headers=headers):
            self.latest = self._now()

    def listen(self, socket: WebSocketHandler) -> None:
        """Judge what comes in over a WebSocket that is being opened."""
        path = socket.request.path.removeprefix(self._base_url)
        hear = socket.on_message

        def on_message(message: str | bytes) -> Any:
            if is_input(path, message):
                self.latest = self._now()
            return hear(message)

        vars(socket)["on_message"] = on_message
