"""
Servers on this machine, forked or executed by the launcher.
"""

from __future__ import annotations

import asyncio
import contextlib
import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from traitlets import Bool, Integer, Unicode

from perijove.spawners import overrides
from perijove.spawners.base import Backend, Spawner
from perijove.spawners.errors import BackendUnreachable, StopTimedOut
from perijove.spawners.launcher_client import LauncherClient
from perijove.spawners.values import NOBODY, BackendSettings, Handle, Running, SpawnerUser, SpawnRequest
from perijove.wire.launcher import ExitReport, Launched, LaunchRequest, Limits
from perijove.wire.routes import unix_origin

#: Seconds between two looks at a server that is about to end: doubled from the first to the last.
FIRST_LOOK, LAST_LOOK = 0.02, 0.5
#: trait → the limit that the launcher is asked for
_LIMITS: Final[Mapping[str, str]] = {
    "mem_limit": "memory",
    "mem_guarantee": "memory_guarantee",
    "cpu_limit": "cpu",
    "cpu_guarantee": "cpu_guarantee",
    "processes_limit": "processes",
    "open_files_limit": "open_files",
}
#: Format of the handle, for readers of a later version.
_HANDLE_VERSION: Final = 1


class LocalSpawner(Spawner):
    """Forks the warm template (0.1 s) or runs `cmd`, as a system user per person if the launcher is root."""

    system_user_prefix = Unicode(
        help="Put before a user's name to make the name of the system user, for instance 'jupyter-'."
    ).tag(config=True)
    create_system_users = Bool(True, help="Make missing system users, with a home directory.").tag(config=True)
    home_dir = Unicode(help="Home directory; {username} is replaced. Empty: the system user's own.").tag(config=True)
    open_files_limit = Integer(None, allow_none=True, help="Most open files of one process.").tag(config=True)
    processes_limit = Integer(
        None,
        allow_none=True,
        help="Most processes and threads of a server with its kernels; without control groups, of the system user.",
    ).tag(config=True)
    term_timeout = Integer(30, help="Seconds a server gets to end by itself before it is killed.").tag(config=True)
    kill_timeout = Integer(5, help="Seconds after that until stopping is given up.").tag(config=True)

    def __init__(
        self,
        *,
        user: SpawnerUser = NOBODY,
        server_name: str = "",
        backend: LauncherClient | None = None,
        user_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(user=user, server_name=server_name, backend=backend, user_options=user_options, **kwargs)
        self._client = backend

    @property
    def _launcher(self) -> LauncherClient:
        if self._client is None:
            raise BackendUnreachable("this spawner was made without a launcher")
        return self._client

    @classmethod
    def open_backend(cls, settings: BackendSettings) -> contextlib.AbstractAsyncContextManager[Backend]:
        """A client of the launcher."""
        return LauncherClient(settings.launcher_socket, environment=settings.environment)

    @classmethod
    def place(cls, settings: BackendSettings) -> str:
        """This machine, and the launcher on it."""
        return f"{_machine()} {settings.launcher_socket.resolve()}"

    async def unenforceable_here(self) -> Mapping[str, str]:
        """What the launcher says that this machine cannot hold; it is only asked if there is something to hold."""
        wanted = {name: value for name, value in self._limit_traits().items() if value is not None}
        of_groups = [name for name in _LIMITS if overrides.is_overridden(self.group_overrides, name)]
        if not wanted and not of_groups:
            return {}
        refused, for_all = limits_of(await self._launcher.hello())
        answer = {name: refused[_LIMITS[name]] for name in (*wanted, *of_groups) if _LIMITS[name] in refused}
        for name, whole in (("mem_guarantee", "memory"), ("cpu_guarantee", "cpu"), ("open_files_limit", "open_files")):
            most = for_all.get(whole)
            if name not in answer and name in wanted and most is not None and wanted[name] > most:
                asked, there = overrides.shown(name, wanted[name]), overrides.shown(name, most)
                answer[name] = f"{asked} is more than the {there} that there is here for all servers"
        return answer

    async def warnings_here(self) -> Sequence[str]:
        """What the launcher says of itself."""
        return tuple(str(warning) for warning in (await self._launcher.hello()).get("warnings", ()))

    def _limit_traits(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in _LIMITS}

    async def start(self, request: SpawnRequest) -> Running:
        """Ask the launcher; it answers as soon as the server's socket listens."""
        return _running(await self._launcher.launch(self.launch_request(request), timeout=self.start_timeout))

    async def find(self, request: SpawnRequest) -> Running | None:
        """Look for a server of this generation."""
        running, _ = await self._launcher.inspect(request.key)
        if running is None or running.generation != request.generation:
            return None
        return _running(running)

    async def poll(self, handle: Handle) -> ExitReport | None:
        """Look whether this very server runs."""
        key, generation = str(handle["key"]), int(handle["generation"])
        running, exited = await self._launcher.inspect(key)
        if running is not None and running.generation == generation:
            return None
        if exited is not None and exited.generation == generation:
            return exited
        return ExitReport(
            key=key,
            generation=generation,
            reason="unknown",
            status=-1,
            message="It is gone, and nobody saw how it ended.",
            asked=False,
        )

    async def stop(self, handle: Handle, *, now: bool = False) -> None:
        """SIGTERM, then SIGKILL to all its processes."""
        if await self.poll(handle) is None:
            await self._end(handle, grace=0.0 if now else float(self.term_timeout))

    async def abandon(self, request: SpawnRequest) -> None:
        """The launcher waits for a launch under way, and refuses one that comes later."""
        await self._end({"key": request.key, "generation": request.generation}, grace=float(self.term_timeout))

    async def _end(self, handle: Handle, *, grace: float) -> None:
        await self._launcher.terminate(str(handle["key"]), int(handle["generation"]), grace=grace)
        try:
            async with asyncio.timeout(grace + self.kill_timeout):
                await self._wait_until_gone(handle)
        except TimeoutError as exc:
            raise StopTimedOut from exc

    async def progress(self) -> AsyncIterator[Any]:
        """One step: it is over before there is anything to say."""
        async for step in super().progress():
            yield step

    def launch_request(self, request: SpawnRequest) -> LaunchRequest:
        """What the launcher is asked for."""
        return LaunchRequest(
            key=request.key,
            generation=request.generation,
            user=self.user.name,
            server_name=self.server_name,
            system_user=f"{self.system_user_prefix}{self.user.name}",
            create_user=self.create_system_users,
            home=self._filled(self.home_dir),
            environment=self.server_environment(request),
            argv=tuple(self.cmd),
            args=tuple(self.args),
            own_port=self.does_own_sign_in,
            limits=Limits(**{_LIMITS[name]: value for name, value in self._limit_traits().items()}),
        )

    async def _wait_until_gone(self, handle: Handle) -> None:
        pause = FIRST_LOOK
        while await self.poll(handle) is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_LOOK)


def limits_of(hello: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, float | None]]:
    """What a launcher cannot hold, with why, and what it has for all servers; an older one does not say."""
    return hello.get("refused", {}), hello.get("for_all", {})


def _machine() -> str:
    # Unlike a host name it cannot be another machine's, nor change while a hub runs.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        # Not Linux.
        return platform.node()


def _running(launched: Launched) -> Running:
    return Running(
        target=f"http://127.0.0.1:{launched.port}" if launched.port else unix_origin(launched.socket),
        handle={
            "version": _HANDLE_VERSION,
            "key": launched.key,
            "generation": launched.generation,
            "pid": launched.pid,
            "start_time": launched.start_time,
            "socket": launched.socket,
            "port": launched.port,
        },
    )
