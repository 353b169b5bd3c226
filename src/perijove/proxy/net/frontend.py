"""
What all client connections share, and the way of one request: path, route, door, server.

`serve` runs to its end without waiting for the common request (statement known, connection idle in the
pool); whatever must wait becomes a task of that client.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from http import HTTPStatus
from typing import Final

import structlog

from perijove.kit.tasks import TaskGroup
from perijove.kit.transports import cut
from perijove.proxy.core.answers import Answer, redirect, refusal
from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.gate import Allow, AskHub, Enter, Refuse
from perijove.proxy.core.hosts import routing_host
from perijove.proxy.core.limits import Limits, network_of
from perijove.proxy.core.passing import Passing, added_lines, rewritten
from perijove.proxy.core.paths import decode_path
from perijove.proxy.core.requests import FieldsMemo, RequestHead
from perijove.proxy.core.routes import Entry, RouteTable
from perijove.proxy.core.statistics import Statistics, Verdict
from perijove.proxy.net.accounts import Accounts
from perijove.proxy.net.client import ClientConnection
from perijove.proxy.net.connections import Connections
from perijove.proxy.net.door import Door
from perijove.proxy.net.exchange import Exchange
from perijove.proxy.net.pages import ErrorPages
from perijove.proxy.net.pool import UpstreamPool
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.tunnel import Tunnel
from perijove.proxy.net.upstream import UpstreamConnection

log = structlog.get_logger(__name__)

#: Answered by the proxy itself, on the public address (contract section h).
HEALTH_PATH: Final = b"/_chp_healthz"
# As a number: looking for bytes in bytes first tries them as one, and clears up after the exception.
_QUESTION: Final = ord("?")
_HEALTHY: Final = Answer(status=HTTPStatus.OK, body=b'{"status": "OK"}', content_type="application/json")
_TOO_MANY_WEBSOCKETS: Final = refusal(
    HTTPStatus.TOO_MANY_REQUESTS, "This session has too many WebSockets open. Close some tabs."
)
#: When a server has all the connections that it may have.
_BUSY: Final = replace(
    refusal(HTTPStatus.SERVICE_UNAVAILABLE, "This server is busy. Try again in a moment."), fields=b"Retry-After: 2\r\n"
)


class Frontend:
    """The data plane: a factory of client connections and their meeting point."""

    def __init__(
        self,
        *,
        table: RouteTable,
        door: Door,
        pool: UpstreamPool,
        pages: ErrorPages,
        tasks: TaskGroup,
        timeouts: Timeouts,
        passing: Passing,
        connections: Connections,
        accounts: Accounts,
        statistics: Statistics,
        limits: Limits,
        now: Callable[[], float],
        scheme: bytes = b"http",
    ) -> None:
        """
        Args:
            table: the routes.
            door: who may pass.
            pool: connections to servers.
            pages: error pages.
            tasks: owner of what must wait.
            timeouts: how long for.
            passing: how requests are changed.
            connections: where everything open is noted.
            accounts: where everything that is over is noted.
            statistics: where refusals and verdicts are counted.
            limits: how much one client may take.
            now: coarse monotonic time.
            scheme: by which clients come.
        """
        self.timeouts = timeouts
        self.allow(limits, passing)
        self.now = now
        self.is_draining = False
        self._scheme = scheme
        self._table = table
        self._door = door
        self._pool = pool
        self._pages = pages
        self._tasks = tasks
        self._connections = connections
        self._accounts = accounts
        self._statistics = statistics
        #: part of `Surroundings`
        self.put_back = pool.put
        #: part of `Server`
        self.ended = accounts.ended
        self.refused = statistics.refused
        self.release = connections.release

    def allow(self, limits: Limits, passing: Passing) -> None:
        """Allow each client so much, and pass on like this, from now on."""
        self.limits = limits
        self.passing = passing
        self._relocation = passing.relocation or None
        self.memo = FieldsMemo(max_fields=limits.fields, replaced=passing.replaced)

    def __call__(self) -> ClientConnection:
        """The protocol for one more connection."""
        return ClientConnection(self)

    # what a client needs

    def admit(self, client: ClientConnection) -> bool:
        """Part of `Server`."""
        client.address = self.address_of(client.peer)
        return self._connections.admit(client)

    def leave(self, client: ClientConnection) -> None:
        """Part of `Server`."""
        self._connections.leave(client)

    def show_error(self, client: ClientConnection, status: int, exchange: Exchange) -> None:
        """Part of `Server`."""
        if client.request is not None:
            self._fail(client, client.request, status, is_hub=exchange.entry.path == "/")

    # what an exchange needs

    def reconnect(self, exchange: Exchange) -> None:
        """Part of `Surroundings`."""
        client = exchange.client
        if isinstance(client, ClientConnection):
            self._wait_for(client, "reconnect", self._connect(client, exchange))

    def join(self, exchange: Exchange, upstream: UpstreamConnection) -> None:
        """Part of `Surroundings`."""
        client = exchange.client
        if not isinstance(client, ClientConnection):
            return
        served = self._accounts.upgraded(client)
        ahead = client.become_tunnel()
        tunnel = Tunnel(
            client=client.transport,
            server=upstream.transport,
            entry=exchange.entry,
            target=upstream.target,
            claims=exchange.claims,
            address=client.address,
            session=client.session,
            served=served,
            on_closed=self._tunnel_closed,
        )
        self._connections.add_tunnel(tunnel)
        if ahead:
            upstream.transport.write(ahead)

    def _tunnel_closed(self, tunnel: Tunnel) -> None:
        self._connections.remove_tunnel(tunnel)
        self._pool.tunnel_closed(tunnel.target)
        self._accounts.closed(tunnel)

    def address_of(self, peer: str) -> str:
        """What *peer* is counted as."""
        return counted_as(peer, self.passing.trusted_forwarders)

    # the way of one request

    def serve(self, client: ClientConnection, request: RequestHead, *, may_ask: bool = True) -> None:
        """Part of `Server`; *may_ask*: whether the hub may still be asked about a token."""
        target = request.target
        raw = request.path if _QUESTION in target else target
        if raw == HEALTH_PATH:
            client.answer(_HEALTHY)
            return
        try:
            entry = self._find(raw, request) if self.passing.host_routing else self._table.find_raw(raw)
        except BadRequest as exc:
            client.answer(refusal(exc.status, str(exc)), close=True)
            return
        client.entry = entry
        if entry is not None and entry.upgrades:
            request.allow_upgrade(entry.upgrades)
        if entry is None:
            self._fail(client, request, HTTPStatus.NOT_FOUND, is_hub=False)
        elif self._door.is_on and entry.access == "gated":
            self._ask_door(client, request, entry, may_ask=may_ask)
        else:
            self._forward(client, request, entry, None)

    def _find(self, raw: bytes, request: RequestHead) -> Entry | None:
        return self._table.find(f"/{routing_host(request.fields.host)}{decode_path(raw)}")

    def _ask_door(self, client: ClientConnection, request: RequestHead, entry: Entry, *, may_ask: bool) -> None:
        match self._door.decide(entry.audience, request):
            case Allow() as allowed:
                self._statistics.verdicts[Verdict.ALLOWED] += 1
                if request.upgrade and not self._reserve(client, allowed):
                    client.answer(_TOO_MANY_WEBSOCKETS, close=True)
                else:
                    self._forward(client, request, entry, allowed)
            case AskHub(token=token) if may_ask:
                self._statistics.verdicts[Verdict.ASKED] += 1
                client.hold_for_connect(hold=True)
                self._wait_for(client, "exchange", self._exchange(client, request, entry.audience, token))
            case Enter(location=location):
                self._statistics.verdicts[Verdict.ENTERED] += 1
                client.answer(redirect(location))
            case Refuse(reason=reason):
                self._statistics.verdicts[Verdict.REFUSED] += 1
                log.info("door.refused", route=entry.path, peer=client.peer, reason=reason)
                client.answer(refusal(HTTPStatus.FORBIDDEN, reason))
            case AskHub():
                self._statistics.verdicts[Verdict.REFUSED] += 1
                client.answer(refusal(HTTPStatus.FORBIDDEN, "This token may not access this server."))

    def _reserve(self, client: ClientConnection, allowed: Allow) -> bool:
        session = allowed.claims.sid or allowed.claims.sub
        if not self._connections.reserve(session):
            return False
        client.session = session
        return True

    async def _exchange(self, client: ClientConnection, request: RequestHead, audience: str, token: str) -> None:
        was_heard = await self._door.exchange(token, audience)
        client.task = None
        client.hold_for_connect(hold=False)
        if was_heard:
            # From the start: the route may have changed meanwhile.
            self.serve(client, request, may_ask=False)
        else:
            client.answer(refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The hub cannot be asked about this token."))

    def _forward(self, client: ClientConnection, request: RequestHead, entry: Entry, allowed: Allow | None) -> None:
        server = self._pool.choose(entry.targets) if entry.fallbacks else entry.target
        upstream = self._pool.take(server, repeatable=request.is_idempotent)
        if upstream is None and not self._pool.has_room(server):
            client.answer(_BUSY)
            return
        target = allowed.target if allowed else request.target
        if entry.target.base or not self.passing.include_prefix:
            target = rewritten(self.passing, target, entry)
        line = request.line if target is request.target else request.render_line(target)
        exchange = Exchange(
            client=client,
            surroundings=self,
            request=request,
            head=line + self._fields_for(client, request, entry, allowed),
            entry=entry,
            claims=allowed.claims if allowed else None,
            fence=entry.fence if allowed else None,
            relocation=self._relocation,
        )
        client.exchange = exchange
        if upstream is not None:
            exchange.start(upstream)
        else:
            self._wait_for(client, "connect", self._connect(client, exchange))

    async def _connect(self, client: ClientConnection, exchange: Exchange) -> None:
        entry = exchange.entry
        is_hub = entry.path == "/" and entry.access == "open"
        # Nothing has been sent yet: whatever the method, trying again is safe.
        patience = self.timeouts.hub_patience if is_hub and not exchange.request.is_upgrade else 0.0
        client.hold_for_connect(hold=True)
        try:
            upstream = await self._pool.connect(entry.targets, patience=patience)
        except OSError as exc:
            log.info("upstream.unreachable", route=entry.path, target=entry.target.key, reason=str(exc))
            exchange.unreachable()
            return
        client.task = None
        if exchange.is_over or not entry.live:
            cut(upstream.transport)
            exchange.unreachable()
            return
        exchange.start(upstream)
        client.hold_for_connect(hold=False)

    def _fail(self, client: ClientConnection, request: RequestHead, status: int, *, is_hub: bool) -> None:
        if request.is_upgrade:
            # Nobody would see a page.
            client.answer(Answer(status=status), close=True)
        else:
            self._wait_for(client, "error-page", self._show_page(client, request, status, is_hub=is_hub))

    async def _show_page(self, client: ClientConnection, request: RequestHead, status: int, *, is_hub: bool) -> None:
        page = await self._pages.find(status, request, is_hub=is_hub)
        client.task = None
        client.answer(page)

    def _fields_for(self, client: ClientConnection, request: RequestHead, entry: Entry, allowed: Allow | None) -> bytes:
        """What the server gets behind the request line: as the last time, if nothing that it depends on has changed."""
        fields, identity = request.fields, allowed.identity if allowed else ""
        # Without a door this may be another hub's proxy, whose routes and cookies we do not know.
        to_hub = entry.path == "/" or not self._door.is_on
        known = client.sent_for
        if (
            known is not None
            and known[0] is fields
            and known[1] is entry
            and known[2] == identity
            and known[3] == to_hub
            and not fields.upgrade
        ):
            return client.sent_fields
        added = added_lines(
            self.passing, fields, entry, peer=client.peer, scheme=self._scheme, identity=identity.encode("ascii")
        )
        client.sent_fields = request.render_fields(gated=allowed is not None, to_hub=to_hub, added=added)
        client.sent_for = (fields, entry, identity, to_hub)
        return client.sent_fields

    def _wait_for(self, client: ClientConnection, name: str, work: Coroutine[None, None, None]) -> None:
        client.task = self._tasks.start(name, self._guarded(client, work))

    @staticmethod
    async def _guarded(client: ClientConnection, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        # A supervisor: whatever goes wrong for one request, its client must not wait for ever.
        except Exception:
            log.exception("request.failed")
            client.abort()


def counted_as(peer: str, trusted: frozenset[str]) -> str:
    """The address that connections from *peer* are counted by; empty for web servers in front, who are many people."""
    if not peer or peer in trusted or peer.startswith("127.") or peer == "::1":
        return ""
    return network_of(peer)
