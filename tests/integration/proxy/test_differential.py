"""
The same odd bytes through the proxy to several real servers.

The claim: either the proxy refuses, and the server has seen nothing of it; or the server has seen exactly the
requests that the proxy's own parser saw, in that order, and no more. (A server may refuse what the proxy lets
through: that is safe.)
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from perijove.wire.identity import IDENTITY_HEADER
from tests.integration.proxy.support import PATIENCE, Connection, Running, request, running
from tests.support.messages import HOST, LEGAL_REQUESTS, REFUSED_CHUNKS, REFUSED_HEADS, REFUSED_PATHS, head
from tests.support.reading import View, as_the_proxy_reads

ROOT: Final = Path(__file__).parents[3]
#: Stands in every path of the tables; replaced by the number of the case, which has as many digits.
PLACE: Final = b"ada"
LAST: Final = b"GET /user/ada/last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
AT_ONCE: Final = 8


def variants() -> list[bytes]:
    """Every mixture of the two ways to frame a body, and some of what has been used to hide one of them."""
    codings = [
        b"",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: Chunked ",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding: ,chunked",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer_Encoding: chunked",
        b"Transfer-Encoding\t: chunked",
        b"X: y\r\n Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-encoding: identity",
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
    ]
    lengths = [
        b"",
        b"Content-Length: 15",
        b"Content-Length: 015",
        b"Content_Length: 3",
        b"Content-Length: 3\r\nContent-Length: 15",
        b"Connection: Content-Length\r\nContent-Length: 15",
        b"Content-Length: 15\r\nExpect: 100-continue",
    ]
    versions = [b"POST /user/ada/x HTTP/1.1", b"POST /user/ada/x HTTP/1.0", b"GET /user/ada/x HTTP/1.1"]
    body = b"5\r\nhello\r\n0\r\n\r\n"
    return [
        head(*[line for line in (coding, length) if line], start=start) + (body if coding or length else b"")
        for coding, length, start in itertools.product(codings, lengths, versions)
    ]


def forgeries() -> list[bytes]:
    """Ways to say who one is; whoever comes through a door that is off may not, either."""
    name = IDENTITY_HEADER.encode()
    lines = [
        name + b": forged",
        name.lower() + b":forged",
        name.upper() + b": forged",
        name.replace(b"-", b"_") + b": forged",
        name.replace(b"-", b"_", 1) + b": forged",
        name + b" : forged",
        b" " + name + b": forged",
        b"A: b\r\n " + name + b": forged",
        b"A: b\r" + name + b": forged",
        b"A: b\n" + name + b": forged",
        b"A: b\0\r\n" + name + b": forged",
        b"Connection: a\r\n" + name + b": forged",
        b"Connection: " + name + b"\r\n" + name + b": forged",
        name + b":\r\n forged",
        name + b": forged\r\n" + name + b": forged, too",
    ]
    chunked, last = b"Transfer-Encoding: chunked", b"2\r\nok\r\n0"
    return [
        *(head(line, start=b"GET /user/ada/x HTTP/1.1") for line in lines),
        *(head(chunked) + last + b"\r\n" + line + b"\r\n\r\n" for line in lines),
        *(head(chunked, b"Trailer: " + name) + last + b";" + line + b"\r\n\r\n" for line in lines),
    ]


def cases() -> list[bytes]:
    """All streams, each with a last request behind it."""
    streams = [
        *(case.data for case in REFUSED_HEADS),
        *(start + body for _, start, body in REFUSED_CHUNKS),
        *(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n" for path in REFUSED_PATHS),
        *(case.data for case in LEGAL_REQUESTS),
        *variants(),
        *forgeries(),
    ]
    return [(stream + LAST).replace(PLACE, b"%03d" % number) for number, stream in enumerate(streams)]


@asynccontextmanager
async def process(*argv: str) -> AsyncIterator[str]:
    """A back end that prints its port; answers its address."""
    child = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, stdout=PIPE, stdin=DEVNULL)
    try:
        assert child.stdout is not None
        async with asyncio.timeout(PATIENCE):
            port = int(await child.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        await child.communicate()


def python(module: str, *arguments: str) -> Callable[[Path], AbstractAsyncContextManager[tuple[str, str]]]:
    @asynccontextmanager
    async def start(_: Path) -> AsyncIterator[tuple[str, str]]:
        async with process(sys.executable, "-m", f"tests.support.backends.{module}", *arguments) as url:
            yield url, url

    return start


@asynccontextmanager
async def node(_: Path) -> AsyncIterator[tuple[str, str]]:
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed (apt install nodejs)")
    async with process(program, str(ROOT / "tests" / "support" / "backends" / "node.mjs")) as url:
        yield url, url


NGINX_CONF: Final = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 512; }}
http {{
  access_log off; large_client_header_buffers 8 64k; merge_slashes off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen unix:{folder}/socket;
    location / {{ proxy_pass {recorder}; proxy_http_version 1.1; proxy_set_header Host $http_host; }}
  }}
}}
"""


@asynccontextmanager
async def nginx(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """nginx, which says by what it passes on what it has read."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        pytest.skip("nginx is not installed (apt install nginx-light)")
    async with process(sys.executable, "-m", "tests.support.backends.plain_h11") as recorder:
        config = folder / "nginx.conf"
        config.write_text(NGINX_CONF.format(folder=folder, recorder=recorder))
        child = await asyncio.create_subprocess_exec(program, "-c", str(config), "-e", str(folder / "error.log"))
        try:
            async with asyncio.timeout(PATIENCE):
                while not (folder / "socket").exists():  # noqa: ASYNC110  # nginx tells nobody
                    await asyncio.sleep(0.01)
            yield "http+unix://" + str(folder / "socket").replace("/", "%2F"), recorder
        finally:
            child.kill()
            await child.wait()


BACKENDS: Final[dict[str, Callable[[Path], AbstractAsyncContextManager[tuple[str, str]]]]] = {
    "h11": python("plain_h11"),
    "aiohttp": python("with_aiohttp"),
    "tornado": python("with_tornado"),
    "uvicorn-h11": python("with_uvicorn", "h11"),
    "uvicorn-httptools": python("with_uvicorn", "httptools"),
    "node": node,
    "nginx": nginx,
}


async def say(proxy: Running, data: bytes) -> bytes:
    """Everything that comes back until the proxy ends the connection."""
    client = await proxy.connect()
    client.send(data)
    try:
        return await client.read_all()
    except ConnectionError:
        return b""
    except TimeoutError as exc:
        raise AssertionError(f"no end of the answer to {data[:500]!r}") from exc


async def seen_by(recorder: str) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(recorder.rpartition(":")[2]), limit=2**24)
    client = Connection(reader, writer)
    client.send(request("/seen", "Connection: close"))
    answer = await client.response()
    await client.gone()
    found: list[dict[str, Any]] = answer.json()
    return found


def view_of(raw: dict[str, Any]) -> View:
    # httptools leaves the space behind a value, which means nothing.
    fields = tuple((name.encode("latin-1"), value.strip(" \t").encode("latin-1")) for name, value in raw["fields"])
    return View(raw["method"].encode(), raw["target"].encode("latin-1"), raw["body"].encode("latin-1"), fields)


def told(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[bytes, bytes]]:
    """*fields* without those that the proxy adds."""
    return sorted((name, value) for name, value in fields if not name.startswith(b"x-forwarded-"))


def bare(views: list[View]) -> list[tuple[bytes, bytes, bytes]]:
    return [(view.method, view.target, view.body) for view in views]


def problems(name: str, data: bytes, answer: bytes, seen: list[View]) -> list[str]:
    """What contradicts the claim."""
    expected = as_the_proxy_reads(data)
    found = []
    left = list(expected)
    for view in seen:
        # What the server itself refused is left out, in order.
        while left and bare(left[:1]) != bare([view]):
            left.pop(0)
        if not left:
            found.append(f"{name} saw {bare([view])} in {data[:300]!r}; the proxy saw {bare(expected)}")
            break
        wanted = left.pop(0)
        # nginx tells of fields what it passes on.
        if name != "nginx" and told(wanted.fields) != told(view.fields):
            found.append(
                f"{name} saw fields {told(view.fields)} in {data[:300]!r}; the proxy sent {told(wanted.fields)}"
            )
    # One that the server refuses may take those behind it along.
    if len(seen) < len(expected) and b"HTTP/1.1 4" not in answer and b"HTTP/1.1 5" not in answer:
        found.append(f"{name} saw {bare(seen)} of {bare(expected)} and refused nothing: {answer!r}")
    return found


def test_there_is_enough_to_tell_apart() -> None:
    streams = cases()
    refused = [data for data in streams if not as_the_proxy_reads(data)]

    assert len(streams) > 400
    assert len(streams) < 1000
    assert len(refused) > 300
    assert len(streams) - len(refused) > 60


@pytest.mark.parametrize("name", BACKENDS)
async def test_no_server_reads_what_the_proxy_did_not(name: str, tmp_path: Path) -> None:
    streams = cases()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(proxy: Running, data: bytes) -> bytes:
        async with gate:
            return await say(proxy, data)

    async with BACKENDS[name](tmp_path) as (url, recorder), running() as proxy:
        await proxy.route("/user", url)
        answers = await asyncio.gather(*(one(proxy, data) for data in streams))
        seen = [view_of(raw) for raw in await seen_by(recorder)]

    by_case = [[view for view in seen if view.target.startswith(b"/user/%03d/" % n)] for n in range(len(streams))]
    assert sum(map(len, by_case)) == len(seen), [view for view in seen if not view.target.startswith(b"/user/")]
    found = [
        line
        for data, answer, views in zip(streams, answers, by_case, strict=True)
        for line in problems(name, data, answer, views)
    ]
    assert found == [], "\n".join(found)
    names = {name.replace(b"_", b"-") for view in seen for name, _ in view.fields}
    assert IDENTITY_HEADER.lower().encode() not in names
