"""
Visitors with less than all rights, on a real server: what they see, what they are refused, and how politely.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.asyncio.client import connect as connection
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from perijove.wire.launcher import Launched
from tests.integration.singleuser.test_notebooks import execute, page_config
from tests.support.launcher import browser, identity

V1 = Subprotocol("v1.kernel.websocket.jupyter.org")
LONG = 24 * 3600
OWNER = identity(sid="token:1", lifetime=LONG)
READER = identity("bob", audience="ada/", scope=("read",), sid="token:2", lifetime=LONG)
WRITER = identity("eve", audience="ada/", scope=("read", "write"), sid="token:3", lifetime=LONG)
VISITORS = pytest.mark.parametrize("visitor", [pytest.param(READER, id="reader"), pytest.param(WRITER, id="writer")])
NOTEBOOK = {
    "type": "notebook",
    "format": "json",
    "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
}
TEXT = {"type": "file", "format": "text", "content": "hello"}


@pytest.fixture
async def kernel(server: Launched) -> AsyncIterator[str]:
    """A kernel of ada's with a session, and a notebook that it is for."""
    async with browser(server, OWNER) as ada:
        assert (await ada.put("/user/ada/api/contents/a.ipynb", json=NOTEBOOK)).is_success
        body = {"path": "a.ipynb", "name": "a", "type": "notebook", "kernel": {"name": "python3"}}
        answer = await ada.post("/user/ada/api/sessions", json=body)
        assert answer.status_code == 201, answer.text
        yield answer.json()["kernel"]["id"]
        await ada.delete(f"/user/ada/api/sessions/{answer.json()['id']}")


def channels(
    server: Launched, kernel: str, visitor: Mapping[str, str], *, session: str = "", v1: bool = False
) -> connection:
    query = f"?session_id={session}" if session else ""
    return unix_connect(
        server.socket,
        uri=f"ws://hub.example/user/ada/api/kernels/{kernel}/channels{query}",
        additional_headers=dict(visitor),
        max_size=2**24,
        subprotocols=[V1] if v1 else None,
    )


def message(what: str, content: Mapping[str, Any], channel: str = "shell") -> dict[str, Any]:
    header = {"msg_id": uuid.uuid4().hex, "msg_type": what, "session": "bobs", "username": "", "version": "5.3"}
    return {"header": header, "parent_header": {}, "metadata": {}, "content": dict(content), "channel": channel}


CODE = {"code": "print('pwned')", "silent": False, "store_history": True, "allow_stdin": False}


async def answers(socket: ClientConnection, asked: Mapping[str, Any], *, until: str) -> list[dict[str, Any]]:
    """What is said in answer to *asked*, up to the message of type *until*."""
    heard = []
    async with asyncio.timeout(30):
        while True:
            said = json.loads(await socket.recv())
            if said["parent_header"].get("msg_id") == asked["header"]["msg_id"]:
                heard.append(said)
                if said["header"]["msg_type"] == until:
                    return heard


# -- what Jupyter Server asks about, resource by resource ------------------------------------------------------------


@VISITORS
@pytest.mark.parametrize(
    "path",
    [
        "lab",
        "lab/tree/a.ipynb",
        "tree",
        "notebooks/a.ipynb",
        "api",
        "api/contents",
        "api/contents/a.ipynb?type=notebook&content=1",
        "api/contents/a.ipynb/checkpoints",
        "api/kernels",
        "api/kernels/{kernel}",
        "api/sessions",
        "api/kernelspecs",
        "api/terminals",
        "api/config/notebook",
        "api/me",
        "api/status",
        "api/security/csp-report",
        "lab/api/settings",
        "lab/api/workspaces/default",
        "lab/api/themes/none",
        "lsp/status",
        "files/a.ipynb",
        "perijove/stopping",
        "api/nbconvert",
        "nbconvert/html/a.ipynb",
        "api/kernels/{kernel}/channels",
    ],
)
async def test_what_a_visitor_may_read(server: Launched, kernel: str, visitor: Mapping[str, str], path: str) -> None:
    """
    All that JupyterLab needs to open; not what runs code, though it is asked for with a GET.
    """
    refused = {"nbconvert/html/a.ipynb", "api/nbconvert"}
    missing = {"lab/api/themes/none", "api/security/csp-report", "api/kernels/{kernel}/channels"}
    async with browser(server, visitor) as client:
        answer = await client.get(f"/user/ada/{path.format(kernel=kernel)}")

    if path in refused:
        assert answer.status_code == 403
    elif path in missing:
        assert answer.status_code in {400, 404, 405}
    else:
        assert answer.status_code == 200, answer.text


#: everything that Jupyter Server and JupyterLab let one change: method, path, body
CHANGES: list[tuple[str, str, Any]] = [
    ("POST", "api/kernels", {}),
    ("DELETE", "api/kernels/{kernel}", None),
    ("POST", "api/kernels/{kernel}/interrupt", None),
    ("POST", "api/kernels/{kernel}/restart", None),
    ("POST", "api/sessions", {"path": "b.ipynb", "type": "notebook", "kernel": {"name": "python3"}}),
    ("PATCH", "api/sessions/{kernel}", {"path": "b.ipynb"}),
    ("DELETE", "api/sessions/{kernel}", None),
    ("POST", "api/terminals", {}),
    ("DELETE", "api/terminals/1", None),
    ("POST", "api/shutdown", None),
    ("POST", "api/events", {"schema_id": "x", "version": "1", "data": {}}),
    ("PUT", "api/config/notebook", {"a": 1}),
    ("PATCH", "api/config/notebook", {"a": 1}),
    ("POST", "nbconvert/html", NOTEBOOK),
    ("POST", "perijove/keep", {}),
    ("POST", "lab/api/extensions", {"cmd": "install", "extension_name": "x"}),
    ("POST", "lab/api/licenses", {}),
    ("PUT", "an/extension/that/asks/nobody", {}),
]
FILES: list[tuple[str, str, Any]] = [
    ("PUT", "api/contents/of-a-visitor.txt", TEXT),
    ("POST", "api/contents", {"type": "notebook"}),
    ("POST", "api/contents/a.ipynb/checkpoints", None),
    ("PATCH", "api/contents/of-a-visitor.txt", {"path": "renamed-by-a-visitor.txt"}),
    ("DELETE", "api/contents/renamed-by-a-visitor.txt", None),
    ("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", {"raw": "{}"}),
    ("PUT", "lab/api/workspaces/x", {"data": {}, "metadata": {"id": "x"}}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES + FILES)
async def test_a_reader_changes_nothing(server: Launched, kernel: str, method: str, path: str, body: Any) -> None:
    async with browser(server, READER) as bob:
        answer = await bob.request(method, f"/user/ada/{path.format(kernel=kernel)}", json=body)

    assert answer.status_code == 403
    assert "You may look at this server" in answer.text


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_writer_runs_nothing(server: Launched, kernel: str, method: str, path: str, body: Any) -> None:
    async with browser(server, WRITER) as eve:
        answer = await eve.request(method, f"/user/ada/{path.format(kernel=kernel)}", json=body)

    assert answer.status_code == 403
    assert "not run code here" in answer.text


async def test_a_writer_saves_files(server: Launched, kernel: str) -> None:  # noqa: ARG001  # with a notebook
    async with browser(server, WRITER) as eve:
        statuses = [
            (await eve.request(method, f"/user/ada/{path}", json=body)).status_code for method, path, body in FILES
        ]

    assert statuses == [201, 201, 201, 200, 204, 204, 204]


@VISITORS
@pytest.mark.parametrize("path", ["terminals/websocket/1", "lsp/ws/x", "api/collaboration/room/x", "proxy/8000/ws"])
async def test_no_other_websocket_is_open_to_visitors(server: Launched, visitor: Mapping[str, str], path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with unix_connect(
            server.socket, uri=f"ws://hub.example/user/ada/{path}", additional_headers=dict(visitor)
        ):
            pass

    assert refused.value.response.status_code == 403


@VISITORS
async def test_visitors_hear_what_happens_to_files(server: Launched, visitor: Mapping[str, str]) -> None:
    """
    JupyterLab listens to these all the time.
    """
    uri = "ws://hub.example/user/ada/api/events/subscribe"
    async with unix_connect(server.socket, uri=uri, additional_headers=dict(visitor)) as socket:
        async with browser(server, OWNER) as ada:
            await ada.put("/user/ada/api/contents/heard.txt", json=TEXT)
        async with asyncio.timeout(30):
            heard = json.loads(await socket.recv())

    assert heard["path"] == "heard.txt"


# -- kernels ---------------------------------------------------------------------------------------------------------


@VISITORS
async def test_a_visitor_sees_outputs_live(server: Launched, kernel: str, visitor: Mapping[str, str]) -> None:
    async with channels(server, kernel, OWNER) as ada, channels(server, kernel, visitor) as guest:
        await execute(ada, "print('look', 6 * 7)")
        async with asyncio.timeout(30):
            while True:
                heard = json.loads(await guest.recv())
                if heard["msg_type"] == "stream":
                    break

    assert heard["content"]["text"] == "look 42\n"


@VISITORS
@pytest.mark.parametrize("channel", ["shell", "control"])
async def test_nothing_that_a_visitor_says_reaches_a_kernel(
    server: Launched, kernel: str, visitor: Mapping[str, str], channel: str
) -> None:
    """
    They are told so, as a kernel would tell that something went wrong: nobody waits for an answer.
    """
    asked = message("execute_request", CODE, channel)
    async with channels(server, kernel, visitor) as guest:
        await guest.send(json.dumps(asked))
        for what in ("input_reply", "comm_open", "shutdown_request", "debug_request"):
            await guest.send(json.dumps(message(what, {"value": "x", "restart": False}, "control")))
        heard = await answers(guest, asked, until="status")
    async with channels(server, kernel, OWNER) as ada:
        number = await execute(ada, "print(len(In))")

    assert [said["header"]["msg_type"] for said in heard] == ["error", "execute_reply", "status"]
    assert heard[1]["content"]["status"] == "error"
    assert "not" in heard[1]["content"]["evalue"]
    # The empty first entry; what asks is not stored.
    assert number == "1\n"


@pytest.mark.parametrize("v1", [False, True])
async def test_a_visitor_learns_what_kernel_it_is(server: Launched, kernel: str, v1: bool) -> None:  # noqa: FBT001
    """
    JupyterLab asks this first, and shows no kernel without an answer.
    """
    asked = message("kernel_info_request", {"code": "print('pwned')"})
    async with channels(server, kernel, READER, v1=v1) as guest:
        if v1:
            assert guest.subprotocol == V1
            pack = lambda part: json.dumps(part).encode()  # noqa: E731
            await guest.send(serialize_msg_to_ws_v1(asked, "shell", pack))  # type: ignore[no-untyped-call]
        else:
            await guest.send(json.dumps(asked))
        async with asyncio.timeout(30):
            while True:
                raw = await guest.recv()
                if isinstance(raw, bytes):
                    channel, parts = deserialize_msg_from_ws_v1(raw)  # type: ignore[no-untyped-call]
                    header, parent, _, content = (json.loads(part) for part in parts[:4])
                else:
                    said = json.loads(raw)
                    channel, header, parent = said["channel"], said["header"], said["parent_header"]
                    content = said["content"]
                if header["msg_type"] == "kernel_info_reply":
                    break

    assert channel == "shell"
    assert (parent["msg_id"], parent["session"]) == (asked["header"]["msg_id"], "bobs")
    assert content["language_info"]["name"] == "python"


async def test_a_visitor_is_refused_in_the_protocol_that_they_speak(server: Launched, kernel: str) -> None:
    asked = message("execute_request", CODE)
    async with channels(server, kernel, READER, v1=True) as guest:
        pack = lambda part: json.dumps(part).encode()  # noqa: E731
        await guest.send(serialize_msg_to_ws_v1(asked, "shell", pack))  # type: ignore[no-untyped-call]
        heard = []
        async with asyncio.timeout(30):
            while "execute_reply" not in heard:
                _, parts = deserialize_msg_from_ws_v1(await guest.recv())  # type: ignore[no-untyped-call]
                header, parent = json.loads(parts[0]), json.loads(parts[1])
                if parent.get("msg_id") == asked["header"]["msg_id"]:
                    heard.append(header["msg_type"])

    assert heard == ["error", "execute_reply"]


async def test_garbage_of_a_visitor_ends_nothing(server: Launched, kernel: str) -> None:
    asked = message("execute_request", CODE)
    async with channels(server, kernel, READER) as guest:
        for garbage in ("", "[]", "{}", "null", '{"header": []}', b"\xff" * 40, "{" * 5000, "x" * 2_000_000):
            await guest.send(garbage)
        await guest.send(json.dumps(asked))

        assert await answers(guest, asked, until="execute_reply")


async def test_a_visitor_takes_over_nobodys_session(server: Launched, kernel: str) -> None:
    """
    Jupyter Server closes the connection of whoever has the same session, and gives theirs to the new one.
    """
    async with (
        channels(server, kernel, OWNER, session="adas") as ada,
        channels(server, kernel, READER, session="adas"),
    ):
        printed = await execute(ada, "print('still here')")

    assert printed == "still here\n"


async def test_what_a_kernel_says_while_its_owner_is_away_is_kept_from_no_owner(server: Launched, kernel: str) -> None:
    """
    Jupyter Server keeps it for the last one who has gone, and drops it when somebody else comes. A visitor is nobody.
    """
    asked = message("execute_request", {**CODE, "code": "import time; time.sleep(1); print('meanwhile')"})
    async with channels(server, kernel, OWNER, session="adas") as ada:
        await ada.send(json.dumps(asked))
    async with channels(server, kernel, READER) as guest:
        async with asyncio.timeout(30):
            while json.loads(await guest.recv())["msg_type"] != "stream":
                pass
    async with channels(server, kernel, OWNER, session="adas") as ada, asyncio.timeout(30):
        while True:
            heard = json.loads(await ada.recv())
            if heard["msg_type"] == "stream":
                break

    assert heard["content"]["text"] == "meanwhile\n"


async def test_watching_is_no_connection_of_the_kernels(server: Launched, kernel: str) -> None:
    async with browser(server, OWNER) as ada, channels(server, kernel, READER):
        watched = (await ada.get(f"/user/ada/api/kernels/{kernel}")).json()["connections"]
    async with browser(server, OWNER) as ada, channels(server, kernel, OWNER):
        connected = (await ada.get(f"/user/ada/api/kernels/{kernel}")).json()["connections"]

    assert (watched, connected) == (0, 1)


@VISITORS
async def test_there_is_nothing_to_watch_where_there_is_no_kernel(server: Launched, visitor: Mapping[str, str]) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with channels(server, str(uuid.uuid4()), visitor):
            pass

    assert refused.value.response.status_code == 404


# -- what the pages are told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visitor", "writable"),
    [
        pytest.param(READER, False, id="reader"),
        pytest.param(WRITER, True, id="writer"),
        pytest.param(OWNER, True, id="owner"),
    ],
)
async def test_nothing_is_writable_for_who_may_not_save(
    server: Launched,
    kernel: str,  # noqa: ARG001  # with a notebook
    visitor: Mapping[str, str],
    writable: bool,  # noqa: FBT001
) -> None:
    async with browser(server, visitor) as client:
        document = (await client.get("/user/ada/api/contents/a.ipynb?content=0")).json()
        folder = (await client.get("/user/ada/api/contents")).json()

    assert document["writable"] is folder["writable"] is writable
    assert {entry["writable"] for entry in folder["content"]} == {writable}


@pytest.mark.parametrize("path", ["lab", "tree"])
async def test_pages_know_who_visits_and_what_they_may(server: Launched, path: str) -> None:
    configs = []
    for visitor in (READER, WRITER, OWNER):
        async with browser(server, visitor) as client:
            configs.append(page_config((await client.get(f"/user/ada/{path}")).text))

    assert [config["hubUser"] for config in configs] == ["bob", "eve", "ada"]
    assert [config["hubServerUser"] for config in configs] == ["ada"] * 3
    assert [config["perijoveRights"] for config in configs] == ["read", "read write", "read write execute"]
    assert [config["terminalsAvailable"] for config in configs] == [False, False, True]
    assert all("@perijove/visiting" in json.dumps(config["federated_extensions"]) for config in configs)


async def test_a_page_that_is_refused_is_not_sent_round_to_the_hub(server: Launched) -> None:
    """
    The hub would let them in, and send them here again.
    """
    async with browser(server, {**READER, "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}) as bob:
        answer = await bob.get("/user/ada/nbconvert/html/a.ipynb")

    assert answer.status_code == 403
