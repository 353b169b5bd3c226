"""
Applies a control call to everything it concerns: the state, the engine that serves by it, the snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup
from perijove.proxy.control.api import read_revocation
from perijove.proxy.core.changes import Change, PutRoute, RemoveRoute, ReplaceRoutes, Revoke, SetKeys
from perijove.proxy.core.errors import BadControlCall, Outdated
from perijove.proxy.core.routes import tidy
from perijove.proxy.core.state import State
from perijove.proxy.engine import Engine
from perijove.proxy.net.door import read_keys
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
        state: State,
        engine: Engine,
        clock: Clock,
        tasks: TaskGroup,
        snapshot: Path | None,
        instance: str,
    ) -> None:
        """
        Args:
            state: what is known; changed here and nowhere else.
            engine: who serves by it.
            clock: the time.
            tasks: owner of the writing of snapshots.
            snapshot: where what is known survives; None: nowhere.
            instance: names this start of the proxy.
        """
        self._state = state
        self._engine = engine
        self._clock = clock
        self._tasks = tasks
        self._snapshot = snapshot
        self._instance = instance
        self._is_dirty = False

    async def routes(self) -> dict[str, dict[str, Any]]:
        """Part of `ControlBackend`."""
        self._state.note_activity(await self._engine.activity())
        return {path: {**body, LAST_ACTIVITY: used} for path, (body, used) in self._state.routes().items()}

    def version(self) -> str:
        """Part of `ControlBackend`."""
        # The numbers begin again with the proxy: what was read from the last one is of no table of this one.
        return f"{self._instance}-{self._state.table.version}"

    async def put_route(self, path: str, body: Mapping[str, Any]) -> None:
        """Part of `ControlBackend`."""
        await self._change(PutRoute(path, body))

    async def remove_route(self, path: str) -> bool:
        """Part of `ControlBackend`."""
        was_there = tidy(path) in self._state.table.bodies()
        await self._change(RemoveRoute(path))
        return was_there

    async def replace_routes(
        self, bodies: Mapping[str, Mapping[str, Any]], *, versions: Collection[str] | None
    ) -> None:
        """Part of `ControlBackend`."""
        # No `await` between this look and the change.
        if versions is not None and self.version() not in versions:
            raise Outdated
        await self._change(ReplaceRoutes(bodies))

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        """Part of `ControlBackend`."""
        read_keys(jwks)
        await self._change(SetKeys(jwks))

    async def revoke(self, revocation: Revocation) -> None:
        """Part of `ControlBackend`."""
        await self._change(Revoke(revocation))

    async def door(self) -> dict[str, Any]:
        """Part of `ControlBackend`."""
        return {
            "keys": [jwk["kid"] for jwk in self._state.jwks],
            "sessions": await self._engine.sessions(),
            "revoked": len(self._state.revocations),
            "instance": self._instance,
        }

    def save(self) -> None:
        """Write down what there is, now."""
        self._is_dirty = False
        if self._snapshot is not None:
            write_snapshot(
                self._snapshot,
                Snapshot(
                    keys=self._state.jwks,
                    routes={path: dict(body) for path, (body, _) in self._state.routes().items()},
                    revocations=[revocation.to_body() for revocation in self._state.revocations],
                    door=self._state.door,
                ),
            )

    async def _change(self, change: Change) -> None:
        self._state.apply(change, now=self._clock.now().timestamp())
        if self._snapshot is not None and not self._is_dirty:
            self._is_dirty = True
            self._tasks.start("snapshot", self._save_soon())
        await self._engine.apply(change)

    async def _save_soon(self) -> None:
        await asyncio.sleep(DEBOUNCE_SECONDS)
        self.save()


def restore(state: State, path: Path, *, now: float) -> None:
    """Take over what the last proxy wrote down at *path*; *now* is in seconds since the epoch."""
    snapshot = read_snapshot(path)
    if snapshot is None:
        return
    state.door = state.door or snapshot.door
    try:
        read_keys(snapshot.keys)
        state.apply(SetKeys(snapshot.keys), now=now)
        for body in snapshot.revocations:
            state.apply(Revoke(read_revocation(body)), now=now)
        state.apply(ReplaceRoutes(snapshot.routes), now=now)
    except BadControlCall as exc:
        log.warning("snapshot.unusable", reason=str(exc))
        return
    log.debug("snapshot.restored", routes=len(state.table), keys=len(state.jwks))
