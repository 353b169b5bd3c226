"""
TLS on the public port, over real sockets, on both loops.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import uvloop
from cryptography import x509

from perijove.proxy.config import TlsConfig
from perijove.proxy.core.limits import Limit
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.tls import CertificateFiles, ServerTls
from tests.integration.proxy.support import (
    CRLF2,
    PATIENCE,
    UPGRADE,
    Connection,
    LoopFactory,
    Response,
    Running,
    answering,
    echoing,
    ok,
    request,
    running,
    serving,
    until,
    websocket,
)
from tests.support.certificates import Authority

NAME = "hub.example.org"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=[uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """
    Both have a TLS of their own above OpenSSL.
    """
    factory: LoopFactory = request.param
    return factory


@asynccontextmanager
async def secure(
    loop_factory: LoopFactory, *certificates: CertificateFiles, timeouts: Timeouts | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """A proxy that speaks TLS."""
    tls = TlsConfig(public=ServerTls(certificates=certificates, **settings))
    async with running(loop_factory=loop_factory, tls=tls, timeouts=timeouts or Timeouts()) as proxy:
        yield proxy


@asynccontextmanager
async def visit(proxy: Running, context: ssl.SSLContext, *, name: str = NAME) -> AsyncIterator[Connection]:
    """A connection by TLS."""
    async with asyncio.timeout(PATIENCE):
        streams = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=context, server_hostname=name, limit=2**24)
    client = Connection(*streams)
    try:
        yield client
    finally:
        await client.gone()


async def ask_once(proxy: Running, context: ssl.SSLContext) -> Response:
    """One request; with TLS 1.3 a client learns only from the answer that it was refused."""
    async with visit(proxy, context) as client:
        client.send(request("/"))
        return await client.response()


def shown(client: Connection) -> x509.Certificate:
    """The certificate that the proxy showed."""
    return x509.load_der_x509_certificate(client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True))


def names(certificate: x509.Certificate) -> list[str]:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
async def test_a_request_by_https_arrives_and_says_so(
    authority: Authority, loop_factory: LoopFactory, kind: str
) -> None:
    async with (
        secure(loop_factory, authority.issue(NAME, rsa=kind == "rsa")) as proxy,
        serving(echoing()) as server,
        visit(proxy, authority.client()) as client,
    ):
        await proxy.route("/", server.url)
        client.send(request("/a"))
        first = await client.response()
        client.send(request("/b"))
        second = await client.response()

    assert b"X-Forwarded-Proto: https\r\n" in first.body
    assert b"X-Forwarded-Port: 443\r\n" in first.body
    assert second.body.startswith(b"GET /b ")


async def test_only_http_1_1_is_negotiated_and_nothing_is_compressed(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    context = authority.client()
    context.set_alpn_protocols(["h2", "http/1.1"])

    async with secure(loop_factory, authority.issue(NAME)) as proxy, visit(proxy, context) as client:
        tls = client.writer.get_extra_info("ssl_object")

        assert tls.selected_alpn_protocol() == "http/1.1"
        assert tls.version() == "TLSv1.3"
        assert tls.compression() is None


async def test_the_certificate_is_chosen_by_the_name_asked_for(authority: Authority, loop_factory: LoopFactory) -> None:
    """
    Exact before wildcard, a wildcard for one label, and the first for everybody else.
    """
    certificates = [authority.issue(name) for name in (NAME, "*.example.net", "b.example.net")]
    context = authority.client()
    context.check_hostname = False
    asked = {
        NAME: NAME,
        "A.example.net": "*.example.net",
        "b.example.net": "b.example.net",
        "x.a.example.net": NAME,
        "example.net": NAME,
        "": NAME,
    }

    async with secure(loop_factory, *certificates) as proxy:
        for name, expected in asked.items():
            async with visit(proxy, context, name=name) as client:
                assert names(shown(client)) == [expected], name


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=["1.0", "1.1"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_before_1_2_are_refused(
    authority: Authority, loop_factory: LoopFactory, version: ssl.TLSVersion
) -> None:
    context = authority.client()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("DEFAULT:@SECLEVEL=0")

    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        with pytest.raises(OSError):  # noqa: PT011  # an alert or a reset, as it falls
            async with visit(proxy, context):
                pass


@pytest.mark.parametrize("ciphers", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"])
async def test_a_cipher_without_forward_secrecy_or_authentication_is_refused(
    authority: Authority, loop_factory: LoopFactory, ciphers: str
) -> None:
    context = authority.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)

    async with secure(loop_factory, authority.issue(NAME), authority.issue(NAME, rsa=True)) as proxy:
        with pytest.raises(OSError):  # noqa: PT011  # an alert or a reset, as it falls
            async with visit(proxy, context):
                pass


@pytest.mark.parametrize("protocol", ["TLSv1_2", "TLSv1_3"])
async def test_one_protocol_alone_can_be_asked_for(
    authority: Authority, loop_factory: LoopFactory, protocol: str
) -> None:
    async with (
        secure(loop_factory, authority.issue(NAME), protocol=protocol) as proxy,
        visit(proxy, authority.client()) as client,
    ):
        assert client.writer.get_extra_info("ssl_object").version() == protocol.replace("_", ".")


async def test_a_new_certificate_is_shown_after_a_reload_and_open_connections_live_on(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    files = authority.issue(NAME)
    async with (
        secure(loop_factory, files) as proxy,
        serving(websocket) as server,
        visit(proxy, authority.client()) as old,
    ):
        await proxy.route("/", server.url)
        old.send(request("/", *UPGRADE))
        await old.read_head()

        authority.issue_into(files, NAME)
        await proxy.reload()

        async with visit(proxy, authority.client()) as new:
            assert shown(new).serial_number != shown(old).serial_number
        old.send(b"still here")
        assert await old.read(10) == b"still here"


async def test_a_broken_new_certificate_leaves_the_old_one_in_place(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    """
    Also a key that does not belong to it: the two files are not replaced in one step.
    """
    good, other = authority.issue(NAME), authority.issue("other.example.org")
    async with secure(loop_factory, good, other) as proxy, visit(proxy, authority.client()) as before:
        good.cert.write_bytes(other.cert.read_bytes())
        authority.issue_into(other, "fresh.example.org")

        with structlog.testing.capture_logs() as log:
            await proxy.reload()
        async with (
            visit(proxy, authority.client()) as after,
            visit(proxy, authority.client(), name="fresh.example.org"),
        ):
            assert shown(after) == shown(before)

    assert [entry["event"] for entry in log] == ["tls.not_reloaded", "proxy.reloaded"]
    assert "does not belong" in log[0]["reason"]


async def test_a_client_without_a_good_certificate_is_refused(
    authority: Authority, loop_factory: LoopFactory, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other").issue("mallory")
    settings: dict[str, Any] = {"client_ca": authority.path, "request_cert": True, "require_cert": True}
    async with secure(loop_factory, authority.issue(NAME), **settings) as proxy, serving(echoing()) as server:
        await proxy.route("/", server.url)
        friend = await ask_once(proxy, authority.client(authority.issue("ada")))
        assert friend.status == 200
        for certificate in (None, stranger):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await ask_once(proxy, authority.client(certificate))


async def test_plain_http_is_told_to_speak_https(authority: Authority, loop_factory: LoopFactory) -> None:
    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        client = await proxy.connect()
        client.send(request("/", "Cookie: a=" + "b" * 4000))
        response = await client.response()

        assert response.status == 400
        assert b"https" in response.body
        assert await client.is_closed()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["nothing", "a byte", "a start"])
async def test_a_handshake_that_is_not_finished_in_time_is_cut(
    authority: Authority, loop_factory: LoopFactory, sent: bytes
) -> None:
    async with secure(loop_factory, authority.issue(NAME), timeouts=Timeouts(head=0.3)) as proxy:
        client = await proxy.connect()
        client.send(sent)
        begin = time.monotonic()

        assert await client.is_closed()
        assert 0.2 < time.monotonic() - begin < 5


async def test_failed_handshakes_leave_no_traceback_and_no_descriptor(
    authority: Authority, loop_factory: LoopFactory, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    distrustful = Authority(tmp_path / "other").client()
    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        with structlog.testing.capture_logs() as log:
            for _ in range(5):
                with pytest.raises(ssl.SSLError):
                    async with visit(proxy, distrustful):
                        pass
                client = await proxy.connect()
                client.send(b"\x16\x03\x01\x00\x05hello")
                assert await client.is_closed()
                (await proxy.connect()).reset()
            await until(lambda: proxy.worker._handshakes.count == 0)

    assert {entry["event"] for entry in log} == {"tls.handshake_failed"}
    assert {entry["log_level"] for entry in log} == {"info"}
    assert not any("exc_info" in entry for entry in log)


async def test_bodies_pass_whole_in_both_directions(authority: Authority, loop_factory: LoopFactory) -> None:
    body = bytes(range(256)) * 16384
    async with (
        secure(loop_factory, authority.issue(NAME)) as proxy,
        serving(answering(lambda _, sent: ok(sent))) as server,
        visit(proxy, authority.client()) as client,
    ):
        await proxy.route("/", server.url)
        for _ in range(2):
            client.send(request("/", method="POST", body=body))
            assert (await client.response()).body == body


@pytest.mark.parametrize("length", [b"Content-Length: 8000000\r\n", b""], ids=["length", "until the end"])
async def test_a_slow_reader_gets_all_of_the_last_answer(
    authority: Authority, loop_factory: LoopFactory, length: bytes
) -> None:
    """
    Closing must not cut off what has been written but not yet read.
    """
    body = b"x" * 8_000_000
    head = b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"

    async def answer_once(connection: Connection) -> None:
        await connection.read_head()
        connection.send(head + body)
        await connection.writer.drain()

    async with (
        secure(loop_factory, authority.issue(NAME)) as proxy,
        serving(answer_once) as server,
        visit(proxy, authority.client()) as client,
    ):
        await proxy.route("/", server.url)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # streams have one for reading
        client.send(request("/", "Connection: close"))
        await asyncio.sleep(0.5)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        response = await client.response()

        assert len(response.body) == len(body)
        assert await client.is_closed()


async def test_an_early_answer_reaches_a_client_that_is_still_sending(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    async with secure(loop_factory, authority.issue(NAME)) as proxy, visit(proxy, authority.client()) as client:
        client.send(request("/..", method="POST", body=b"x" * 100_000)[:-50_000])
        response = await client.response()
        client.send(b"x" * 50_000)

        assert response.status == 400
        assert response.field("connection") == "close"
        assert await client.is_closed()


async def test_a_websocket_ends_on_both_sides_when_either_ends(authority: Authority, loop_factory: LoopFactory) -> None:
    """
    TLS as asyncio has it cannot be closed in one direction.
    """

    async def greet(connection: Connection) -> None:
        await connection.read_head()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket" + CRLF2)
        if await connection.read(4) == b"end?":
            connection.send(b"the last word")
            return
        await connection.read_all()
        ended.set()

    ended = asyncio.Event()
    async with secure(loop_factory, authority.issue(NAME)) as proxy, serving(greet) as server:
        await proxy.route("/", server.url)
        with structlog.testing.capture_logs() as log:
            async with visit(proxy, authority.client()) as client:
                client.send(request("/", *UPGRADE))
                await client.read_head()
                client.send(b"end?")
                assert await client.read_all() == b"the last word"
            async with visit(proxy, authority.client()) as client:
                client.send(request("/", *UPGRADE))
                await client.read_head()
                client.send(b"stay")
                client.close()
                async with asyncio.timeout(PATIENCE):
                    await ended.wait()
        await until(lambda: not proxy.worker._connections._tunnels)

    assert [entry for entry in log if entry["log_level"] in {"warning", "error"}] == []


async def test_a_connection_beyond_the_limit_is_closed_before_its_handshake(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        proxy.worker._connections.limits = replace(proxy.worker._connections.limits, clients=1)
        async with visit(proxy, authority.client()):
            await until(lambda: proxy.worker._handshakes.count == 0)
            second = await proxy.connect()
            begin = time.monotonic()

            assert await second.is_closed()
            assert time.monotonic() - begin < 5
        # The proxy hears of the end of the first later than the client that ended it.
        await until(lambda: not proxy.worker._connections._clients)
        async with visit(proxy, authority.client()):
            pass


async def test_connections_that_never_shake_hands_count_for_their_address(
    authority: Authority, loop_factory: LoopFactory
) -> None:
    """
    Else a stranger could hold as many descriptors as the handshake's deadline allows.
    """
    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        connections = proxy.worker._connections
        connections.limits = replace(connections.limits, per_address=2)
        # This very machine is many people, behind a web server: here it is to be one.
        proxy.worker._handshakes._address_of = str
        silent = [await proxy.connect() for _ in range(2)]
        await until(lambda: proxy.worker._handshakes.count == 2)
        one_more = await proxy.connect()

        assert await one_more.is_closed()
        assert (await proxy.statistics()).limits == {Limit.ADDRESS.value: 1}
        silent[0].close()
        await until(lambda: proxy.worker._handshakes.count == 1)
        async with visit(proxy, authority.client()):
            pass


async def test_nothing_listens_and_nothing_waits_after_the_end(authority: Authority, loop_factory: LoopFactory) -> None:
    async with secure(loop_factory, authority.issue(NAME)) as proxy:
        silent = await proxy.connect()
        await until(lambda: proxy.worker._handshakes.count == 1)
        await proxy.stop()

        assert await silent.is_closed()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", proxy.port)):
            pass
