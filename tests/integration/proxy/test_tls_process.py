"""
TLS of the whole process: several workers, signals, what the log says.
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from cryptography import x509

from perijove.proxy.net.tls import CertificateFiles
from tests.integration.proxy.support import PATIENCE, UPGRADE, Connection, listening, request, serving, until, websocket
from tests.integration.proxy.test_process import process, started
from tests.support.certificates import Authority

NAME = "hub.example.org"
WORKERS = 3


class Secure:
    """A proxy with several workers that speak https."""

    def __init__(self, child: Process, port: int, authority: Authority) -> None:
        self.child = child
        self.port = port
        self._authority = authority

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.child.pid).children()

    async def connect(self) -> Connection:
        async with asyncio.timeout(PATIENCE):
            return Connection(
                *await asyncio.open_connection(
                    "127.0.0.1", self.port, ssl=self._authority.client(), server_hostname=NAME
                )
            )

    async def serials(self) -> set[int]:
        """Of the certificates that many new connections at once are shown; each worker gets some of them."""
        clients = [await self.connect() for _ in range(30)]
        shown = [client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True) for client in clients]
        for client in clients:
            await client.gone()
        return {x509.load_der_x509_certificate(der).serial_number for der in shown}

    async def says(self, event: str) -> str:
        assert self.child.stderr is not None
        line = ""
        async with asyncio.timeout(PATIENCE):
            while event not in line:
                line = (await self.child.stderr.readline()).decode()
                assert line
        return line


@asynccontextmanager
async def secure(authority: Authority, files: CertificateFiles, *flags: str) -> AsyncIterator[Secure]:
    tls = ("--ssl-cert", str(files.cert), "--ssl-key", str(files.key))
    where = ("--ip", "127.0.0.1", "--port", "0", "--api-socket", str(files.cert.parent / "control"))
    async with process(*flags, *tls, *where, "--workers", str(WORKERS)) as child:
        port = re.search(r"https://127\.0\.0\.1:(\d+)", await started(child))
        assert port is not None
        yield Secure(child, int(port[1]), authority)


async def test_all_workers_show_the_new_certificate_and_keep_what_is_open(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue(NAME)
    async with serving(websocket) as server, secure(authority, files, "--default-target", server.url) as proxy:
        before = await proxy.serials()
        open_ones = [await proxy.connect() for _ in range(10)]
        for client in open_ones:
            client.send(request("/", *UPGRADE))
            await client.read_head()
        authority.issue_into(files, NAME)
        proxy.child.send_signal(signal.SIGHUP)
        await proxy.says("proxy.reloaded")
        after = await proxy.serials()
        for client in open_ones:
            client.send(b"still here")
            assert await client.read(10) == b"still here"
            await client.gone()

    assert len(before) == len(after) == 1
    assert before != after


async def test_a_worker_that_comes_later_has_the_last_good_certificate(tmp_path: Path) -> None:
    """
    Whatever has become of the files since.
    """
    authority = Authority(tmp_path)
    files = authority.issue(NAME)
    async with secure(authority, files) as proxy:
        before = await proxy.serials()
        files.cert.write_text("spilt coffee")
        proxy.child.send_signal(signal.SIGHUP)
        complaint = await proxy.says("tls.not_reloaded")
        old = {worker.pid for worker in proxy.workers()}
        for worker in proxy.workers():
            worker.kill()
        await until(lambda: len({worker.pid for worker in proxy.workers()} - old) == WORKERS)

        assert await proxy.serials() == before
    assert str(files.cert) in complaint


async def test_a_session_is_resumed_by_any_worker(tmp_path: Path) -> None:
    """
    A browser's second connection may come to another worker than its first.
    """
    authority = Authority(tmp_path)
    files = authority.issue(NAME)
    async with secure(authority, files, "--ssl-protocol", "TLSv1_2") as proxy:
        resumed = await asyncio.to_thread(_resume, authority.client(), proxy.port)

    assert resumed == [True] * 20


def _resume(context: ssl.SSLContext, port: int) -> list[bool]:
    """Whether each of some connections could go on with the session of the first."""
    sessions: list[bool] = []
    first: ssl.SSLSession | None = None
    for _ in range(21):
        with (
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=NAME, session=first) as client,
        ):
            if first is None:
                first = client.session
            else:
                sessions.append(bool(client.session_reused))
    return sessions


async def test_a_key_that_everybody_may_read_is_warned_of(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue(NAME)
    files.key.chmod(0o644)
    async with secure(authority, files) as proxy:
        line = await proxy.says("proxy.key_is_open")

    assert str(files.key) in line


@pytest.mark.parametrize("missing", ["cert", "key"])
async def test_a_file_that_is_missing_stops_the_start_in_words(tmp_path: Path, missing: str) -> None:
    files = Authority(tmp_path).issue(NAME)
    path = files.cert if missing == "cert" else files.key
    path.rename(tmp_path / "elsewhere")
    public = listening()
    flags = ("--ssl-cert", str(files.cert), "--ssl-key", str(files.key), "--api-socket", str(tmp_path / "c"))
    with public:
        async with process(*flags, fds={"public": public}) as child:
            async with asyncio.timeout(PATIENCE):
                _, errors = await child.communicate()

    assert child.returncode == 1
    assert f"{path}: there is no such file" in errors.decode()
    assert "Traceback" not in errors.decode()


async def test_a_setting_that_needs_a_restart_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue(NAME)
    settings = tmp_path / "proxy.toml"
    settings.write_text("")
    async with secure(authority, files, "--config", str(settings)) as proxy:
        settings.write_text("redirect-port = 8080\n")
        proxy.child.send_signal(signal.SIGHUP)
        line = await proxy.says("proxy.needs_restart")
        still = await proxy.serials()

    assert "tls" in line
    assert len(still) == 1
