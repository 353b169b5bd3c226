"""
Looks whether services answer (contract g, `service_check_interval`), and logs it when one ceases to, or does again.

Nothing else comes of it: a service that does not answer stays where it is.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from perijove.hub.domain.roles import Service
from perijove.hub.domain.urls import service_url
from perijove.hub.ports import Prober
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.services import ServiceDirectory

log = structlog.get_logger(__name__)

#: seconds that a service gets to answer
ANSWER_SECONDS: Final = 5.0
#: services that are asked at once
AT_ONCE: Final = 8


class CheckServices:
    """`run` looks again and again."""

    def __init__(self, *, directory: ServiceDirectory, prober: Prober, base_url: str, every: float) -> None:
        self._directory = directory
        self._prober = prober
        self._base_url = base_url
        self._every = every
        self._silent: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look until cancelled."""
        await forever("services", self.look, every=self._every)

    async def look(self) -> None:
        """One look at all that have an address."""
        room = asyncio.Semaphore(AT_ONCE)
        services = [service for service in await self._directory.look() if service.url]
        answers = await asyncio.gather(*(self._answers(service, room) for service in services))
        silent = frozenset(service.name for service, answers_ in zip(services, answers, strict=True) if not answers_)
        for service in services:
            if service.name in silent - self._silent:
                log.warning("service.does_not_answer", service=service.name, url=service.url)
            elif service.name in self._silent - silent:
                log.info("service.answers_again", service=service.name)
        self._silent = silent

    async def _answers(self, service: Service, room: asyncio.Semaphore) -> bool:
        path = service_url(self._base_url, service.name)
        async with room:
            return await self._prober.wait_until_answers(service.url, path, timeout=ANSWER_SECONDS)
