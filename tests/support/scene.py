"""
The data plane of one client without sockets: the real `ClientConnection`, `Exchange` and `UpstreamConnection`,
and servers that read what they get with a parser that is not ours.

Routing and the door are left out: every request goes to the one route there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import h11

from perijove.proxy.core.answers import Answer
from perijove.proxy.core.confine import Fence
from perijove.proxy.core.limits import Limit, Limits
from perijove.proxy.core.requests import FieldsMemo, RequestHead
from perijove.proxy.core.routes import Entry
from perijove.proxy.net.client import ClientConnection
from perijove.proxy.net.exchange import Exchange
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.upstream import UpstreamConnection
from tests.support.wires import StepLoop, Wire, upstream_on

#: Larger than any head the proxy lets through, so that only the proxy's limits show.
_H11_LIMIT: Final = 256 * 1024
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Seen:
    """A request as a server has read it."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]]
    minor: int
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_complete: bool = False


@dataclass(frozen=True)
class Reply:
    """What a server sends, in pieces, and whether it then closes."""

    pieces: tuple[bytes, ...] = (OK,)
    closes: bool = False


class Server:
    """The far end of one upstream connection."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_H11_LIMIT)
        self._read = 0
        #: requests that came on this connection
        self.seen: list[Seen] = []
        #: bytes of a tunnel
        self.tunnelled = bytearray()
        self.is_switched = False
        self.wire = Wire(scene.loop)
        self.upstream = upstream_on(self.wire)

    def look(self) -> bool:
        """
        Read what has been written, and answer what is complete; whether there was something.

        Raises:
            h11.RemoteProtocolError: what the proxy wrote is not HTTP.
        """
        data = bytes(self.wire.out[self._read :])
        self._read += len(data)
        if self.is_switched:
            self.tunnelled += data
            return bool(data)
        if not data:
            return False
        self._parser.receive_data(data)
        while (event := self._parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            self._take(event)
        return True

    def _take(self, event: object) -> None:
        match event:
            case h11.Request():
                fields = [(bytes(name), bytes(value)) for name, value in event.headers]
                minor = int(event.http_version[-1:])
                self.seen.append(Seen(bytes(event.method), bytes(event.target), fields, minor))
                if self._scene.answers_early:
                    self._reply()
            case h11.Data():
                self.seen[-1].body += event.data
            case h11.EndOfMessage():
                seen = self.seen[-1]
                seen.trailers = [(bytes(name), bytes(value)) for name, value in event.headers]
                seen.is_complete = True
                self._scene.log.append(seen)
                behind = self._parser.trailing_data[0]
                # One request in flight (trap 7): the parser is done, and is not there to judge our answers.
                self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_H11_LIMIT)
                if not self._scene.answers_early:
                    self._reply()
                assert not behind or self.is_switched, "a second request before the first was answered"
                self.tunnelled += behind

    def _reply(self) -> None:
        scene = self._scene
        reply = scene.replies(self.seen[-1], scene.count)
        scene.count += 1
        self.is_switched = bool(reply.pieces) and reply.pieces[0].startswith(b"HTTP/1.1 101 ")
        for piece in reply.pieces:
            self.wire.arrive(piece)
        if reply.closes:
            self.wire.lose()


class Scene:
    """One client and what it talks to."""

    def __init__(
        self,
        replies: Callable[[Seen, int], Reply] = lambda _, __: Reply(),
        *,
        gated: bool = False,
        upgrades: tuple[str, ...] = (),
        connects: bool = True,
        answers_early: bool = False,
    ) -> None:
        """
        Args:
            replies: what a server says to a complete request, given how many there were before it.
            gated: whether the route is gated.
            upgrades: protocols besides WebSocket that the route lets take over.
            answers_early: whether servers answer as soon as they have read a head.
            connects: whether servers are there at once; otherwise `connect` says when.
        """
        self.loop = StepLoop()
        self.replies = replies
        self.count = 0
        self.servers: list[Server] = []
        self.requests: list[RequestHead] = []
        #: complete requests, in the order in which servers have read them
        self.log: list[Seen] = []
        self.tunnels: list[Exchange] = []
        #: the servers' ends of tunnels
        self.joined: list[UpstreamConnection] = []
        self.memo = FieldsMemo()
        self.timeouts = Timeouts()
        self.limits = Limits()
        #: limits that the client came up against
        self.refusals: list[Limit] = []
        self.is_draining = False
        self.time = 1.0
        self.entry = Entry(
            path="/user/ada",
            body={"target": "http://192.0.2.1:80", "access": "open", "upgrades": list(upgrades)},
            last_activity=1.0,
        )
        self.answers_early = answers_early
        self._gated = gated
        self._connects = connects
        self._waiting: Exchange | None = None
        self._idle: list[UpstreamConnection] = []
        self.client = ClientConnection(self)
        self.wire = Wire(self.loop)
        self.wire.attach(self.client)

    @property
    def out(self) -> bytes:
        """What the client has been sent."""
        return bytes(self.wire.out)

    @property
    def idle(self) -> list[UpstreamConnection]:
        """Connections in the pool."""
        return [upstream for upstream in self._idle if not upstream.transport.is_closing()]

    def send(self, *pieces: bytes) -> Scene:
        """The client sends *pieces*, and everybody does what follows from each."""
        for piece in pieces:
            self.wire.arrive(piece)
            self.settle()
        return self

    def end(self) -> Scene:
        """The client will send no more."""
        self.wire.arrive_end()
        self.settle()
        return self

    def connect(self) -> None:
        """The server that is waited for is there now."""
        exchange, self._waiting = self._waiting, None
        assert exchange is not None
        self.loop.run(lambda: self._start(exchange))
        self.settle()

    def settle(self) -> None:
        """Until nobody has anything left to do."""
        self.loop.run()
        while any(server.look() for server in list(self.servers)):
            self.loop.run()

    # what a client's connection needs

    def now(self) -> float:
        return self.time

    def admit(self, client: ClientConnection) -> bool:
        del client
        return True

    def leave(self, client: ClientConnection) -> None:
        del client

    def refused(self, limit: Limit) -> None:
        self.refusals.append(limit)

    def release(self, session: str) -> None:
        del session

    def ended(self, client: ClientConnection) -> None:
        del client

    def serve(self, client: ClientConnection, request: RequestHead) -> None:
        self.requests.append(request)
        request.allow_upgrade(self.entry.upgrades)
        exchange = Exchange(
            client=client,
            surroundings=self,
            request=request,
            head=request.render(target=request.target, gated=self._gated, added=b""),
            entry=self.entry,
            claims=None,
            fence=Fence("/user/ada") if self._gated else None,
        )
        client.exchange = exchange
        if self._connects:
            self._start(exchange)
        else:
            client.hold_for_connect(hold=True)
            self._waiting = exchange

    def show_error(self, client: ClientConnection, status: int, exchange: Exchange) -> None:
        del exchange
        client.answer(Answer(status=status))

    # what an exchange needs

    def put_back(self, upstream: UpstreamConnection) -> None:
        self._idle.append(upstream)

    def reconnect(self, exchange: Exchange) -> None:
        self.loop.call_soon(self._start, exchange)

    def join(self, exchange: Exchange, upstream: UpstreamConnection) -> None:
        client: Any = exchange.client
        upstream.transport.write(client.become_tunnel())
        self.tunnels.append(exchange)
        self.joined.append(upstream)

    def _start(self, exchange: Exchange) -> None:
        idle = self.idle
        self._idle.clear()
        if idle:
            upstream = idle[0]
            upstream.is_reused = True
        else:
            upstream = self._new_server().upstream
        exchange.start(upstream)
        if not self._connects and isinstance(exchange.client, ClientConnection):
            exchange.client.hold_for_connect(hold=False)

    def _new_server(self) -> Server:
        server = Server(self)
        self.servers.append(server)
        return server
