"""
The wish that the hub's process ends: who has it, says so here; `life.py` waits for it.
"""

from __future__ import annotations

import asyncio


class Ending:
    """Set when the process should end; says whether the users' servers end with it."""

    def __init__(self, *, stop_servers: bool) -> None:
        self.asked = asyncio.Event()
        self.stop_servers = stop_servers
        #: whether somebody said what is to become of the servers, rather than the configuration
        self.is_said = False

    def ask(self, stop_servers: bool | None = None, stop_proxy: bool | None = None) -> None:  # noqa: ARG002, FBT001
        """The proxy is the supervisor's to stop: it ends with the whole deployment, not with the hub."""
        if stop_servers is not None:
            self.stop_servers = stop_servers
            self.is_said = True
        self.asked.set()
