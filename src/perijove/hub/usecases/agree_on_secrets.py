"""
Sees to it that all hubs over one database have the same secrets.

Statements signed by one key must open the doors that another hub has told the keys of, and a form made by one hub must
be taken by another. Only fingerprints are kept. Who comes first sets them; who has others does not start while hubs
are alive that hold these.
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

#: what a unit is alone with that compares
_SECRETS: Final = "secrets"
#: seconds between looks whether the others are really alive
_PAUSE: Final = 1.0


class OtherSecrets(HubError):
    """This hub has other secrets than the hubs that run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret, as it may be shown."""

    #: also the name of its fact
    name: str
    #: tells it from another; does not give it away
    fingerprint: str
    #: where an administrator finds it: a file, or a variable
    where: str


class AgreeOnSecrets:
    """Compares this hub's secrets with those of the hubs that run."""

    def __init__(self, *, store: Store, membership: Membership, lease_seconds: float) -> None:
        self._store = store
        self._membership = membership
        self._lease = lease_seconds

    async def __call__(self, secrets: Sequence[Secret]) -> None:
        """
        Set what nobody holds, or that only hubs held that are gone.

        Raises:
            OtherSecrets: a hub that runs holds another one; says what to copy from where.
        """
        # Hubs that were killed a moment ago look alive until their time is over.
        left = self._lease
        while (difference := await self._compare(secrets)) is not None and left > 0:
            await asyncio.sleep(_PAUSE)
            left -= _PAUSE
        if difference is None:
            return
        secret, others = difference
        names = ", ".join(sorted(hub.name for hub in others))
        raise OtherSecrets(
            f"The {secret.name} of this hub is not that of the hubs that run over the same database ({names}). "
            f"All of them need the same one: copy {secret.where} from the machine of one of those to this machine, "
            "and start this hub again."
        )

    async def _compare(self, secrets: Sequence[Secret]) -> tuple[Secret, Sequence[HubProcess]] | None:
        async with self._store.unit() as unit:
            await unit.alone(_SECRETS)
            for secret in secrets:
                held = await unit.facts.get(_fact(secret))
                if held == secret.fingerprint:
                    continue
                others = await self._others(unit) if held is not None else ()
                if others:
                    return secret, others
                if held is not None:
                    log.info("secret.renewed", secret=secret.name)
                await unit.facts.put(_fact(secret), secret.fingerprint)
        return None

    async def _others(self, unit: Unit) -> Sequence[HubProcess]:
        live = await self._membership.look_in(unit)
        return [hub for hub in await unit.hubs.all() if hub.holder in live and hub.name != self._membership.name]


def _fact(secret: Secret) -> str:
    return f"fingerprint of the {secret.name}"
