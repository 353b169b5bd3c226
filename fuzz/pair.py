"""
A client's connection and its exchanges, with both sides played from one string of bytes.

The first byte holds the settings; then comes what the client sends, and behind each `SEPARATOR` what a server
answers to the next request, of which the first byte says whether it then closes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import h11

from perijove.proxy.core.heads import HOP_BY_HOP
from tests.support.reading import as_the_proxy_reads
from tests.support.scene import OK, Reply, Scene, Seen

SEPARATOR: Final = b"\xff\xff"
_GATED: Final = 1
_EARLY: Final = 2
_UPGRADES: Final = 4
#: What the route lets take over besides WebSocket, if the script says so.
_PROTOCOL: Final = "x-own"
_CLOSES: Final = b"C"[0]
_SAFE: Final = {b"GET", b"HEAD", b"OPTIONS"}
_H11_LIMIT: Final = 256 * 1024


@dataclass(frozen=True)
class Script:
    """What both sides do."""

    gated: bool
    early: bool
    upgrades: bool
    #: bytes of a piece; 0: all at once
    step: int
    said: bytes
    answers: tuple[bytes, ...]

    @classmethod
    def read(cls, data: bytes) -> Script:
        """The script in *data*, which holds at least a byte."""
        said, *answers = data[1:].split(SEPARATOR)
        return cls(
            gated=bool(data[0] & _GATED),
            early=bool(data[0] & _EARLY),
            upgrades=bool(data[0] & _UPGRADES),
            step=data[0] >> 3,
            said=said,
            answers=tuple(answers),
        )

    def reply(self, number: int) -> Reply:
        """What the server answers to the request with this number."""
        if number >= len(self.answers):
            return Reply((OK,))
        answer = self.answers[number]
        return Reply(tuple(self.cut(answer[1:])), closes=answer[:1] == bytes([_CLOSES]))

    def cut(self, data: bytes) -> list[bytes]:
        """*data* in pieces."""
        step = self.step or max(1, len(data))
        return [data[place : place + step] for place in range(0, len(data), step)]


def check_pair(data: bytes) -> None:
    """
    Whatever a client and its servers send:

    - nothing is raised;
    - servers read complete requests that the client has sent, in order, none twice unless that is safe, and no others;
    - they get no field that ends at this hop but an upgrade that the route allows, no trailers, one request at a time;
    - the client gets answers that h11 understands, without trailers, at most one to a request, and never an
      incomplete one that looks complete: it was cut, or goes on, or its connection was said to end with it;
    - when the client is gone every connection to a server is closed, or idle in the pool, or a tunnel's.
    """
    if not data:
        return
    script = Script.read(data)
    scene = Scene(
        lambda _, number: script.reply(number),
        gated=script.gated,
        upgrades=(_PROTOCOL,) if script.upgrades else (),
        answers_early=script.early,
    )
    scene.send(*script.cut(script.said))
    _check_servers(scene, script)
    _check_client(scene)
    scene.end()
    scene.wire.lose()
    scene.settle()
    _check_nothing_is_left(scene)


def _check_servers(scene: Scene, script: Script) -> None:
    sent = [(view.method, view.target, view.body) for view in as_the_proxy_reads(script.said, routed=False)]
    for seen in scene.log:
        wanted = (seen.method, seen.target, bytes(seen.body))
        # A request that was tried again on a new connection comes twice.
        while sent and sent[0] != wanted:
            assert sent.pop(0)[0] in _SAFE, f"{wanted} was never sent, or out of order"
        assert sent, f"{wanted} was never sent"
        if wanted[0] not in _SAFE:
            sent.pop(0)
        _check_fields(seen, {b"websocket", _PROTOCOL.encode()} if script.upgrades else {b"websocket"})


def _check_fields(seen: Seen, protocols: set[bytes]) -> None:
    names = {name for name, _ in seen.fields}
    is_upgrade = any(name == b"upgrade" and value in protocols for name, value in seen.fields)
    assert not (HOP_BY_HOP - ({b"connection", b"upgrade"} if is_upgrade else set())) & names
    assert b"x-perijove-identity" not in names
    assert seen.trailers == []


def _check_client(scene: Scene) -> None:
    out, requests = scene.out, list(scene.requests)
    while out:
        method = requests.pop(0).method if requests else b"GET"
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_H11_LIMIT)
        # An upgrade that h11 does not know of would make it refuse the switch.
        headers = [("Host", "x"), ("Connection", "upgrade"), ("Upgrade", "websocket")]
        connection.send(h11.Request(method=method, target="/", headers=headers))
        connection.send(h11.EndOfMessage())
        connection.receive_data(out)
        rest = _read_answer(connection, scene)
        if rest is None:
            return
        assert len(rest) < len(out)
        out = rest


def _read_answer(connection: h11.Connection, scene: Scene) -> bytes | None:
    """What follows the next answer; None if that is the last thing there is to look at."""
    says_close = False
    while True:
        match connection.next_event():
            case h11.InformationalResponse(status_code=101):
                assert [exchange.request.is_upgrade for exchange in scene.tunnels] == [True]
                return None
            case h11.InformationalResponse():
                pass
            case h11.Response(headers=headers):
                says_close = (b"connection", b"close") in [(bytes(name), bytes(value)) for name, value in headers]
            case h11.EndOfMessage(headers=trailers):
                assert not list(trailers)
                rest = connection.trailing_data[0]
                assert not (says_close and rest), "bytes behind the last answer"
                assert scene.wire.has_ended or not says_close
                return rest
            case h11.Data():
                pass
            case event:
                assert event in {h11.NEED_DATA, h11.PAUSED}
                # Incomplete: cut, or going on, or ended by the end of the connection and said to be.
                assert scene.wire.is_cut or not scene.wire.has_ended or says_close
                return None


def _check_nothing_is_left(scene: Scene) -> None:
    tunnels = {id(upstream) for upstream in scene.joined}
    for server in scene.servers:
        is_kept = server.upstream in scene.idle
        assert server.wire.is_closed or is_kept or id(server.upstream) in tunnels, "a connection that nobody owns"
        assert server.upstream.borrower is None
        # The next request would be taken for the rest of the last one.
        assert not is_kept or all(seen.is_complete for seen in server.seen)
    assert scene.client.exchange is None
