"""
What configurable-http-proxy can change in requests and answers, as its documentation says it.
"""

from __future__ import annotations

from typing import Any

import pytest

from perijove.proxy.core.passing import Passing
from perijove.proxy.core.relocation import Relocation
from tests.integration.proxy.support import Upstream, answering, echoing, ok, running, serving


async def seen(passing: Passing, *lines: str, **route: Any) -> str:
    """The head that a server gets, in lower case."""
    async with serving(echoing()) as server, running(passing=passing) as proxy:
        await proxy.route("/", server.url, **route)
        head = (await proxy.ask("/x", *lines)).body.decode().lower()
    return head.replace(server.url.removeprefix("http://"), "<server>")


async def test_a_custom_header_replaces_a_clients_own() -> None:
    head = await seen(Passing(fields=b"X-Team: a\r\nX-Forwarded-Proto: https\r\n"), "x-team: b", "X-Other: c")

    assert head.count("x-team:") == head.count("x-forwarded-proto:") == 1
    assert "x-team: a\r\n" in head
    assert "x-forwarded-proto: https\r\n" in head
    assert "x-other: c\r\n" in head


async def test_servers_are_asked_for_what_the_client_asked_for() -> None:
    assert "host: hub.example.org\r\n" in await seen(Passing())


async def test_with_changed_origin_they_are_asked_by_their_own_name() -> None:
    head = await seen(Passing(change_origin=True))

    assert head.count("\r\nhost:") == 1
    assert "\r\nhost: <server>\r\n" in head
    assert "x-forwarded-host: hub.example.org\r\n" in head


def redirecting(status: bytes) -> Any:
    upstreams: list[Upstream] = []

    def answer(_head: bytes, _body: bytes) -> bytes:
        return ok(b"", b"Location: " + upstreams[0].url.encode() + b"/there?x=1", status=status)

    return upstreams, answering(answer)


@pytest.mark.parametrize(
    ("relocation", "status", "location"),
    [
        (Relocation(), b"302 Found", "{server}/there?x=1"),
        (Relocation(host=True), b"302 Found", "http://hub.example.org/there?x=1"),
        (Relocation(host=True), b"201 Created", "http://hub.example.org/there?x=1"),
        (Relocation(host=True, scheme=b"https"), b"308 Permanent Redirect", "https://hub.example.org/there?x=1"),
        (Relocation(host=True), b"200 OK", "{server}/there?x=1"),
    ],
)
async def test_redirects_of_a_server_to_itself(relocation: Relocation, status: bytes, location: str) -> None:
    upstreams, handler = redirecting(status)
    async with serving(handler) as server, running(passing=Passing(relocation=relocation)) as proxy:
        upstreams.append(server)
        await proxy.route("/", server.url)
        answer = await proxy.ask("/here")

    assert answer.field("location") == location.format(server=server.url)


async def test_error_pages_of_an_administrator() -> None:
    pages = {"404": b"<p>none here", "error": b"<p>broken"}
    async with running(error_pages=pages) as proxy:
        await proxy.route("/down", "http://127.0.0.1:1")
        missing, down = await proxy.ask("/missing"), await proxy.ask("/down")

    assert (missing.status, missing.body, missing.field("content-type")) == (404, b"<p>none here", "text/html")
    assert (down.status, down.body) == (503, b"<p>broken")
