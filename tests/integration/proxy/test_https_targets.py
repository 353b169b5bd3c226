"""
Servers behind the proxy, and a hub, that speak https.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from perijove.proxy.config import TlsConfig
from perijove.proxy.core.targets import parse_target
from perijove.proxy.net.tls import CertificateFiles, ClientTls
from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Handler,
    answering,
    echoing,
    ok,
    request,
    running,
    serving,
    websocket,
)
from tests.support.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def server_context(files: CertificateFiles, *, clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    if clients is not None:
        context.load_verify_locations(clients.path)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def serving_https(handler: Handler, context: ssl.SSLContext) -> AsyncIterator[str]:
    """An https server; answers its URL."""
    opened: list[Connection] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        opened.append(connection)
        try:
            await handler(connection)
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for connection in opened:
            await connection.gone()


async def test_a_server_with_a_good_certificate_is_reached_and_its_connection_kept(authority: Authority) -> None:
    seen: list[bytes] = []
    context = server_context(authority.issue("127.0.0.1"))
    async with (
        serving_https(answering(lambda _, body: ok(body), seen), context) as url,
        running(tls=TlsConfig(client=ClientTls(ca=authority.path))) as proxy,
    ):
        await proxy.route("/", url)
        client = await proxy.connect()
        for body in (b"first", b"x" * 1_000_000):
            client.send(request("/", method="POST", body=body))
            assert (await client.response()).body == body

        assert len(seen) == 2
        assert len(proxy.worker._pool._idle) == 1


async def test_a_websocket_passes(authority: Authority) -> None:
    context = server_context(authority.issue("127.0.0.1"))
    async with (
        serving_https(websocket, context) as url,
        running(tls=TlsConfig(client=ClientTls(ca=authority.path))) as proxy,
    ):
        await proxy.route("/", url)
        client = await proxy.connect()
        client.send(request("/", *UPGRADE))
        assert (await client.response()).status == 101
        client.send(b"ping")

        assert await client.read(4) == b"ping"


async def test_a_server_that_cannot_prove_who_it_is_gets_no_request(authority: Authority, tmp_path: Path) -> None:
    """
    Another authority's certificate, or another name's: what a client sent must not reach it.
    """
    (tmp_path / "other").mkdir()
    seen: list[bytes] = []
    impostors = [Authority(tmp_path / "other").issue("127.0.0.1"), authority.issue("10.0.0.1")]
    for impostor in impostors:
        async with (
            serving_https(answering(lambda *_: ok(), seen), server_context(impostor)) as url,
            running(tls=TlsConfig(client=ClientTls(ca=authority.path))) as strict,
            running(tls=TlsConfig(client=ClientTls(ca=authority.path, verify=False))) as insecure,
        ):
            for proxy in (strict, insecure):
                await proxy.route("/", url)

            assert (await strict.ask()).status == 503
            assert seen == []
            assert (await insecure.ask()).status == 200
            seen.clear()


async def test_without_authorities_of_its_own_the_systems_count(authority: Authority) -> None:
    context = server_context(authority.issue("127.0.0.1"))
    async with serving_https(echoing(), context) as url, running() as proxy:
        await proxy.route("/", url)

        assert (await proxy.ask()).status == 503


async def test_a_server_that_asks_sees_the_proxys_certificate(authority: Authority, tmp_path: Path) -> None:
    """
    As JupyterHub's internal_ssl has it.
    """
    (tmp_path / "proxies").mkdir()
    proxies = Authority(tmp_path / "proxies")
    context = server_context(authority.issue("127.0.0.1"), clients=proxies)
    known = ClientTls(ca=authority.path, certificate=proxies.issue("proxy-client"))
    async with (
        serving_https(echoing(), context) as url,
        running(tls=TlsConfig(client=known)) as proxy,
        running(tls=TlsConfig(client=ClientTls(ca=authority.path))) as nobody,
    ):
        await proxy.route("/", url)
        await nobody.route("/", url)

        assert (await proxy.ask()).status == 200
        assert (await nobody.ask()).status == 503


async def test_a_plain_and_an_encrypted_route_to_one_address_share_no_connection(authority: Authority) -> None:
    """
    A request for the https server must not go out in the clear on a connection that the other route left.
    """
    async with (
        serving(echoing()) as plain,
        running(tls=TlsConfig(client=ClientTls(ca=authority.path))) as proxy,
    ):
        await proxy.route("/plain", plain.url)
        await proxy.route("/safe", plain.url.replace("http:", "https:"))

        assert (await proxy.ask("/plain")).status == 200
        assert (await proxy.ask("/safe")).status == 503


async def test_error_pages_come_from_an_https_hub(authority: Authority) -> None:
    page = ok(b"<p>gone</p>", b"Content-Type: text/html")
    context = server_context(authority.issue("127.0.0.1"))
    async with (
        serving_https(answering(lambda *_: page), context) as url,
        running(
            tls=TlsConfig(client=ClientTls(ca=authority.path)), error_targets=(parse_target(f"{url}/hub/error"),)
        ) as proxy,
    ):
        response = await proxy.ask("/nothing")

        assert (response.status, response.body) == (404, b"<p>gone</p>")


async def test_the_certificate_for_servers_is_read_again_on_reload(authority: Authority, tmp_path: Path) -> None:
    context = server_context(authority.issue("127.0.0.1"), clients=authority)
    files = CertificateFiles(cert=tmp_path / "own.pem", key=tmp_path / "own-key.pem")
    (tmp_path / "other").mkdir()
    Authority(tmp_path / "other").issue_into(files, "proxy-client")
    async with (
        serving_https(echoing(), context) as url,
        running(tls=TlsConfig(client=ClientTls(ca=authority.path, certificate=files))) as proxy,
    ):
        await proxy.route("/", url)
        refused = await proxy.ask()
        authority.issue_into(files, "proxy-client")
        await proxy.reload()

        assert refused.status == 503
        assert (await proxy.ask()).status == 200
