"""
Makes a proxy agree with the database: its keys, its routes, its revocations. Each proxy has a reconciler of its own;
`Proxies` is all of them.

Cheap looks find a proxy that has come back; full looks find what no message told. Routes that are not marked
as a hub's (`jupyterhub`) belong to somebody else and are kept as they are (contract h).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from perijove.hub.domain.audiences import service_audience
from perijove.hub.domain.errors import InvalidRequest, ProxyAway
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.roles import Service
from perijove.hub.domain.servers import Server
from perijove.hub.ports import DoorState, IdentitySigner, ProxyGateway, Store
from perijove.hub.usecases.activity import Activity, parse_time
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.route_table import RouteTable, Wanted
from perijove.hub.usecases.running_servers import in_pages
from perijove.hub.usecases.sign_out import Outbox
from perijove.kit.clock import Clock
from perijove.kit.steps import in_steps
from perijove.kit.tasks import TaskGroup
from perijove.wire.routes import ACCESS, AUDIENCE, GATED, LAST_ACTIVITY, MINE, OPEN, TARGET, Route

log = structlog.get_logger(__name__)

#: seconds between cheap looks, and between full ones (contract h: `last_activity_interval`)
CHEAP_SECONDS: Final = 2.0
FULL_SECONDS: Final = 300.0


class Reconciler:
    """Watches over one proxy."""

    def __init__(
        self,
        *,
        store: Store,
        proxy: ProxyGateway,
        routes: RouteTable,
        outbox: Outbox,
        signer: IdentitySigner,
        activity: Activity,
        clock: Clock,
        hub_targets: Sequence[str],
        base_url: str,
        services: Sequence[Service] = (),
        origins: Origins = ONE_ORIGIN,
    ) -> None:
        self._store = store
        self._proxy = proxy
        self._routes = routes
        self._outbox = outbox
        self._signer = signer
        self._activity = activity
        self._clock = clock
        self._base_url = base_url
        self._origins = origins
        self._hub = self._hub_route(hub_targets)
        self._fixed = (self._hub, *self._service_routes(services))
        self._last_full: float | None = None
        self._last_door: DoorState | None = None
        #: whether the proxy did not answer the last time
        self.is_away = False

    def adopt(self, services: Sequence[Service]) -> None:
        """Other services have routes from now on."""
        self._fixed = (self._hub, *self._service_routes(services))
        self._routes.is_doubtful = True

    def doubt(self) -> None:
        """Something that the proxy is told of has changed."""
        self._routes.is_doubtful = True

    async def run(self) -> None:
        """Look again and again until cancelled."""
        await forever("proxy", self.look, every=CHEAP_SECONDS)

    async def look(self) -> None:
        """One cheap look; a full one if anything is in doubt. A proxy that is away is no error here."""
        try:
            door = await self._proxy.door()
            if not self.is_away and door == self._last_door and not self._is_full_due():
                await self._outbox.send()
                return
            await self.once()
        except ProxyAway as exc:
            if not self.is_away:
                log.warning("proxy.away", why=exc.message)
            self.is_away = self._routes.is_away = True
            return
        self._routes.is_away = False
        if self.is_away:
            log.info("proxy.back")
        self.is_away = False

    async def once(self) -> None:
        """
        A full look: keys, then routes, then revocations.

        Raises:
            ProxyAway: the proxy does not answer.
        """
        door = await self._proxy.door()
        ours = frozenset(str(jwk["kid"]) for jwk in self._signer.public_jwks)
        if door.keys != ours:
            await self._proxy.set_keys(self._signer.public_jwks)
        await self._routes.replace(self._needed)
        await self._outbox.send()
        # A proxy that restarts from here on says another instance, or has lost its keys: either is a reason to look.
        self._last_door = DoorState(keys=ours, instance=door.instance)
        self._last_full = self._clock.monotonic()

    def _is_full_due(self) -> bool:
        if self._routes.is_doubtful or self._last_full is None:
            return True
        return self._clock.monotonic() - self._last_full >= FULL_SECONDS

    async def _needed(self) -> Wanted | None:
        """The whole table as it should be, or None if it is."""
        # The table before the rows: what another hub adds or removes from here on makes its version an older one.
        table = await self._proxy.read_table()
        present = table.routes
        async with self._store.reading() as unit:
            added = self._service_routes([row.service for row in await unit.services.all()])
        own: list[Route] = []
        async for servers in in_pages(self._store, [State.ROUTING, State.READY]):
            for server in servers:
                route = self._routes.route_of(server)
                self._note_activity(server, present.get(route.path, {}))
                own.append(route)
        foreign = [_route(path, body) for path, body in present.items() if not body.get(MINE)]
        # Ours win: a foreign route must not take over the hub's or a server's path.
        wanted = {route.path: route for route in (*foreign, *added, *self._fixed, *own)}
        if await _is_there(wanted, present):
            return None
        log.debug("routes.replaced", before=len(present), after=len(wanted))
        return Wanted(routes=list(wanted.values()), version=table.version)

    def _note_activity(self, server: Server, present: Mapping[str, Any]) -> None:
        if self._activity.fresh_server(server).busy_until is not None:
            # It tells itself; to the proxy a forgotten tab that polls looks like somebody at work.
            return
        try:
            at = parse_time(present.get(LAST_ACTIVITY))
        except InvalidRequest:
            # A proxy that does not say is no reason to leave its routes wrong.
            return
        # A new route's time is that of its making, the server's start: no harm in noting it.
        self._activity.note_server(server.id, at)
        self._activity.note_user(server.user_name, at)

    @staticmethod
    def _hub_route(targets: Sequence[str]) -> Route:
        first, *others = targets
        return Route(path="/", target=first, fallbacks=tuple(others), access="open", data={"hub": True, MINE: True})

    def _service_routes(self, services: Sequence[Service]) -> Sequence[Route]:
        return [
            Route(
                path=self._origins.service_route(self._base_url, service.name),
                target=service.url,
                access=GATED if service.is_gated else OPEN,
                audience=service_audience(service.name) if service.is_gated else "",
                data={"service": service.name, MINE: True},
            )
            for service in services
            if service.url
        ]


class Proxies:
    """All proxies together, for those who do not care which."""

    def __init__(self, *, gateways: Sequence[ProxyGateway], reconcilers: Sequence[Reconciler]) -> None:
        self._gateways = gateways
        self._reconcilers = reconcilers

    async def run(self) -> None:
        """Watch over each until cancelled."""
        async with TaskGroup("proxies") as loops:
            # No timeout: that is what they do until cancelled.
            await asyncio.wait([loops.start("reconciler", each.run()) for each in self._reconcilers])

    async def once(self) -> None:
        """
        A full look at each that was there the last time.

        Raises:
            ProxyAway: none answers.
        """
        present = [each for each in self._reconcilers if not each.is_away]
        failures = await asyncio.gather(*(_failure_of(each) for each in present or self._reconcilers))
        if None not in failures:
            raise failures[0] or ProxyAway

    async def routes(self) -> Mapping[str, Mapping[str, Any]]:
        """
        The table of the first that answers.

        Raises:
            ProxyAway: none does.
        """
        *others, last = self._gateways
        for gateway in others:
            with suppress(ProxyAway):
                return await gateway.routes()
        return await last.routes()


async def _failure_of(reconciler: Reconciler) -> ProxyAway | None:
    try:
        await reconciler.once()
    except ProxyAway as exc:
        return exc
    return None


async def _is_there(wanted: Mapping[str, Route], present: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the table is exactly that."""
    if wanted.keys() != present.keys():
        return False
    async for path, route in in_steps(wanted.items()):
        if _without_activity(present[path]) != route.to_body():
            return False
    return True


def _without_activity(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != LAST_ACTIVITY}


def _route(path: str, body: Mapping[str, Any]) -> Route:
    """A route as the proxy told it."""
    known = {TARGET, ACCESS, AUDIENCE, LAST_ACTIVITY}
    return Route(
        path=path,
        target=str(body.get(TARGET, "")),
        access="open" if body.get(ACCESS) == "open" else "gated",
        audience=str(body.get(AUDIENCE, "")),
        data={key: value for key, value in body.items() if key not in known},
    )
