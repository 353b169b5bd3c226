from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from perijove.singleuser.interaction import Interactions, is_input, is_interaction

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
#: what JupyterLab 4 and Notebook 7 send while nobody touches them
POLLS = [
    ("GET", "api/kernels", {"1763800000000": ""}),
    ("GET", "api/sessions", {"1763800000000": ""}),
    ("GET", "api/terminals", {}),
    ("GET", "api/kernelspecs", {}),
    ("GET", "api/contents", {"content": "1", "hash": "0"}),
    ("GET", "api/contents/folder", {"content": "1", "type": "directory"}),
    ("GET", "api/contents/paper.ipynb", {"content": "0", "type": "notebook"}),
    ("GET", "api/status", {}),
    ("GET", "api/me", {}),
    ("GET", "perijove/stopping", {}),
    ("POST", "perijove/keep", {}),
    ("PUT", "lab/api/workspaces/default", {}),
    ("POST", "api/sessions", {"no_track_activity": "1"}),
]
WORK = [
    ("POST", "api/sessions", {}),
    ("PUT", "api/contents/paper.ipynb", {}),
    ("PATCH", "api/contents/paper.ipynb", {}),
    ("DELETE", "api/kernels/1", {}),
    ("POST", "api/kernels/1/restart", {}),
    ("GET", "api/contents/paper.ipynb", {"content": "1", "type": "notebook"}),
    ("GET", "api/contents/notes.txt", {"type": "file"}),
]


@pytest.mark.parametrize(("method", "path", "query"), POLLS)
def test_what_a_forgotten_tab_sends_is_nobody_at_work(method: str, path: str, query: dict[str, str]) -> None:
    assert not is_interaction(method=method, path=path, query=query, headers={"sec-fetch-mode": "cors"})


@pytest.mark.parametrize(("method", "path", "query"), WORK)
def test_what_somebody_does_is_an_interaction(method: str, path: str, query: dict[str, str]) -> None:
    assert is_interaction(method=method, path=path, query=query, headers={"sec-fetch-mode": "cors"})


@pytest.mark.parametrize(
    ("headers", "is_visit"),
    [
        ({"sec-fetch-mode": "navigate"}, True),
        ({"sec-fetch-mode": "no-cors", "accept": "text/html"}, False),
        ({"accept": "text/html,*/*"}, True),
        ({"accept": "application/json"}, False),
        ({}, False),
    ],
)
def test_opening_a_page_is_an_interaction(headers: dict[str, str], is_visit: bool) -> None:  # noqa: FBT001
    assert is_interaction(method="GET", path="lab", query={}, headers=headers) is is_visit


@pytest.mark.parametrize(
    ("path", "message", "counts"),
    [
        ("api/kernels/1-2/channels", '{"header": {"msg_type": "kernel_info_request"}}', False),
        ("api/events/subscribe", "{}", False),
        ("terminals/websocket/1", '["stdin", "ls\\r"]', True),
        ("terminals/websocket/1", '["set_size", 24, 80, 100, 200]', False),
        ("terminals/websocket/1", '{"stdin": 1}', False),
        ("terminals/websocket/1", b"\xff", False),
        ("api/collaboration/room/a:b:c", b"\x00\x02change", True),
        ("api/collaboration/room/a:b:c", b"\x01who is there", False),
        ("api/collaboration/room/a:b:c", "text", False),
        ("lsp/ws/pylsp", '{"method": "textDocument/didChange"}', True),
        ("rstudio/p/1/", b"anything", True),
    ],
)
def test_messages_are_input_if_somebody_made_them(path: str, message: str | bytes, counts: bool) -> None:  # noqa: FBT001
    assert is_input(path, message) is counts


def request(path: str, headers: dict[str, str] | None = None) -> HTTPServerRequest:
    line = RequestStartLine("GET", path, "HTTP/1.1")
    return HTTPServerRequest(
        start_line=line, headers=HTTPHeaders({"Host": "hub.example", **(headers or {})}), connection=cast("Any", None)
    )


class Socket:
    """As much of a WebSocket handler as is listened to."""

    def __init__(self, path: str) -> None:
        self.request = request(path)
        self.heard: list[str] = []

    def on_message(self, message: str) -> str:
        self.heard.append(message)
        return "answered"


def test_the_latest_interaction_is_remembered() -> None:
    interactions = Interactions(base_url="/user/ada/", now=lambda: NOON)
    poll = request("/user/ada/api/kernels?1")
    visit = request("/user/ada/lab", {"Sec-Fetch-Mode": "navigate"})

    interactions.saw(poll)
    before = interactions.latest
    interactions.saw(visit)

    assert before is None
    assert interactions.latest == NOON


def test_input_over_a_websocket_is_remembered_and_passed_on() -> None:
    interactions = Interactions(base_url="/user/ada/", now=lambda: NOON)
    socket = Socket("/user/ada/terminals/websocket/1")
    interactions.listen(cast("Any", socket))

    answers = [socket.on_message('["set_size", 1, 2, 3, 4]')]
    before = interactions.latest
    answers.append(socket.on_message('["stdin", "x"]'))

    assert before is None
    assert interactions.latest == NOON
    assert answers == ["answered"] * 2
    assert len(socket.heard) == 2
