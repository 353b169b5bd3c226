"""
One haproxy and what it has been told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import structlog

from perijove.proxy.core import haproxy_cli as cli
from perijove.proxy.core.haproxy_config import ACTIVITY_EXPIRES, ACTIVITY_TABLE, HaproxySettings
from perijove.proxy.core.haproxy_table import RouteSteps, RouteSync
from perijove.proxy.core.haproxy_verdicts import VerdictChanges
from perijove.proxy.core.routes import RouteTable
from perijove.proxy.core.statistics import Statistics
from perijove.proxy.haproxy.process import HaproxyProcess, write_files
from perijove.proxy.haproxy.runtime import RuntimeLost

log = structlog.get_logger(__name__)

#: Attempts to forget a closed server; after that it stays, closed and without weight, until the next start.
MAX_ATTEMPTS: Final = 1000
#: Seconds from the signal until a haproxy accepts no more.
RETIRE_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.005


class Generation:
    """A haproxy from its start to its end."""

    def __init__(self, *, process: HaproxyProcess, settings: HaproxySettings, routes: RouteSync) -> None:
        self.process = process
        self.routes = routes
        self.folder = Path(settings.paths.folder)
        self._paths = settings.paths
        self._started = time.monotonic()
        #: full names of closed servers -> attempts to forget them
        self._closed: dict[str, int] = {}

    @classmethod
    async def begin(
        cls,
        command: str,
        settings: HaproxySettings,
        *,
        table: RouteTable,
        links: Mapping[str, Path],
        is_door_on: bool,
        is_passing: bool,
        prepends_path: bool,
        number: int,
    ) -> Generation:
        """
        Start *command* with the whole of *table*; the rest is as for `RouteSync` and `write_files`.

        Raises:
            CannotStartHaproxy: it does not start.
        """
        routes = RouteSync(
            table=table,
            map_file=settings.paths.routes,
            is_passing=is_passing,
            prepends_path=prepends_path,
            number=number,
        )
        write_files(settings, routes.everything(is_door_on=is_door_on), links=links)
        process = await HaproxyProcess.start(command, settings)
        return cls(process=process, settings=settings, routes=routes)

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self._started

    async def take_back(self, verdicts: VerdictChanges) -> None:
        """Believe no longer what is gone."""
        await self.process.run(cli.delete_entry(self._paths.verdicts, key) for key in verdicts.gone)

    async def tell(self, verdicts: VerdictChanges) -> None:
        """Believe what is new."""
        file = self._paths.verdicts
        await self._silently(cli.set_entry(file, key, str(until)) for key, until in verdicts.renewed.items())
        await self._silently(cli.add_entry(file, key, str(until)) for key, until in verdicts.new.items())

    async def change_routes(self, steps: RouteSteps) -> None:
        """Carry out *steps*: first where to, then the map, then what nobody is sent to any more."""
        await self._silently(steps.servers)
        await self._silently(steps.entries)
        if steps.whole is not None:
            file = self._paths.routes
            version = cli.read_version((await self.process.run([cli.prepare(file)]))[0])
            await self._silently(cli.fill(file, version, steps.whole))
            await self._silently([cli.commit(file, version)])
        await self._silently(command for name in steps.retired for command in cli.close_server(name))
        self._closed |= dict.fromkeys(steps.retired, 0)

    async def cut(self, audiences: Iterable[str]) -> None:
        """Cut what is open to the servers of *audiences*."""
        await self.cut_servers(self.routes.servers_for(audiences))

    async def cut_servers(self, names: Iterable[str]) -> None:
        """Cut what is open to these servers; those that are not known have nothing open."""
        await self.process.run(cli.cut_sessions(name) for name in names)

    async def forget_servers(self) -> None:
        """Try to forget closed servers; those with an open connection stay a little longer."""
        names = list(self._closed)
        for name, answer in zip(names, await self.process.run(map(cli.delete_server, names)), strict=True):
            self._closed[name] += 1
            if cli.is_deleted(answer):
                del self._closed[name]
            elif self._closed[name] >= MAX_ATTEMPTS:
                log.warning("haproxy.server_stays", server=name, reason=answer.strip())
                del self._closed[name]

    async def retire(self) -> None:
        """
        Accept nothing more, and leave requests on what is open to the worker.

        Raises:
            RuntimeLost: it does not answer, or does not stop accepting.
        """
        await self._silently(cli.clear(file) for file in (self._paths.routes, self._paths.verdicts))
        self.process.drain()
        deadline = time.monotonic() + RETIRE_SECONDS
        while not cli.is_stopping((await self.process.run(["show info"]))[0]):
            if time.monotonic() > deadline:
                raise RuntimeLost("haproxy does not stop accepting connections")
            await asyncio.sleep(_POLL_SECONDS)

    async def is_idle(self) -> bool:
        """Whether the runtime socket is the only connection."""
        return cli.read_connections((await self.process.run(["show info"]))[0]) <= 1

    async def activity(self, *, now: float) -> dict[str, float]:
        """Route path -> seconds since the epoch of the last byte that haproxy has seen there."""
        answer = (await self.process.run([f"show table {ACTIVITY_TABLE}"]))[0]
        idle, paths = cli.read_idle_times(answer, expire=ACTIVITY_EXPIRES), self.routes.path_of()
        return {paths[server]: now - seconds for server, seconds in idle.items() if server in paths}

    async def statistics(self) -> Statistics:
        """What haproxy has served itself, and how many connections there are."""
        stat, info = await self.process.run(["show stat -1 2 -1", "show info"])
        counted = cli.read_counters(stat)
        # The runtime socket is one of them.
        counted.gauges.clients = max(0, cli.read_connections(info) - 1)
        return counted

    async def _silently(self, commands: Iterable[str]) -> None:
        bundle = list(commands)
        for command, answer in zip(bundle, await self.process.run(bundle), strict=True):
            cli.expect_silence(command, answer)
