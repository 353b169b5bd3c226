"""
Sees to it that all hubs over one database have alike what they must: secrets, and the place where servers run.

Statements signed by one key must open the doors that another hub has told the keys of, a form made by one hub must be
taken by another, and a server that one hub has started must not be gone for another. Only fingerprints are kept. Who
comes first sets them; who has others does not start while hubs are alive that hold these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from perijove.hub.domain.errors import HubError
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.membership import Membership

log = structlog.get_logger(__name__)

#: what a unit is alone with that compares; the word is an older release's
_ALONE: Final = "secrets"
#: seconds between looks whether the others are really alive
_PAUSE: Final = 1.0


class HubsDiffer(HubError):
    """This hub differs from the hubs that run in what all of them must have alike."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """One thing that all hubs must have alike, as it may be shown."""

    #: also the name of its fact
    name: str
    #: tells it from another; does not give it away
    fingerprint: str
    #: what an administrator can do about another one: sentences
    remedy: str


def common_secret(name: str, *, fingerprint: str, where: str) -> Common:
    """A secret that an administrator finds at *where*: a file, or a variable."""
    remedy = (
        f"All of them need the same one: copy {where} from the machine of one of those to this machine, "
        "and start this hub again."
    )
    return Common(name=name, fingerprint=fingerprint, remedy=remedy)


class AgreeWithOthers:
    """Compares what this hub has with what the hubs that run have."""

    def __init__(self, *, store: Store, membership: Membership, lease_seconds: float) -> None:
        self._store = store
        self._membership = membership
        self._lease = lease_seconds

    async def __call__(self, things: Sequence[Common]) -> None:
        """
        Set what nobody holds, or that only hubs held that are gone.

        Raises:
            HubsDiffer: a hub that runs holds another one; says what to do.
        """
        # Hubs that were killed a moment ago look alive until their time is over.
        left = self._lease
        while (difference := await self._compare(things)) is not None and left > 0:
            await asyncio.sleep(_PAUSE)
            left -= _PAUSE
        if difference is None:
            return
        thing, others = difference
        names = ", ".join(sorted(hub.name for hub in others))
        raise HubsDiffer(
            f"The {thing.name} of this hub is not that of the hubs that run over the same database ({names}). "
            f"{thing.remedy}"
        )

    async def renew(self, things: Sequence[Common]) -> None:
        """This hub was given others while it runs: those who start from now on need the same."""
        async with self._store.unit() as unit:
            await unit.alone(_ALONE)
            for thing in things:
                await unit.facts.put(_fact(thing), thing.fingerprint)

    async def _compare(self, things: Sequence[Common]) -> tuple[Common, Sequence[HubProcess]] | None:
        async with self._store.unit() as unit:
            await unit.alone(_ALONE)
            for thing in things:
                held = await unit.facts.get(_fact(thing))
                if held == thing.fingerprint:
                    continue
                others = await self._others(unit) if held is not None else ()
                if others:
                    return thing, others
                if held is not None:
                    log.info("hubs.agree_anew", on=thing.name)
                await unit.facts.put(_fact(thing), thing.fingerprint)
        return None

    async def _others(self, unit: Unit) -> Sequence[HubProcess]:
        live = await self._membership.look_in(unit)
        return [hub for hub in await unit.hubs.all() if hub.holder in live and hub.name != self._membership.name]


def _fact(thing: Common) -> str:
    return f"fingerprint of the {thing.name}"
