"""
Tells the log which roles allow more than at the last start: a scope that crept into the configuration is seen once by
whoever reads the log, before somebody finds it by using it.
"""

from __future__ import annotations

import json
from typing import Final

import structlog

from perijove.hub.ports import Store
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.until_there import until_there

log = structlog.get_logger(__name__)

_FACT: Final = "scopes of roles"


class WatchRoles:
    """Compares the roles of now with those of the last start."""

    def __init__(self, *, store: Store, roles: RoleBook) -> None:
        self._store = store
        self._roles = roles

    async def run(self) -> None:
        """Compare as soon as the database answers."""
        await until_there("roles", self.compare)

    async def compare(self) -> None:
        """Compare, and remember."""
        now = {name: sorted(self._roles.scopes_of_role(name)) for name in sorted(self._roles.names)}
        async with self._store.unit() as unit:
            # Of several hubs that start with a new configuration one tells.
            await unit.alone(_FACT)
            known = await unit.facts.get(_FACT)
            if known == (told := json.dumps(now)):
                return
            await unit.facts.put(_FACT, told)
        # The first start has nothing to compare with.
        before: dict[str, list[str]] = now if known is None else json.loads(known)
        for name, scopes in now.items():
            gained = sorted(set(scopes) - set(before.get(name, ())))
            if gained:
                log.warning("role.gained_scopes", role=name, scopes=gained)
