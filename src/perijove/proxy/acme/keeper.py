"""
Keeps a certificate good: looks at it now and then, and has a process obtain the next one in time.

The library for that is heavy (it brings requests), so it never enters the proxy: a process of its own, as the same
user, which ends when it is done. Nothing that goes wrong here touches the traffic.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import structlog

from perijove.kit.clock import Clock
from perijove.kit.process import die_with_parent
from perijove.proxy.acme.settings import AcmeSettings
from perijove.proxy.acme.storage import read_validity
from perijove.proxy.core.renewal import FIRST_PAUSE, is_due, pause_after_failure, pause_after_success

log = structlog.get_logger(__name__)

#: Runs `perijove acme` with this interpreter. -P: never import from the working directory.
COMMAND: Final = (sys.executable, "-P", "-m", "perijove", "acme")
#: Seconds after which that process is ended by force; it sets itself shorter deadlines.
PATIENCE_SECONDS: Final = 300.0
#: Bytes of what it says that are logged.
MAX_WORDS: Final = 2000
#: Variables with the proxy's secrets and sockets.
_OWN_VARIABLES: Final = ("CONFIGPROXY_", "PERIJOVE_")


class Obtains(Protocol):
    """Who obtains a certificate."""

    async def __call__(self) -> str:
        """Obtain one and store it; answers why that did not work, or nothing."""
        ...


class Keeper:
    """Looks, obtains, waits; for ever."""

    def __init__(
        self,
        *,
        settings: AcmeSettings,
        clock: Clock,
        luck: Callable[[], float],
        obtain: Obtains,
        install: Callable[[], Awaitable[None]],
    ) -> None:
        """
        Args:
            settings: what is wanted.
            clock: the time.
            luck: from 0 to 1, at random.
            obtain: gets a new certificate into the folder.
            install: has the running proxy use it.
        """
        self._settings = settings
        self._clock = clock
        self._luck = luck
        self._obtain = obtain
        self._install = install
        self._failures = 0
        self._asked = asyncio.Event()

    def look_now(self) -> None:
        """Look at once instead of at the next time."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._asked.clear()
            try:
                pause = await self.look()
            # A supervisor: whatever goes wrong once, the certificate must still be renewed.
            except Exception:
                log.exception("acme.broken", retry_in=FIRST_PAUSE)
                pause = FIRST_PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._asked.wait()

    async def look(self) -> float:
        """Look once, and renew if it is time; answers the seconds until the next look."""
        domains = self._settings.domains
        if is_due(read_validity(self._settings.folder), domains, now=self._now()):
            reason = await self._obtain()
            if not reason and is_due(read_validity(self._settings.folder), domains, now=self._now()):
                reason = "The authority's certificate is for other names, or ends too soon to be of use."
            if reason:
                self._failures += 1
                pause = pause_after_failure(self._failures, luck=self._luck())
                log.error("acme.failed", domains=domains, reason=reason, retry_in=round(pause))
                return pause
            await self._install()
            log.info("acme.obtained", domains=domains)
        self._failures = 0
        validity = read_validity(self._settings.folder)
        return pause_after_success(validity, now=self._now(), luck=self._luck()) if validity else FIRST_PAUSE

    def _now(self) -> float:
        return self._clock.now().timestamp()


class OwnProcess:
    """Obtains by `perijove acme`."""

    def __init__(self, settings: AcmeSettings, environ: Mapping[str, str]) -> None:
        """
        Args:
            settings: what is wanted.
            environ: of this process; what is the proxy's own in it is not passed on.
        """
        self._words = words_of(settings)
        self._environ = {name: value for name, value in environ.items() if not name.startswith(_OWN_VARIABLES)}

    async def __call__(self) -> str:
        """Part of `Obtains`."""
        with tempfile.TemporaryFile() as said:
            # Not asyncio's way, which would start a thread to wait with: a process with threads cannot be copied,
            # and workers that die meanwhile must be replaced.
            process = subprocess.Popen(  # noqa: ASYNC220, S603  # as quick as a fork; our own program and words
                [*COMMAND, *self._words],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one thread here, so this is safe
            )
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await _end_of(process.pid)
            except TimeoutError:
                return f"Nothing was heard of the authority for {PATIENCE_SECONDS:.0f} s."
            finally:
                process.kill()
                status = process.wait()
            said.seek(0)
            words = said.read()[-MAX_WORDS:].decode(errors="replace").strip()
        return "" if status == 0 else words or f"exit status {status}"


async def _end_of(pid: int) -> None:
    """Until the child *pid* has ended; it is still to be waited for."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def words_of(settings: AcmeSettings) -> tuple[str, ...]:
    """The flags of `perijove acme` that say the same as *settings*."""
    domains = [word for domain in settings.domains for word in ("--acme-domain", domain)]
    more = {"--acme-email": settings.email, "--acme-ca": str(settings.ca or "")}
    return (
        *domains,
        *("--acme-server", settings.server),
        *("--acme-dir", str(settings.folder)),
        "--acme-agree-tos",
        *(word for flag, value in more.items() if value for word in (flag, value)),
    )
