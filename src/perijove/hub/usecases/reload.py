"""
Reads the configuration again while the hub runs, and takes over what may change then: all of it or nothing.

What there is to read and how it is taken over is the command's and the composition root's. Here is the rest: one
reading at a time, a wrong one reported and nothing changed, and all hubs over the database told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from perijove.config.errors import ConfigError
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import HubError, InvalidRequest, Unavailable
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.domain.principals import Principal
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.membership import Membership
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

Inputs = TypeVar("Inputs")

#: seconds that reading may take: a configuration is a program
READ_SECONDS: Final = 30.0
#: seconds before listening again after that failed
PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[Inputs]):
    """A configuration that was read again."""

    inputs: Inputs
    #: names that have another value than before and are taken over
    changed: tuple[str, ...] = ()
    #: names that have another value than at the start, and count from the next
    needs_restart: tuple[str, ...] = ()


class Reload(Generic[Inputs]):
    """Called, it reads again and has the other hubs do the same."""

    def __init__(
        self, *, store: Store, clock: Clock, membership: Membership, read: Callable[[], Reading[Inputs]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._membership = membership
        self._read = read
        self._take: Callable[[Inputs], Awaitable[None]] | None = None
        self._turn = asyncio.Lock()

    def into(self, take: Callable[[Inputs], Awaitable[None]]) -> None:
        """From now on *take* takes over what was read; it raises `HubError` if it has changed nothing."""
        self._take = take

    async def __call__(self, by: Principal | None = None) -> Reading[Inputs]:
        """
        Read again here, and tell all hubs over the database to do so; *by*: who asks.

        Raises:
            InvalidRequest: the configuration is wrong, with what and where; nothing has changed.
        """
        reading = await self._here()
        async with self._store.unit() as unit:
            unit.notify(Notice(Kind.RELOAD, text=self._membership.holder))
            await self._tell(unit, reading, by)
        return reading

    async def asked_here(self) -> None:
        """A signal asks this hub alone; what is wrong is logged."""
        reading = await self._here_or_say()
        if reading is None:
            return
        try:
            async with self._store.unit() as unit:
                await self._tell(unit, reading, None)
        except Unavailable as exc:
            log.warning("configuration.reload_untold", why=exc.message)

    async def run(self) -> None:
        """Do what other hubs were asked to, until cancelled."""
        await forever("reload notices", self._listen, every=PAUSE)

    async def _listen(self) -> None:
        async for notice in self._store.notices():
            if notice.kind is Kind.RELOAD and notice.text != self._membership.holder:
                # The hub that was asked has told the audit log.
                await self._here_or_say()

    async def _here_or_say(self) -> Reading[Inputs] | None:
        try:
            return await self._here()
        except HubError as exc:
            log.error("configuration.not_reloaded", why=exc.message)  # noqa: TRY400  # an operator's mistake
            return None

    async def _tell(self, unit: Unit, reading: Reading[Inputs], by: Principal | None) -> None:
        # Names only: values may be secrets.
        changed = list(reading.changed)
        await record(unit, Action.CONFIGURATION_RELOADED, at=self._clock.now(), by=by, changed=changed)

    async def _here(self) -> Reading[Inputs]:
        async with self._turn:
            try:
                async with asyncio.timeout(READ_SECONDS):
                    # On a thread: the hub answers meanwhile, whatever an administrator's program does.
                    reading = await asyncio.to_thread(self._read)
            except ConfigError as exc:
                raise InvalidRequest(f"Nothing was changed. {exc}") from exc
            except TimeoutError as exc:
                raise InvalidRequest("Nothing was changed. Reading the configuration takes too long.") from exc
            if self._take is not None:
                await self._take(reading.inputs)
        log.info("configuration.reloaded", changed=list(reading.changed))
        if reading.needs_restart:
            log.warning("configuration.needs_restart", names=list(reading.needs_restart))
        return reading
