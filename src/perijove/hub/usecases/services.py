"""
Services as administrators and programs see them: those of the configuration, and those added while the hub runs
(contract d39 to d42).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    AlreadyExists,
    FixedByConfiguration,
    InvalidRequest,
    InvalidScope,
    NoSuchService,
    ProxyAway,
)
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.role_declarations import read_added_service
from perijove.hub.domain.roles import Service
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.tokens import PREFIX_LENGTH
from perijove.hub.ports import Store, Unit
from perijove.hub.scopes.catalog import INHERIT
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder
from perijove.hub.scopes.intersection import intersect
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.identify import SERVICE_TOKEN
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownService:
    """A service, and how the hub runs it, if it does."""

    service: Service
    command: tuple[str, ...] = ()


class RouteMaker(Protocol):
    """Brings routes into the proxies."""

    async def once(self) -> None:
        """Make the tables right, now. Raises ProxyAway."""
        ...


class ServiceDirectory:
    """All services there are; remembers the added ones for those who cannot wait for the database."""

    def __init__(self, *, store: Store, roles: RoleBook) -> None:
        self._store = store
        self._roles = roles
        self._added: tuple[Service, ...] = ()

    def adopt(self, roles: RoleBook) -> None:
        """The configuration declares others from now on."""
        self._roles = roles

    @property
    def remembered(self) -> Sequence[Service]:
        """All services, as they were when somebody looked last."""
        return (*self._roles.services, *self._undeclared(self._added))

    async def look(self) -> Sequence[Service]:
        """All services: those of the configuration, in its order, then the added ones by name."""
        async with self._store.reading() as unit:
            self._added = tuple(row.service for row in await unit.services.all())
        return self.remembered

    async def list(self, names: Iterable[str] | None = None) -> Sequence[KnownService]:
        """All of them, or those of *names*."""
        wanted = None if names is None else frozenset(names)
        return [self._known(each) for each in await self.look() if wanted is None or each.name in wanted]

    async def one(self, name: str) -> KnownService:
        """The service of that name. Raises NoSuchService."""
        found = await self.list([name])
        if not found:
            raise NoSuchService(f"No such service: {name}")
        return found[0]

    def _known(self, service: Service) -> KnownService:
        how = next((each for each in self._roles.managed if each.name == service.name), None)
        return KnownService(service=service, command=() if how is None else how.command)

    def _undeclared(self, added: Iterable[Service]) -> Sequence[Service]:
        # One that the configuration declares under the same name has taken its place.
        return [service for service in added if self._roles.service(service.name) is None]


class ChangeServices:
    """Adds services that run by themselves, and removes them again."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        roles: RoleBook,
        revocations: Revocations,
        directory: ServiceDirectory,
        routes: RouteMaker,
    ) -> None:
        self._store = store
        self._clock = clock
        self._roles = roles
        self._revocations = revocations
        self._directory = directory
        self._routes = routes

    async def add(self, name: str, declared: Mapping[str, Any], *, asker: Principal) -> KnownService:
        """
        Add a service (contract d41); what it may do follows from the roles that name it.

        Raises:
            AlreadyExists: there is one of that name, or one with that token.
            InvalidRequest: the declaration is wrong, or has the hub run it.
            InvalidScope: it, or the tokens of its visitors, could do what *asker* may not.
        """
        if self._roles.service(name) is not None:
            raise AlreadyExists(f"Service {name} already exists")
        service, kept = read_added_service(name, declared)
        token = str(declared.get("api_token") or "")
        row = RuntimeService(
            name=name,
            prefix=token[:PREFIX_LENGTH],
            token_hash=service.api_token_hash,
            declaration=kept,
            created=self._clock.now(),
        )
        self._refuse_more_than(asker, service)
        async with self._store.unit() as unit:
            await unit.alone("services")
            if await unit.services.by_name(name) is not None:
                raise AlreadyExists(f"Service {name} already exists")
            await self._check_token(unit, row)
            await self._check_client(unit, service)
            await unit.services.add(row)
            await record(unit, Action.SERVICE_ADDED, at=row.created, by=asker, target=name, url=service.url)
        log.info("service.added", service=name, url=service.url, by=asker.name)
        await self._show()
        return KnownService(service=service)

    async def remove(self, name: str, *, asker: Principal) -> None:
        """
        Forget an added service, with its route and all tokens of its own and of its visitors (contract d42).

        Raises:
            FixedByConfiguration: the configuration declares it.
            NoSuchService: there is none of that name.
        """
        if self._roles.service(name) is not None:
            raise FixedByConfiguration(f"Service {name} is not modifiable at runtime")
        async with self._store.unit() as unit:
            await unit.alone("services")
            row = await unit.services.by_name(name)
            if row is None:
                raise NoSuchService(f"Service {name} does not exist")
            await unit.services.delete(name)
            await record(unit, Action.SERVICE_REMOVED, at=self._clock.now(), by=asker, target=name)
            await unit.tokens.delete_of_client(row.service.client_id)
            await unit.oauth_codes.delete_of_client(row.service.client_id)
        log.info("service.removed", service=name, by=asker.name)
        await self._revocations.revoke(sid=f"token:{SERVICE_TOKEN}{name}")
        await self._show()

    def _refuse_more_than(self, asker: Principal, service: Service) -> None:
        """Nobody makes a service that may do more than they may."""
        try:
            wanted = self._roles.scopes_of_service(service)
            wanted |= self._roles.expand(
                service.oauth_client_allowed_scopes, Holder(service=service.name, user=asker.name)
            )
        except BadScope as exc:
            raise InvalidScope(str(exc)) from exc
        if INHERIT in wanted or (service.oauth_no_confirm and service.oauth_client_allowed_scopes and not asker.admin):
            # Its visitors would hand over what is theirs, unasked: that is no right of those who add services.
            raise InvalidScope(f"Service {service.name} could do what its visitors have not agreed to.")
        # Whoever adds services may well say that they can be entered.
        own = f"!service={service.name}"
        beyond = {scope for scope in wanted - intersect(wanted, asker.scopes) if not scope.endswith(own)}
        if beyond:
            raise InvalidScope(f"Service {service.name} could do what you may not: {', '.join(sorted(beyond)[:5])}")

    async def _check_token(self, unit: Unit, row: RuntimeService) -> None:
        if not row.token_hash:
            return
        is_taken = self._roles.service_by_token_hash(row.token_hash) is not None
        is_taken |= any(other.token_hash == row.token_hash for other in await unit.services.by_prefix(row.prefix))
        is_taken |= any(token.token_hash == row.token_hash for token, _ in await unit.tokens.by_prefix(row.prefix))
        if is_taken:
            raise InvalidRequest(f"Service {row.name} needs an api_token of its own.")

    async def _check_client(self, unit: Unit, service: Service) -> None:
        others = [*self._roles.services, *(row.service for row in await unit.services.all())]
        rival = next((other.name for other in others if other.client_id == service.client_id), None)
        if rival is not None:
            raise InvalidRequest(
                f"Service {service.name} needs an oauth_client_id of its own: {service.client_id} is that of {rival}."
            )

    async def _show(self) -> None:
        await self._directory.look()
        # A proxy that is away gets a whole table when it is back.
        with suppress(ProxyAway):
            await self._routes.once()
