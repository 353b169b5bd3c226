"""
A certificate from a real ACME server: obtained, shown, renewed under an open WebSocket.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import ssl
import stat
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from perijove.proxy.acme.storage import account_key_in, certificate_in, challenges_in
from tests.integration.proxy.support import PATIENCE, UPGRADE, Connection, Response, request, serving, websocket
from tests.support.pebble import BLOCKED, Pebble, running_pebble
from tests.support.site import free_port

NAME = "hub.example.test"
SOURCE = str(Path(__file__).parents[3] / "src")


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with running_pebble(tmp_path_factory.mktemp("pebble")) as started:
        yield started


class Served:
    """`perijove proxy` with a certificate that it obtains itself."""

    def __init__(self, pebble: Pebble, child: Process, folder: Path, port: int) -> None:
        self.folder = folder
        self.child = child
        self._pebble = pebble
        self._port = port
        self._log = ""

    async def says(self, event: str) -> str:
        """Read its log until *event*; answers that line."""
        assert self.child.stderr is not None
        line = ""
        while event not in line:
            try:
                async with asyncio.timeout(PATIENCE):
                    line = (await self.child.stderr.readline()).decode()
            except TimeoutError:
                line = ""
            assert line, self._log
            self._log += line
        return line

    async def connect(self, name: str = NAME) -> Connection:
        """By https, trusting nobody but Pebble."""
        context = ssl.create_default_context(cafile=str(self._pebble.root))
        async with asyncio.timeout(PATIENCE):
            return Connection(
                *await asyncio.open_connection("127.0.0.1", self._port, ssl=context, server_hostname=name)
            )

    async def serial(self, name: str = NAME) -> int:
        """Of the certificate that new handshakes get."""
        client = await self.connect(name)
        shown = client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        await client.gone()
        return x509.load_der_x509_certificate(shown).serial_number

    async def plain(self, target: str) -> Response:
        """One request to the port for plain HTTP."""
        client = Connection(*await asyncio.open_connection("127.0.0.1", self._pebble.http_port))
        client.send(request(target, host=NAME))
        response = await client.response()
        await client.gone()
        return response


@asynccontextmanager
async def serving_with(
    pebble: Pebble, folder: Path, *flags: str, names: tuple[str, ...] = (NAME,)
) -> AsyncIterator[Served]:
    """The command, killed at the end."""
    port = free_port()
    words = [
        *("--ip", "127.0.0.1", "--port", str(port), "--api-socket", str(folder / "c")),
        *("--redirect-port", str(pebble.http_port), "--acme-dir", str(folder / "acme"), "--acme-agree-tos"),
        *("--acme-server", pebble.directory, "--acme-ca", str(pebble.ca), "--acme-email", "admin@example.test"),
        *(word for name in names for word in ("--acme-domain", name)),
        *flags,
    ]
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "perijove", "proxy"),
        *words,
        env=os.environ | {"PYTHONPATH": SOURCE},
        stderr=PIPE,
        stdin=DEVNULL,
    )
    try:
        yield Served(pebble, child, folder / "acme", port)
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


def nearly_ended(names: tuple[str, ...] = (NAME,)) -> bytes:
    """A certificate with key that must be renewed, from somebody else."""
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    issued = trustme.CA().issue_cert(*names, not_after=soon)
    return b"".join(blob.bytes() for blob in (*issued.cert_chain_pems, issued.private_key_pem))


async def test_a_certificate_is_obtained_and_renewed_while_a_websocket_lives_on(pebble: Pebble, tmp_path: Path) -> None:
    async with (
        serving(websocket) as server,
        serving_with(pebble, tmp_path, "--default-target", server.url, names=(NAME, "b.example.test")) as proxy,
    ):
        await proxy.says("acme.obtained")
        first = await proxy.serial()
        assert await proxy.serial("b.example.test") == first
        open_one = await proxy.connect()
        open_one.send(request("/", *UPGRADE))
        assert (await open_one.response()).status == 101

        certificate_in(proxy.folder).write_bytes(nearly_ended((NAME, "b.example.test")))
        proxy.child.send_signal(signal.SIGHUP)
        await proxy.says("acme.obtained")

        assert await proxy.serial() != first
        open_one.send(b"still here")
        assert await open_one.read(10) == b"still here"
        await open_one.gone()
        sent_on = await proxy.plain("/user/ada/")
        assert sent_on.status == 301
        assert list(challenges_in(proxy.folder).iterdir()) == []
        modes = [stat.S_IMODE(path(proxy.folder).stat().st_mode) for path in (certificate_in, account_key_in)]
        assert modes == [0o600, 0o600]
        assert stat.S_IMODE(proxy.folder.stat().st_mode) == 0o700


async def test_a_certificate_at_hand_is_used_at_once_and_not_renewed_too_soon(pebble: Pebble, tmp_path: Path) -> None:
    """
    Authorities limit how often one may ask.
    """
    async with serving_with(pebble, tmp_path) as proxy:
        await proxy.says("acme.obtained")
        first = await proxy.serial()
    async with serving_with(pebble, tmp_path) as proxy:
        await proxy.says("proxy.listening")
        assert await proxy.serial() == first
        proxy.child.send_signal(signal.SIGHUP)
        await proxy.says("proxy.reloaded")

        assert await proxy.serial() == first


async def test_until_there_is_a_certificate_nobody_is_shown_a_worthless_one(pebble: Pebble, tmp_path: Path) -> None:
    """
    The authority cannot be reached here: the log says so and when it is tried again; the port for plain HTTP says
    that there is nothing yet.
    """
    dead = f"https://127.0.0.1:{free_port()}/dir"
    async with serving_with(pebble, tmp_path, "--acme-server", dead) as proxy:
        line = await proxy.says("acme.failed")
        with pytest.raises(OSError):  # noqa: PT011  # an alert or a reset, as it falls
            await proxy.connect()
        waiting = await proxy.plain("/")

    assert "retry_in=6" in line
    assert waiting.status == 503
    assert waiting.field("retry-after")


async def test_an_authority_that_refuses_is_quoted(pebble: Pebble, tmp_path: Path) -> None:
    async with serving_with(pebble, tmp_path, names=(BLOCKED,)) as proxy:
        line = await proxy.says("acme.failed")

    assert "policy" in line.lower()
    assert "Traceback" not in line


async def test_an_authority_that_does_not_find_its_challenge_is_quoted(pebble: Pebble, tmp_path: Path) -> None:
    """
    The usual mistake: port 80 of that name is somebody else's.
    """
    async with serving_with(pebble, tmp_path, "--redirect-port", str(free_port())) as proxy:
        line = await proxy.says("acme.failed")

    assert f"{NAME}: " in line
    assert "connection refused" in line
    assert not list(challenges_in(proxy.folder).iterdir())
