"""
Binds every listening socket once, before any part runs.
"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from perijove.supervisor.errors import AddressInUse, AddressRefused

#: Connections that may wait while a part is being started again.
BACKLOG: Final = 2048
#: sun_path of unix(7), less the final zero
MAX_SOCKET_PATH: Final = 107


def listen_tcp(ip: str, port: int, *, trait: str, shared: bool = False) -> socket.socket:
    """
    Listen on *ip*:*port*; an empty *ip* is every interface, IPv6 and IPv4.

    Several *shared* ones may listen at the same address.

    Raises:
        AddressInUse, AddressRefused: with what to change; *trait* is the option that names the port.
    """
    family = socket.AF_INET6 if ":" in ip or (not ip and socket.has_dualstack_ipv6()) else socket.AF_INET
    where = f"{ip or 'all interfaces'} port {port}"
    try:
        if not ip:
            dual = family == socket.AF_INET6
            return socket.create_server(
                ("", port), family=family, backlog=BACKLOG, dualstack_ipv6=dual, reuse_port=shared
            )
        return socket.create_server((ip, port), family=family, backlog=BACKLOG, reuse_port=shared)
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"Another program listens on {where} already. End it, or choose another port with --{trait}."
            ) from exc
        raise AddressRefused(
            f"The system does not let perijove listen on {where}: {os.strerror(exc.errno or 0)}."
        ) from exc


def listen_together(ip: str, port: int, *, count: int, trait: str) -> list[socket.socket]:
    """
    So many sockets that listen on *ip*:*port*, over which the kernel spreads connections.

    Raises:
        AddressInUse, AddressRefused: as `listen_tcp`.
    """
    # The first alone: a second perijove of the same user must find the address taken, not share it.
    first = listen_tcp(ip, port, trait=trait)
    if count == 1:
        return [first]
    port = first.getsockname()[1]
    first.close()
    return [listen_tcp(ip, port, trait=trait, shared=True) for _ in range(count)]


def listen_unix(path: Path, *, gid: int | None) -> socket.socket:
    """
    Listen on the socket file *path*, replacing a stale one. Only this user and, if given, group *gid* may connect.

    Raises:
        AddressRefused: the path is too long or its folder cannot be written.
    """
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise AddressRefused(
            f"{path} is too long for a socket ({MAX_SOCKET_PATH} bytes); choose a shorter runtime_dir."
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(FileNotFoundError):
            path.unlink()
        listener.bind(os.fspath(path))
        path.chmod(0o600 if gid is None else 0o660)
        if gid is not None:
            os.chown(path, -1, gid)
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        raise AddressRefused(f"perijove cannot listen on {path}: {exc.strerror}.") from exc
    return listener
