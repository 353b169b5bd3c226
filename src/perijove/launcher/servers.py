"""
The servers that run here: launched once per generation, watched, stopped with all their processes.

Knows nothing of the socket protocol (protocol.py) or of how a fork is made (templates.py). All methods
run on one event loop; per key, launches take turns.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from perijove.kit import processes
from perijove.kit.tasks import TaskGroup
from perijove.launcher import disks, ending, logfiles
from perijove.launcher.accounts import Accounts
from perijove.launcher.capacity import Capacity, group_name
from perijove.launcher.errors import AlreadyRunning, LaunchFailed, Stale
from perijove.launcher.layout import Layout
from perijove.launcher.reasons import UNKNOWN, Facts
from perijove.launcher.records import Record, Records
from perijove.launcher.server import Server, end_of
from perijove.launcher.server import report as report_of
from perijove.launcher.starting import Starter
from perijove.wire.launcher import ExitReport, Launched, LaunchRequest

log = structlog.get_logger(__name__)

#: Lines of the log that an exit report carries.
REPORTED_LINES: Final = 50
#: Seconds between two looks at the size of the logs.
LOG_LOOK_SECONDS: Final = 2.0
#: Seconds that a file system may take to say how full it is.
DISK_TIMEOUT: Final = 2.0


class Servers:
    """
    Launches, finds again, watches and stops servers.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        accounts: Accounts,
        starter: Starter,
        records: Records,
        capacity: Capacity,
        tasks: TaskGroup,
        tell: Callable[[ExitReport], None],
    ) -> None:
        self._layout = layout
        self._accounts = accounts
        self._starter = starter
        self._records = records
        self._capacity = capacity
        self._tasks = tasks
        self._tell = tell
        self._running: dict[str, Server] = {}
        self._exits: dict[str, ExitReport] = {}
        self._newest: dict[str, int] = {}
        #: newest generation of a key that was to end: it must not be launched any more
        self._unwanted: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def adopt(self) -> None:
        """Find the servers of an earlier launcher again; report those that ended without a witness."""
        for report in self._records.exits():
            self._exits[report.key] = report
            self._newest[report.key] = report.generation
        for record in self._records.running():
            launched = record.launched
            self._newest[launched.key] = max(launched.generation, self._newest.get(launched.key, 0))
            if processes.is_alive(launched.pid, launched.start_time):
                log.debug("server.adopted", key=launched.key, pid=launched.pid)
                self._watch(self._adopted(record, end_of(launched.pid), is_seen=True))
            else:
                gone = asyncio.get_running_loop().create_future()
                gone.set_result(0)
                self._watch(self._adopted(record, gone, is_seen=False))

    def _adopted(self, record: Record, ended: asyncio.Future[int], *, is_seen: bool) -> Server:
        """A server of an earlier launcher; what its group counted before counts only if nobody saw its end."""
        groups, name = self._capacity.groups, group_name(record.launched)
        group = name if groups.joining(name) else ""
        memory = groups.memory(group) if group and is_seen else None
        kills = memory.kills if memory is not None else 0
        return Server(record=record, ended=ended, group=group, adopted=True, kills_before=kills)

    def running(self) -> list[Launched]:
        """What runs now."""
        return [server.launched for server in self._running.values()]

    def records(self) -> list[Record]:
        """The same, with what the launcher alone knows."""
        return [server.record for server in self._running.values()]

    def note_kills(self, key: str, kills: int) -> None:
        """Of the processes under *key*, *kills* were killed for memory and somebody has been told why."""
        if (server := self._running.get(key)) is not None:
            server.kills_before = max(server.kills_before, kills)

    def inspect(self, key: str) -> tuple[Launched | None, ExitReport | None]:
        """What runs under *key*, and how the run before ended."""
        server = self._running.get(key)
        return (server.launched if server else None), self._exits.get(key)

    async def launch(self, request: LaunchRequest) -> Launched:
        """
        Start the server of *request*, or answer the one that this generation has already.

        Raises:
            LauncherError: it was not started; see its subclass.
        """
        turn = self._turns.setdefault(request.key, asyncio.Lock())
        async with turn:
            running = self._running.get(request.key)
            newest = self._newest.get(request.key, -1)
            if running is not None and running.launched.generation == request.generation:
                return running.launched
            if request.generation < newest:
                raise Stale
            if running is not None:
                raise AlreadyRunning
            if request.generation == newest and not self._was_never_seen(request):
                raise Stale("this generation has been launched already, and has ended")
            account = await self._accounts.account(request)
            try:
                server = await self._starter.start(request, account)
            except OSError as exc:
                raise LaunchFailed(f"the server could not be launched: {exc}") from exc
            self._newest[request.key] = request.generation
            self._watch(server)
            log.debug("server.launched", key=request.key, pid=server.launched.pid, uid=account.uid)
            return server.launched

    async def terminate(self, key: str, generation: int, grace: float) -> None:
        """
        Ask a server to end, and kill it and all its processes if it has not after *grace* seconds.

        A launch of this generation that is under way is waited for, and one that comes later is refused: whoever
        asked for it may be gone, and nobody would know of the server.

        Raises:
            Stale: a newer generation runs.
        """
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            self._newest[key] = self._unwanted[key] = max(generation, self._newest.get(key, -1))
            server = self._running.get(key)
            if server is None:
                return
            if generation < server.launched.generation:
                raise Stale
            self._end(server, grace)

    def _was_never_seen(self, request: LaunchRequest) -> bool:
        """
        Whether this generation ended while no launcher watched, and is still wanted: its launcher was probably killed
        before it let the child go on, and whoever asks again has never had an answer.
        """
        end = self._exits.get(request.key)
        is_unseen = end is not None and end.generation == request.generation and end.reason == UNKNOWN
        return is_unseen and self._unwanted.get(request.key, -1) < request.generation

    def _end(self, server: Server, grace: float) -> None:
        server.asked = True
        ending.remember_family(server)
        if processes.is_alive(server.launched.pid, server.launched.start_time):
            processes.kill(server.launched.pid, signal.SIGTERM)
        self._tasks.start(f"stop {server.launched.key}", ending.kill_after(server, grace))

    def log_tail(self, key: str, lines: int) -> tuple[str, ...]:
        """Last lines of the present or last run."""
        return logfiles.tail(self._layout.log(key), lines)

    async def keep_logs_short(self) -> None:
        """Look at the size of every running server's log, for ever."""
        while True:
            await asyncio.sleep(LOG_LOOK_SECONDS)
            for server in self.running():
                try:
                    if logfiles.shorten(Path(server.log)):
                        log.warning("log.shortened", key=server.key)
                except OSError as exc:
                    log.error("log.not_shortened", key=server.key, error=str(exc))  # noqa: TRY400

    async def stop_all(self, grace: float) -> None:
        """End every server; return when all are gone."""
        ending = [server.ended for server in self._running.values()]
        for server in list(self._running.values()):
            self._end(server, grace)
        if ending:
            await asyncio.wait(ending, timeout=grace + 5)

    def _watch(self, server: Server) -> None:
        self._running[server.launched.key] = server
        self._tasks.start(f"watch {server.launched.key}", self._wait_for_end(server))

    async def _wait_for_end(self, server: Server) -> None:
        code = server.meant(await server.ended)
        launched = server.launched
        groups = self._capacity.groups
        memory = groups.memory(server.group) if server.group else None
        memory_of_all = groups.memory_of_all()
        await ending.sweep(server, groups)
        facts = Facts(
            code=code,
            memory=memory,
            kills_before=server.kills_before,
            memory_of_all=memory_of_all,
            full=await self._full_disks(server, code),
            log_tail=logfiles.tail(Path(launched.log), REPORTED_LINES),
        )
        report = report_of(server, facts)
        self._exits[launched.key] = report
        # From here on the key is free: the next generation may start.
        del self._running[launched.key]
        try:
            self._layout.remove_socket(launched.key)
            self._records.write_exit(self._layout.server_directory(launched.key), report)
        except OSError as exc:
            log.error("exit.not_recorded", key=launched.key, error=str(exc))  # noqa: TRY400
        log.debug("server.exited", key=launched.key, reason=report.reason, status=report.status, asked=report.asked)
        self._tell(report)

    async def _full_disks(self, server: Server, code: int) -> Sequence[str]:
        """Which file systems may be why *server* ended with *code*."""
        if server.asked or server.adopted or code <= 0:
            return ()
        runtime, logs = self._layout.runtime, self._layout.state
        places = {
            "your home": server.record.home,
            "the server's runtime directory": str(runtime),
            "the folder of logs": str(logs),
        }
        try:
            return await asyncio.wait_for(asyncio.to_thread(disks.full, places), DISK_TIMEOUT)
        except TimeoutError:
            log.warning("disks.silent", key=server.launched.key)
            return ()
