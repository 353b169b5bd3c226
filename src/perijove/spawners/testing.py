"""
An in-memory spawner for tests, which does as it is told: start, hang, fail, die, answer late.

It keeps the same contract as the real ones (tests/contract/spawners) and is safe to use anywhere: it
starts no process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from perijove.spawners.base import Backend, Spawner
from perijove.spawners.errors import SpawnFailed, SpawnRefused, StopTimedOut
from perijove.spawners.values import NOBODY, BackendSettings, Handle, Running, SpawnerUser, SpawnRequest
from perijove.wire.launcher import ExitReport


@dataclass(slots=True, kw_only=True)
class FakeServer:
    """A server that exists in memory only."""

    request: SpawnRequest
    environment: dict[str, str]
    target: str
    ended: ExitReport | None = None


@dataclass(slots=True, kw_only=True)
class FakeMachine:
    """
    Where fake servers run, and the switches that make it misbehave.

    Set `gate` to an unset event to make starts wait, `failure` to make them fail, `deaf` to make
    servers ignore being stopped.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    target: str = "http://127.0.0.1:9"
    #: starts wait until this is set; None: they do not wait
    gate: asyncio.Event | None = None
    #: starts fail with this sentence
    failure: str = ""
    #: servers cannot be stopped
    deaf: bool = False
    servers: dict[str, FakeServer] = field(default_factory=dict)
    #: how many servers were really started
    starts: int = 0
    #: newest generation of a key that was abandoned
    abandoned: dict[str, int] = field(default_factory=dict)
    _watchers: list[asyncio.Queue[ExitReport]] = field(default_factory=list)

    def end(self, key: str, *, reason: str = "exit", status: int = 1, message: str = "", asked: bool = False) -> None:
        """Let the server of *key* die."""
        server = self.servers[key]
        if server.ended is not None:
            return
        server.ended = ExitReport(
            key=key,
            generation=server.request.generation,
            reason=reason,
            status=status,
            message=message or f"It ended with exit code {status}.",
            asked=asked,
        )
        for queue in self._watchers:
            queue.put_nowait(server.ended)

    async def watch(self) -> AsyncIterator[ExitReport]:
        """Exits as they happen."""
        queue: asyncio.Queue[ExitReport] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)


class FakeSpawner(Spawner):
    """Starts servers on a `FakeMachine`."""

    def __init__(
        self,
        *,
        user: SpawnerUser = NOBODY,
        server_name: str = "",
        backend: FakeMachine | None = None,
        user_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        self.machine = backend or FakeMachine()
        super().__init__(user=user, server_name=server_name, backend=self.machine, user_options=user_options, **kwargs)

    @classmethod
    def open_backend(cls, settings: BackendSettings) -> contextlib.AbstractAsyncContextManager[Backend]:
        """A machine of its own."""
        return contextlib.nullcontext(FakeMachine(environment=settings.environment))

    async def start(self, request: SpawnRequest) -> Running:
        """Start as the machine's switches say."""
        found = await self.find(request)
        if found is not None:
            return found
        present = self.machine.servers.get(request.key)
        if present is not None and (present.ended is None or request.generation <= present.request.generation):
            raise SpawnRefused("another generation of this server has been started")
        if self.machine.gate is not None:
            await self.machine.gate.wait()
        if request.generation <= self.machine.abandoned.get(request.key, -1):
            raise SpawnRefused("this start was abandoned")
        if self.machine.failure:
            raise SpawnFailed(self.machine.failure)
        self.machine.starts += 1
        self.machine.servers[request.key] = FakeServer(
            request=request, environment=self.server_environment(request), target=self.machine.target
        )
        return _running(self.machine.servers[request.key])

    async def find(self, request: SpawnRequest) -> Running | None:
        """Look on the machine."""
        server = self.machine.servers.get(request.key)
        if server is None or server.ended is not None or server.request.generation != request.generation:
            return None
        return _running(server)

    async def abandon(self, request: SpawnRequest) -> None:
        """End it, and let it not come again."""
        self.machine.abandoned[request.key] = max(request.generation, self.machine.abandoned.get(request.key, -1))
        await super().abandon(request)

    async def poll(self, handle: Handle) -> ExitReport | None:
        """Look on the machine."""
        server = self.machine.servers.get(handle["key"])
        if server is not None and server.request.generation == handle["generation"]:
            return server.ended
        return ExitReport(
            key=handle["key"],
            generation=handle["generation"],
            reason="unknown",
            status=-1,
            message="It is gone, and nobody saw how it ended.",
            asked=False,
        )

    async def stop(self, handle: Handle, *, now: bool = False) -> None:
        """End it, unless the machine is deaf; `now` ends even a deaf one."""
        if await self.poll(handle) is not None:
            return
        if self.machine.deaf and not now:
            raise StopTimedOut
        self.machine.end(handle["key"], status=0, message="It was stopped.", asked=True)


def _running(server: FakeServer) -> Running:
    return Running(target=server.target, handle={"key": server.request.key, "generation": server.request.generation})
