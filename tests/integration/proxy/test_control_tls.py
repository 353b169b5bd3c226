"""
The control API over TLS, with client certificates, as JupyterHub's internal_ssl asks for it.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from perijove.proxy.config import TlsConfig
from perijove.proxy.net.tls import ServerTls
from tests.integration.proxy.support import PATIENCE, TOKEN, Connection, Response, Running, request, running
from tests.support.certificates import Authority


async def call(proxy: Running, context: ssl.SSLContext | None) -> Response:
    """One call, on a connection of its own."""
    async with asyncio.timeout(PATIENCE):
        streams = await asyncio.open_connection("127.0.0.1", proxy.control_port, ssl=context)
    client = Connection(*streams)
    try:
        client.send(request("/api/routes", f"Authorization: token {TOKEN}"))
        return await client.response()
    finally:
        await client.gone()


async def test_only_callers_with_a_good_certificate_and_the_token_are_answered(tmp_path: Path) -> None:
    for name in ("proxy", "hubs", "strangers"):
        (tmp_path / name).mkdir()
    own, hubs, strangers = (Authority(tmp_path / name) for name in ("proxy", "hubs", "strangers"))
    api = ServerTls(certificates=[own.issue("127.0.0.1")], client_ca=hubs.path, request_cert=True, require_cert=True)
    async with running(tls=TlsConfig(api=api)) as proxy:
        known = await call(proxy, own.client(hubs.issue("hub")))
        plain = await call(proxy, None)
        for certificate in (None, strangers.issue("hub")):
            with pytest.raises((OSError, asyncio.IncompleteReadError)):
                await call(proxy, own.client(certificate))

    assert known.status == 200
    assert plain.status == 400


async def test_its_certificate_is_read_again_on_reload(tmp_path: Path) -> None:
    own = Authority(tmp_path)
    files = own.issue("127.0.0.1")
    async with running(tls=TlsConfig(api=ServerTls(certificates=[files]))) as proxy:
        own.issue_into(files, "elsewhere.example.org")
        assert (await call(proxy, own.client())).status == 200
        await proxy.reload()
        with pytest.raises(ssl.SSLCertVerificationError):
            await call(proxy, own.client())


async def test_silent_connections_do_not_keep_others_out(tmp_path: Path) -> None:
    own = Authority(tmp_path)
    async with running(tls=TlsConfig(api=ServerTls(certificates=[own.issue("127.0.0.1")]))) as proxy:
        silent = [await proxy.connect_to_control() for _ in range(10)]

        assert (await call(proxy, own.client())).status == 200
        assert not any(client.reader.at_eof() for client in silent)
