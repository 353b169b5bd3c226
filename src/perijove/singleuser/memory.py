"""
Warns whoever has this server open before its memory runs out: this is where its own control group is looked at.

What crosses the line is told to pages as an event of Jupyter Server, over the WebSocket that they have open anyway; a
page that is opened later asks once. Killing is the kernel's business, and telling of that is the launcher's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import authenticated

from perijove.kit import cgroups
from perijove.kit.cgroups import Memory
from perijove.kit.sizes import amount
from perijove.wire.notebook import OWN

#: below the server's base URL
MEMORY_PATH: Final = f"{OWN}memory"
#: key of Tornado's settings
SETTING: Final = "perijove_memory"
#: Part of the limit above which a user is warned, and below which the warning is withdrawn.
WARN_ABOVE: Final = 0.9
WITHDRAW_BELOW: Final = 0.8
#: Seconds between two looks: reading two small files.
LOOK_SECONDS: Final = 2.0
SCHEMA_ID: Final = "https://schemas.perijove.org/memory/v1"
SCHEMA: Final = {
    "$id": SCHEMA_ID,
    "version": "1",
    "title": "Memory of a server",
    "description": "Whether a server is about to run out of memory.",
    "type": "object",
    "properties": {
        "warn": {"type": "boolean"},
        "used": {"type": "integer", "description": "bytes"},
        "limit": {"type": "integer", "description": "bytes; 0: none"},
        "message": {"type": "string"},
    },
    "required": ["warn", "used", "limit", "message"],
}


class MemoryWatch:
    """
    Looks at a control group, and tells when it fills up and when it no longer does.

    Args:
        group: directory and version of the group; None: there is none.
        tell: called with what a page shows, whenever that changes.
    """

    def __init__(self, *, group: tuple[Path, int] | None, tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._group = group
        self._tell = tell
        self._is_warned = False

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit to run into."""
        memory = self._read()
        return memory is not None and memory.limit is not None

    def model(self) -> dict[str, Any]:
        """What a page shows now."""
        memory = self._read()
        if memory is None or memory.limit is None:
            return {"warn": False, "used": memory.used if memory is not None else 0, "limit": 0, "message": ""}
        return {
            "warn": self._is_warned,
            "used": memory.used,
            "limit": memory.limit,
            "message": message(memory.used, memory.limit),
        }

    def look(self) -> None:
        """Look once; tell if something has changed."""
        if self._group is None:
            return
        directory, version = self._group
        if not self._is_warned and not cgroups.is_above(directory, version, WARN_ABOVE):
            return
        memory = self._read()
        if memory is None or memory.limit is None:
            return
        line = WITHDRAW_BELOW if self._is_warned else WARN_ABOVE
        is_above = memory.used > memory.limit * line
        if is_above is not self._is_warned:
            self._is_warned = is_above
            self._tell(self.model())

    async def keep_watching(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self) -> Memory | None:
        return cgroups.read_memory(*self._group) if self._group is not None else None


def message(used: int, limit: int) -> str:
    """What a user is told: JupyterLab shows 140 characters."""
    return (
        f"This server uses {amount(used)} of {amount(limit)} of memory. Beyond that, a kernel is killed: "
        "save, and shut down what you do not need."
    )


class MemoryHandler(APIHandler):
    """GET: what this server uses, and whether its user is to be warned."""

    auth_resource = "perijove"
    _track_activity = False

    @authenticated
    @authorized
    async def get(self) -> None:
        """As JSON."""
        watch: MemoryWatch = self.settings[SETTING]
        self.finish(watch.model())


HANDLERS: Final = ((MEMORY_PATH, MemoryHandler),)
