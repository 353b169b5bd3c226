"""
Names below `localhost` lead to this machine (RFC 6761, 6.3), also where the system's resolver does not know that.

Browsers know it by themselves.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def loopback_names() -> Iterator[None]:
    """In this process, for as long as this is open."""
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        is_here = isinstance(name, str) and name.rstrip(".").endswith(".localhost")
        return real("127.0.0.1" if is_here else host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        yield
