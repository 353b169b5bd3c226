"""
Processes of services that the hub runs: `hub.ports.ServiceProcesses` by way of the launcher.

They are launched like servers, on keys that no user's server can have, each as a system user of its own. So they have
neither the hub's rights nor each other's, outlive a hub, and are found again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from perijove.hub.domain.errors import LauncherAway, LaunchFailed
from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.ports import Exit
from perijove.spawners.errors import BackendUnreachable, SpawnerError
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import LaunchRequest

#: Begins what stands for a user's name. The space is in no user's name, so that no server and no person is meant.
_MARK: Final = "service "
#: seconds until the launcher must have started one
START_SECONDS: Final = 30.0
#: seconds that one gets to end by itself, and after that until it must be gone
GRACE_SECONDS: Final = 10.0
KILL_SECONDS: Final = 5.0
#: seconds between looks at one that ends
_LOOK: Final = 0.1


class LauncherServiceProcesses:
    """Use as `async with LauncherServiceProcesses.open(path) as processes:`."""

    def __init__(self, client: LauncherClient, *, system_user_prefix: str = "") -> None:
        self._client = client
        self._prefix = system_user_prefix

    @classmethod
    @asynccontextmanager
    async def open(cls, socket: Path, *, system_user_prefix: str = "") -> AsyncIterator[LauncherServiceProcesses]:
        """
        Connects when it is first needed.

        Args:
            socket: the launcher's.
            system_user_prefix: what the names of system users begin with that are made here.
        """
        async with LauncherClient(socket) as client:
            yield cls(client, system_user_prefix=system_user_prefix)

    async def start(self, service: ManagedService, generation: int, environment: Mapping[str, str]) -> None:
        """
        Start this run, unless it runs already.

        Raises:
            LaunchFailed: it could not be started, or has ended before.
            LauncherAway: nothing is known; ask again.
        """
        whose = f"{_MARK}{service.name}"
        request = LaunchRequest(
            key=_key(service.name),
            generation=generation,
            user=whose,
            server_name="",
            system_user=service.user or f"{self._prefix}{whose}",
            create_user=not service.user,
            home="",
            environment=environment,
            argv=service.command,
            directory=service.cwd,
            listens=False,
            walled=False,
        )
        try:
            await self._client.launch(request, timeout=START_SECONDS)
        except BackendUnreachable as exc:
            raise LauncherAway(str(exc)) from exc
        except SpawnerError as exc:
            raise LaunchFailed(str(exc)) from exc

    async def poll(self, name: str, generation: int) -> Exit | None:
        """None while it runs. Raises LauncherAway."""
        try:
            running, exited = await self._client.inspect(_key(name))
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc
        if running is not None and running.generation == generation:
            return None
        if exited is not None and exited.generation == generation:
            return Exit(message=exited.message, log_tail=exited.log_tail, asked=exited.asked)
        return Exit(message="It is gone, and nobody saw how it ended.")

    async def end(self, name: str, generation: int) -> None:
        """Ask it to go; answers when it is gone. Raises LauncherAway."""
        try:
            await self._client.terminate(_key(name), generation, grace=GRACE_SECONDS)
            async with asyncio.timeout(GRACE_SECONDS + KILL_SECONDS):
                await self._wait_until_gone(name, generation)
        except TimeoutError as exc:
            raise LauncherAway(f"The service {name} does not end.") from exc
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc

    async def _wait_until_gone(self, name: str, generation: int) -> None:
        while True:
            if await self.poll(name, generation) is not None:
                return
            await asyncio.sleep(_LOOK)

    async def running(self) -> Mapping[str, int]:
        """The services that run, with their generations. Raises LauncherAway."""
        try:
            launched = await self._client.list_servers()
        except SpawnerError as exc:
            raise LauncherAway(str(exc)) from exc
        return {
            entry.key.removeprefix(_MARK).removesuffix("/"): entry.generation
            for entry in launched
            if entry.key.startswith(_MARK)
        }


def _key(name: str) -> str:
    return f"{_MARK}{name}/"
