"""
The sockets that servers listen on: bound before the server exists, so that nothing races and nothing polls.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Final

#: Connections that wait in the socket while the server still starts.
BACKLOG: Final = 512


def free_port() -> int:
    """
    A port of loopback that is free now, for a program that cannot be handed a socket.

    Somebody else may take it before that program does. Such a server asks its visitors who they are, and whoever sat
    on its port could not: the hub answers only who has the server's token.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def bind(path: Path, *, gid: int) -> socket.socket:
    """A unix socket at *path* that listens: for its owner, and the group *gid* unless that is -1."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        # The directory is the lock; the socket itself is for the hub's and the proxy's group.
        path.chmod(0o660)
        if gid >= 0:
            os.chown(path, -1, gid)
        listening.listen(BACKLOG)
        # The server's event loop accepts from it; a blocking accept would stop the loop.
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
