"""
Where connections over TLS come in: accepted plainly, counted, and only then shaken hands with.

A connection that has said nothing costs a descriptor and no TLS state. Every one is done with its handshake, or
gone, within one deadline; who speaks plain HTTP is told so (as nginx does) instead of being left guessing.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol

import structlog

from perijove.kit.tasks import TaskGroup
from perijove.proxy.core.answers import Answer
from perijove.proxy.net.tls import CertificateStore

log = structlog.get_logger(__name__)

#: Connections accepted in one turn of the loop.
_BATCH: Final = 64
#: Seconds without accepting when there are no descriptors left.
EXHAUSTED_SECONDS: Final = 1.0
#: First byte of a TLS record that holds a handshake (RFC 8446 section 5.1).
_HANDSHAKE: Final = b"\x16"
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
#: Bytes of a plain request that are read before it is answered: unread ones would turn the answer into a reset.
_PLAIN_BYTES: Final = 64 * 1024
_NOT_TLS: Final = Answer(
    status=HTTPStatus.BAD_REQUEST,
    body=b"This port speaks https only.\n",
    content_type="text/plain; charset=utf-8",
).render(close=True, head_only=False)


class Admission(Protocol):
    """Who counts connections."""

    def begin_handshake(self, peer: str) -> str | None:
        """
        Count one more from the address *peer* (empty: a unix socket); answers what it is counted as, None if there is
        no room for it.
        """
        ...

    def end_handshake(self, ticket: str) -> None:
        """What was counted as *ticket* has become a client, or is gone."""
        ...


class TlsListener:
    """Serves one listening socket."""

    def __init__(
        self,
        *,
        sock: socket.socket,
        serve: Callable[[], asyncio.BaseProtocol],
        certificates: CertificateStore,
        admission: Admission,
        tasks: TaskGroup,
        handshake_timeout: float,
        shutdown_timeout: float,
    ) -> None:
        """
        Args:
            sock: listens, and does not block; it is closed by `close`.
            serve: makes the protocol of a connection.
            certificates: what is shown.
            admission: who counts connections before and during their handshake.
            tasks: owner of handshakes.
            handshake_timeout: seconds from the connection to the end of its handshake.
            shutdown_timeout: seconds that a closing connection has for what is still to be sent.
        """
        self._sock = sock
        self._serve = serve
        self._certificates = certificates
        self._admission = admission
        self._tasks = tasks
        self._handshake_timeout = handshake_timeout
        self._shutdown_timeout = shutdown_timeout
        self._loop = asyncio.get_running_loop()
        #: connections that have not said anything yet
        self._silent: set[_Arrival] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock.fileno(), self._accept)

    def set_timeouts(self, *, handshake: float, shutdown: float) -> None:
        """For connections from now on."""
        self._handshake_timeout = handshake
        self._shutdown_timeout = shutdown

    def close(self) -> None:
        """Accept nothing more; handshakes under way may end."""
        if self._sock.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for arrival in list(self._silent):
            arrival.leave()

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, name = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno not in _EXHAUSTED:
                    raise
                self._rest(exc)
                return
            sock.setblocking(False)
            peer = ""
            if isinstance(name, tuple):
                peer = str(name[0])
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ticket = self._admission.begin_handshake(peer)
            if ticket is None:
                sock.close()
            else:
                self._silent.add(_Arrival(self, sock, peer, ticket, self._loop))

    def _rest(self, exc: OSError) -> None:
        """Trying again at once would spin: the connection still waits."""
        log.error("tls.cannot_accept", reason=os.strerror(exc.errno or 0))
        self._loop.remove_reader(self._sock.fileno())
        self._pause = self._loop.call_later(EXHAUSTED_SECONDS, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    # what an arrival needs

    def heard(self, arrival: _Arrival) -> None:
        """It wants to shake hands."""
        self._silent.discard(arrival)
        self._tasks.start("handshake", self._shake_hands(arrival))

    def left(self, arrival: _Arrival) -> None:
        """It is gone."""
        self._silent.discard(arrival)
        self._admission.end_handshake(arrival.ticket)

    @property
    def handshake_timeout(self) -> float:
        """Seconds."""
        return self._handshake_timeout

    async def _shake_hands(self, arrival: _Arrival) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._serve,
                arrival.sock,
                ssl=self._certificates.context,
                ssl_handshake_timeout=max(arrival.deadline - self._loop.time(), 0.001),
                ssl_shutdown_timeout=self._shutdown_timeout,
            )
        except OSError as exc:
            # What clients do wrong here, and that they are gone, is no failure of ours.
            log.info("tls.handshake_failed", peer=arrival.peer, reason=_reason(exc))
        finally:
            self._admission.end_handshake(arrival.ticket)


class _Arrival:
    """A connection that is waited for to speak first."""

    __slots__ = ("_listener", "_loop", "_timer", "deadline", "peer", "sock", "ticket")

    def __init__(
        self, listener: TlsListener, sock: socket.socket, peer: str, ticket: str, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._listener = listener
        self._loop = loop
        self.sock = sock
        self.peer = peer
        self.ticket = ticket
        self.deadline = loop.time() + listener.handshake_timeout
        self._timer = loop.call_at(self.deadline, self.leave)
        loop.add_reader(sock.fileno(), self._spoke)

    def leave(self) -> None:
        """Close it."""
        self._forget()
        self.sock.close()
        self._listener.left(self)

    def _spoke(self) -> None:
        try:
            first = self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if first == _HANDSHAKE:
            self._forget()
            self._listener.heard(self)
            return
        if first:
            self._explain()
        self.leave()

    def _explain(self) -> None:
        with suppress(OSError):
            self.sock.recv(_PLAIN_BYTES)
            self.sock.send(_NOT_TLS)
            self.sock.shutdown(socket.SHUT_WR)

    def _forget(self) -> None:
        self._timer.cancel()
        self._loop.remove_reader(self.sock.fileno())


def _reason(exc: OSError) -> str:
    """Why a handshake failed: OpenSSL's word, or the system's."""
    return getattr(exc, "reason", None) or str(exc) or type(exc).__name__
