"""
Listening sockets that the proxy binds itself; those of a supervisor come by `kit/process.py`.
"""

from __future__ import annotations

import os
import resource
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from perijove.proxy.core.errors import ProxyError

#: Connections that wait to be accepted.
BACKLOG: Final = 1024


class CannotListen(ProxyError):
    """The proxy cannot listen at this address."""


def bind_tcp(host: str, port: int, *, copies: int = 1) -> list[socket.socket]:
    """
    Sockets that listen on *port* of *host*; an empty *host* is all interfaces, IPv4 and IPv6.

    With *copies* there are so many for each address, and the kernel spreads connections over them.

    Raises:
        CannotListen: the address is in use, or not ours.
    """
    try:
        infos = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        return [sock for family, _, _, _, address in infos for sock in _bind_copies(family, address, copies)]
    except OSError as exc:
        raise CannotListen(f"Cannot listen on {host or '*'}:{port}: {exc.strerror or exc}") from exc


def bind_unix(path: Path, *, mode: int) -> socket.socket:
    """
    A unix socket at *path* with exactly *mode*; a dead one that is in the way is replaced.

    Raises:
        CannotListen: something else is there, or it cannot be made.
    """
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        _clear(path)
        # No moment at which others could connect: the mode is right from the start.
        before = os.umask(0o777 & ~mode)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise CannotListen(f"Cannot listen on {path}: {exc.strerror or exc}") from exc
    return sock


def raise_descriptor_limit() -> None:
    """Allow this process and its copies all the descriptors that the system lets it have: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Some systems call a hard limit unlimited and refuse it then.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe(sock: socket.socket, *, scheme: str = "http") -> str:
    """The address of *sock* for the log; *scheme* is what is spoken there."""
    name = sock.getsockname()
    if isinstance(name, str):
        return name
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"{scheme}://{host}:{name[1]}"


def _bind_copies(family: int, address: tuple[Any, ...], copies: int) -> list[socket.socket]:
    # The first alone: a second proxy of the same user must find the address taken, not share it.
    first = _bind(family, address)
    if copies == 1:
        return [first]
    address = first.getsockname()
    first.close()
    return [_bind(family, address, shared=True) for _ in range(copies)]


def _bind(family: int, address: tuple[Any, ...], *, shared: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _clear(path: Path) -> None:
    """Remove a socket at *path* that nobody listens on."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
