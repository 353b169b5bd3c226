"""
Applies a control call to everything it concerns: table, door, open connections, snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup
from perijove.proxy.control.api import read_revocation
from perijove.proxy.core.errors import BadControlCall
from perijove.proxy.core.routes import Entry, RouteTable
from perijove.proxy.net.door import Door
from perijove.proxy.snapshot import Snapshot, read_snapshot, write_snapshot
from perijove.wire.control import Revocation
from perijove.wire.routes import LAST_ACTIVITY

log = structlog.get_logger(__name__)

#: Seconds during which changes are gathered before the snapshot is written.
DEBOUNCE_SECONDS: Final = 0.1


class Backend:
    """The control API's view of the running proxy."""

    def __init__(
        self,
        *,
        table: RouteTable,
        door: Door,
        retire: Callable[[list[Entry]], None],
        clock: Clock,
        tasks: TaskGroup,
        snapshot: Path | None,
        instance: str,
    ) -> None:
        self._table = table
        self._door = door
        self._retire = retire
        self._clock = clock
        self._tasks = tasks
        self._snapshot = snapshot
        self._instance = instance
        self._is_dirty = False

    def routes(self) -> dict[str, dict[str, Any]]:
        """Part of `ControlBackend`."""
        return {entry.path: {**entry.body, LAST_ACTIVITY: entry.last_activity} for entry in self._table}

    def put_route(self, path: str, body: Mapping[str, Any]) -> None:
        """Part of `ControlBackend`."""
        self._retire(self._table.put(path, body, now=self._now()))
        self._changed()

    def remove_route(self, path: str) -> bool:
        """Part of `ControlBackend`."""
        retired = self._table.remove(path)
        self._retire(retired)
        self._changed()
        return bool(retired)

    def replace_routes(self, bodies: Mapping[str, Mapping[str, Any]]) -> None:
        """Part of `ControlBackend`."""
        self._retire(self._table.replace(bodies, now=self._now()))
        self._changed()

    def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Part of `ControlBackend`."""
        self._door.set_keys(jwks)
        self._changed()

    def revoke(self, revocation: Revocation) -> None:
        """Part of `ControlBackend`."""
        self._door.revoke(revocation)
        self._changed()

    def door(self) -> dict[str, Any]:
        """Part of `ControlBackend`."""
        return {
            "keys": [jwk["kid"] for jwk in self._door.jwks],
            "sessions": self._door.gate.sessions(),
            "revoked": len(self._door.revocations),
            "instance": self._instance,
        }

    def restore(self) -> None:
        """Take over what the last proxy wrote down."""
        snapshot = read_snapshot(self._snapshot) if self._snapshot else None
        if snapshot is None:
            return
        self._door.is_on = self._door.is_on or snapshot.door
        try:
            if snapshot.keys:
                self._door.set_keys(snapshot.keys)
            for body in snapshot.revocations:
                self._door.revocations.add(read_revocation(body))
            self._table.replace(snapshot.routes, now=self._now())
        except BadControlCall as exc:
            log.warning("snapshot.unusable", reason=str(exc))
            return
        log.debug("snapshot.restored", routes=len(self._table), keys=len(self._door.jwks))

    def save(self) -> None:
        """Write down what there is, now."""
        self._is_dirty = False
        if self._snapshot is not None:
            write_snapshot(
                self._snapshot,
                Snapshot(
                    keys=self._door.jwks,
                    routes={entry.path: entry.body for entry in self._table},
                    revocations=[revocation.to_body() for revocation in self._door.revocations],
                    door=self._door.is_on,
                ),
            )

    def _changed(self) -> None:
        if self._snapshot is not None and not self._is_dirty:
            self._is_dirty = True
            self._tasks.start("snapshot", self._save_soon())

    async def _save_soon(self) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        self.save()

    def _now(self) -> float:
        return self._clock.now().timestamp()
