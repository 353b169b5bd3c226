"""
The servers that run here: launched once per generation, watched, stopped with all their processes.

Knows nothing of the socket protocol (protocol.py) or of how a fork is made (templates.py). All methods
run on one event loop; per key, launches take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from perijove.kit import processes
from perijove.kit.clock import Clock, Randomness
from perijove.kit.tasks import TaskGroup
from perijove.launcher import limits, logfiles
from perijove.launcher.accounts import Account, Accounts
from perijove.launcher.environment import server_environment
from perijove.launcher.errors import AlreadyRunning, LaunchFailed, Stale, TemplateLost
from perijove.launcher.layout import Layout
from perijove.launcher.plan import MARKER, ChildPlan
from perijove.launcher.reaper import Reaper
from perijove.launcher.records import Record, Records
from perijove.launcher.templates import Forked, Template
from perijove.wire.launcher import ExitReport, Launched, LaunchRequest

log = structlog.get_logger(__name__)

#: Connections that wait in the socket while the server still starts.
BACKLOG: Final = 512
#: Lines of the log that an exit report carries.
REPORTED_LINES: Final = 50
#: Seconds between two looks at the size of the logs.
LOG_LOOK_SECONDS: Final = 2.0
#: Reason of an end that no launcher saw (`ExitReport.reason`).
UNSEEN: Final = "unknown"
#: Rounds of killing what a dead server left: each round can only meet what was forked during the last.
SWEEPS: Final = 10
#: Seconds between two such rounds.
SWEEP_PAUSE: Final = 0.02


@dataclass(slots=True, kw_only=True)
class Server:
    """One running server; `asked` says whether the hub wants it gone."""

    record: Record
    ended: asyncio.Future[int]
    asked: bool = False
    #: found again after a restart: not our child, so nobody can tell us how it ends
    adopted: bool = False
    #: pid and start time of processes seen below it when it was told to stop: orphans by the time it is gone
    family: dict[int, int] = field(default_factory=dict)

    @property
    def launched(self) -> Launched:
        """What the hub knows of it."""
        return self.record.launched


class Servers:
    """
    Launches, finds again, watches and stops servers.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        accounts: Accounts,
        template: Template,
        records: Records,
        reaper: Reaper,
        tasks: TaskGroup,
        clock: Clock,
        randomness: Randomness,
        tell: Callable[[ExitReport], None],
    ) -> None:
        self._layout = layout
        self._accounts = accounts
        self._template = template
        self._records = records
        self._reaper = reaper
        self._tasks = tasks
        self._clock = clock
        self._randomness = randomness
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
                self._watch(Server(record=record, ended=_end_of(launched.pid), adopted=True))
            else:
                gone = asyncio.get_running_loop().create_future()
                gone.set_result(0)
                self._watch(Server(record=record, ended=gone, adopted=True))

    def running(self) -> list[Launched]:
        """What runs now."""
        return [server.launched for server in self._running.values()]

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
            limits.check(request.limits, as_root=self._accounts.as_root)
            account = await self._accounts.account(request)
            try:
                server = await self._start_twice(request, account)
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
        is_unseen = end is not None and end.generation == request.generation and end.reason == UNSEEN
        return is_unseen and self._unwanted.get(request.key, -1) < request.generation

    def _end(self, server: Server, grace: float) -> None:
        server.asked = True
        server.family.update(self._processes_of(server))
        if processes.is_alive(server.launched.pid, server.launched.start_time):
            processes.kill(server.launched.pid, signal.SIGTERM)
        self._tasks.start(f"stop {server.launched.key}", self._kill_after(server, grace))

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

    async def _start_twice(self, request: LaunchRequest, account: Account) -> Server:
        try:
            return await self._start(request, account)
        except TemplateLost:
            # A child that it may have forked waits for a byte that never comes, and ends.
            return await self._start(request, account)

    async def _start(self, request: LaunchRequest, account: Account) -> Server:
        directory = self._layout.make_server_directory(request.key)
        runtime = self._layout.make_user_runtime(account.name, uid=account.uid, gid=account.gid)
        path = self._layout.socket(request.key)
        marker = self._randomness.hex(16)
        port = _free_port() if request.own_port and request.argv else 0
        environment = server_environment(request, account, runtime=runtime, socket=path, marker=marker, port=port)
        plan = ChildPlan(
            key=request.key,
            uid=account.uid,
            gid=account.gid,
            groups=account.groups,
            switch_user=self._accounts.as_root,
            home=account.home,
            directory=request.directory,
            environment=environment,
            app=self._template.app,
            argv=request.argv,
            args=request.args,
            listens=request.listens,
            processes=request.limits.processes,
            open_files=request.limits.open_files,
        )
        log_path = self._layout.log(request.key)
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(_bind(path, gid=self._layout.socket_gid))
            log_fd = logfiles.open_fresh(log_path)
            stack.callback(os.close, log_fd)
            gate, opener = os.pipe()
            stack.callback(os.close, gate)
            stack.callback(os.close, opener)
            forked = await self._template.fork(plan, (listening.fileno(), log_fd, gate))
            ended = self._reaper.exit_of(forked.pid)
            launched = self._launched(request, forked, path, log_path, port)
            record = Record(launched=launched, marker=marker)
            self._records.write_running(directory, record)
            os.write(opener, b"1")
        return Server(record=record, ended=ended)

    def _launched(self, request: LaunchRequest, forked: Forked, path: Path, log_path: Path, port: int) -> Launched:
        return Launched(
            key=request.key,
            generation=request.generation,
            pid=forked.pid,
            start_time=forked.start_time,
            socket=str(path),
            log=str(log_path),
            launched_at=self._clock.now().timestamp(),
            port=port,
        )

    def _watch(self, server: Server) -> None:
        self._running[server.launched.key] = server
        self._tasks.start(f"watch {server.launched.key}", self._wait_for_end(server))

    async def _wait_for_end(self, server: Server) -> None:
        code = await server.ended
        launched = server.launched
        await self._sweep(server)
        report = _report(server, code, logfiles.tail(Path(launched.log), REPORTED_LINES))
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

    async def _kill_after(self, server: Server, grace: float) -> None:
        await asyncio.wait([server.ended], timeout=grace)
        if not server.ended.done():
            server.family.update(self._processes_of(server))
            if processes.is_alive(server.launched.pid, server.launched.start_time):
                processes.kill(server.launched.pid, signal.SIGKILL)

    async def _sweep(self, server: Server) -> None:
        """Kill what the server has left behind: no kernel survives its server."""
        for _ in range(SWEEPS):
            server.family.update(self._processes_of(server))
            left = [pid for pid, started in server.family.items() if processes.is_alive(pid, started)]
            if not left:
                return
            for pid in left:
                processes.kill(pid, signal.SIGKILL)
            await asyncio.sleep(SWEEP_PAUSE)
        log.warning("server.left_processes", key=server.launched.key, count=len(left))

    def _processes_of(self, server: Server) -> dict[int, int]:
        """Pid and start time of all that descends from *server*, itself left out."""
        everyone = [process for process in processes.all_processes() if process.state not in "ZX"]
        roots = processes.marked(f"{MARKER}={server.record.marker}".encode(), everyone)
        launched = server.launched
        if processes.is_alive(launched.pid, launched.start_time):
            roots |= {launched.pid}
        found = roots.union(*(processes.family(root, everyone) for root in roots))
        spared = {launched.pid, os.getpid()}
        return {process.pid: process.start_time for process in everyone if process.pid in found - spared}


def _free_port() -> int:
    """
    A port of loopback that is free now, for a program that cannot be handed a socket.

    Somebody else may take it before that program does. Such a server asks its visitors who they are, and whoever sat
    on its port could not: the hub answers only who has the server's token.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def _bind(path: Path, *, gid: int) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        # The directory is the lock; the socket itself is for the hub's and the proxy's group.
        path.chmod(0o660)
        if gid >= 0:
            os.chown(path, -1, gid)
        listening.listen(BACKLOG)
        # The server's event loop accepts from it; a blocking accept would stop the loop.
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _end_of(pid: int) -> asyncio.Future[int]:
    """Ready when *pid*, which is not our child, ends; nobody can tell us with which status."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[int] = loop.create_future()
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        future.set_result(-1)
        return future

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        if not future.done():
            future.set_result(0)

    loop.add_reader(descriptor, ended)
    return future


def _report(server: Server, code: int, log_tail: tuple[str, ...]) -> ExitReport:
    reason, status, message = "exit", code, f"It ended with exit code {code}."
    if server.adopted:
        reason, status, message = (
            UNSEEN,
            -1,
            "It ended while no launcher watched it, or was not its child.",
        )
    elif code < 0:
        name = signal.Signals(-code).name if -code in signal.valid_signals() else str(-code)
        reason, status, message = "signal", -code, f"It was ended by signal {name}."
    if server.asked:
        message = "It was stopped."
    return ExitReport(
        key=server.launched.key,
        generation=server.launched.generation,
        reason=reason,
        status=status,
        message=message,
        asked=server.asked,
        log_tail=log_tail,
    )
