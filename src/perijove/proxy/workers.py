"""
The engine of several processes: copies of this one that share the public sockets.

With root there are as many sockets an address as there are workers, and the kernel spreads connections evenly;
otherwise all have the same one, and whoever is free takes what comes. The sockets are the parent's: what waits to
be accepted waits for the worker that replaces one that died. A copy has the whole state from its first moment on;
later changes are told to all, and a change holds when all have said so.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import structlog

from perijove.kit.fork import fork
from perijove.kit.frames import framed
from perijove.kit.tasks import TaskGroup
from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.changes import Change, PutRoute, ReplaceRoutes
from perijove.proxy.core.errors import ProxyError, Unacknowledged
from perijove.proxy.core.routes import packed, unpacked
from perijove.proxy.core.state import State
from perijove.proxy.core.statistics import Gauges, Statistics, merge
from perijove.proxy.net import child
from perijove.proxy.net.child import Ask
from perijove.proxy.net.tls import TrafficTls

log = structlog.get_logger(__name__)

#: Seconds in which a worker must say that it has a change; the hub waits for five.
ACKNOWLEDGE_SECONDS: Final = 4.0
#: Seconds without an answer after which a worker is taken for dead and killed.
SILENT_SECONDS: Final = 30.0
#: Seconds between two questions for what the workers have seen.
PULL_SECONDS: Final = 5.0
#: Seconds for a worker to begin to serve.
START_SECONDS: Final = 20.0
#: Longest answer of a worker.
MAX_ANSWER: Final = 64 * 1024 * 1024
#: Seconds to wait before a worker that died at once is replaced: first and longest.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 5.0
#: A worker that lived this long has not died at once.
_SETTLED_SECONDS: Final = 10.0
#: Seconds beyond its time for requests in flight that a worker has to end.
_END_SECONDS: Final = 5.0


class CannotWork(ProxyError):
    """The proxy's worker processes do not start; the log says why."""


class _Lost(Exception):
    """The worker is gone."""


class _Process:
    """A worker as its parent sees it."""

    def __init__(self, pid: int, line: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self.ended: asyncio.Future[int] = loop.create_future()
        self.ready: asyncio.Future[Any] = loop.create_future()
        #: since when what it has seen is known, in seconds since the epoch
        self.pulled = 0.0
        #: what it has counted, as far as is known
        self.counted = Statistics()
        self._line = line
        self._writer: asyncio.StreamWriter | None = None
        # What is said before the line is open: the copy was made before it happened.
        self._unsent: list[bytes] = []
        self._number = child.READY
        self._waiting: dict[int, asyncio.Future[Any]] = {child.READY: self.ready}
        self._pidfd = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._on_exit)

    async def listen(self) -> None:
        """Take its answers, until it is gone."""
        reader, self._writer = await asyncio.open_unix_connection(sock=self._line)
        self._writer.writelines(self._unsent)
        self._unsent.clear()
        try:
            while True:
                number, value = json.loads(await child.read_framed(reader, limit=MAX_ANSWER))
                future = self._waiting.pop(number, None)
                if future is not None and not future.done():
                    future.set_result(value)
        except (asyncio.IncompleteReadError, OSError, ValueError):
            pass
        finally:
            self.kill()
            self._writer.close()

    def tell(self, what: Ask, argument: Any = None) -> asyncio.Future[Any]:
        """Send a message, now; the answer comes with the future."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.ended.done():
            future.set_exception(_Lost())
            return future
        self._number += 1
        self._waiting[self._number] = future
        message = framed(pickle.dumps((self._number, what, argument)))
        if self._writer is None:
            self._unsent.append(message)
            return future
        self._writer.write(message)
        if self._writer.transport.get_write_buffer_size() > child.MAX_MESSAGE:
            self.kill()
        return future

    def kill(self) -> None:
        """End it by force, if it is there."""
        if not self.ended.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        os.close(self._pidfd)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(_Lost())
                future.exception()  # nobody may be waiting for it any more
        self._waiting.clear()
        self.ended.set_result(os.waitstatus_to_exitcode(status))


class WorkersEngine:
    """Keeps so many workers running."""

    def __init__(
        self,
        config: ProxyConfig,
        state: State,
        sockets: Sequence[socket.socket],
        *,
        tls: TrafficTls,
        tasks: TaskGroup,
    ) -> None:
        """
        Args:
            config: the settings.
            state: what is known, kept up to date by whoever calls `apply`.
            sockets: public ones, which listen.
            tls: of the traffic, for new workers; kept up to date by whoever calls `reload`.
            tasks: owner of what keeps the workers running.
        """
        self._config = config
        self._state = state
        self._sockets = sockets
        self._tls = tls
        self._tasks = tasks
        self._processes: dict[int, _Process] = {}
        self._is_stopping = False
        #: what those have counted that are gone
        self._past = Statistics()
        #: how often a worker was replaced
        self.restarts = 0

    async def start(self) -> None:
        """Part of `Engine`."""
        first = [self._spawn(slot) for slot in range(self._config.workers)]
        for slot, process in enumerate(first):
            self._tasks.start(f"worker-{slot}", self._keep(slot, process))
        _, late = await asyncio.wait([process.ready for process in first], timeout=START_SECONDS)
        if late or any(process.ready.exception() for process in first):
            raise CannotWork
        self._tasks.start("pull", self._pull_forever())

    async def apply(self, change: Change) -> None:
        """Part of `Engine`."""
        brief = in_brief(change)
        told = [process.tell(Ask.APPLY, brief) for process in self._processes.values()]
        if await self._answers(told, ACKNOWLEDGE_SECONDS) is None:
            raise Unacknowledged

    async def activity(self) -> Mapping[str, float]:
        """Part of `Engine`."""
        merged: dict[str, float] = {}
        for seen in await self._seen(list(self._processes.values()), ACKNOWLEDGE_SECONDS) or []:
            for path, moment in seen.items():
                merged[path] = max(moment, merged.get(path, 0.0))
        return merged

    async def _seen(self, processes: Sequence[_Process], patience: float) -> list[dict[str, float]] | None:
        """What *processes* have seen since they were asked last, as `_answers` has it."""
        asked = time.time()
        answers = await self._answers([known.tell(Ask.ACTIVITY, known.pulled) for known in processes], patience)
        if answers is not None:
            for process in processes:
                process.pulled = asked
        return answers

    async def sessions(self) -> int:
        """Part of `Engine`."""
        told = [process.tell(Ask.SESSIONS) for process in self._processes.values()]
        return sum(await self._answers(told, ACKNOWLEDGE_SECONDS) or [])

    async def statistics(self) -> Statistics:
        """Part of `Engine`."""
        for process in list(self._processes.values()):
            await self._count(process, ACKNOWLEDGE_SECONDS)
        return merge([self._past, *(process.counted for process in self._processes.values())])

    async def _count(self, process: _Process, patience: float) -> None:
        """Learn what one worker has counted, or stay with what is known."""
        for content in await self._answers([process.tell(Ask.STATISTICS)], patience) or []:
            process.counted = Statistics.from_json(content)

    async def reload(self, config: ProxyConfig) -> None:
        """Part of `Engine`."""
        self._config = config
        # Sockets cannot be told, and a worker has its own.
        told = [process.tell(Ask.RELOAD, replace(config, inherited={})) for process in self._processes.values()]
        await self._answers(told, ACKNOWLEDGE_SECONDS)

    async def stop(self) -> None:
        """Part of `Engine`."""
        self._is_stopping = True
        for sock in self._sockets:
            sock.close()
        processes = list(self._processes.values())
        for process in processes:
            process.tell(Ask.STOP).cancel()
        ends = [process.ended for process in processes]
        if ends:
            await asyncio.wait(ends, timeout=self._config.drain + _END_SECONDS)
        for process in processes:
            process.kill()
        if ends:
            await asyncio.wait(ends, timeout=_END_SECONDS)

    def _spawn(self, slot: int) -> _Process:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        sockets = share(self._sockets, slot, self._config.workers)
        keep = [theirs.fileno(), *(sock.fileno() for sock in sockets)]
        pid = fork(lambda: child.run(self._config, self._state, self._tls, sockets, theirs), keep=keep)
        theirs.close()
        process = self._processes[slot] = _Process(pid, ours)
        self._tasks.start(f"line-{slot}", process.listen())
        return process

    async def _keep(self, slot: int, process: _Process) -> None:
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            status = await process.ended
            self._processes.pop(slot, None)
            self._bury(process)
            if self._is_stopping:
                return
            if time.monotonic() - began > _SETTLED_SECONDS:
                pause = _FIRST_PAUSE
            self.restarts += 1
            log.warning("worker.died", worker=slot, pid=process.pid, status=status, restart_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            process = self._spawn(slot)

    def _bury(self, process: _Process) -> None:
        process.counted.gauges = Gauges()
        self._past.add(process.counted)
        process.counted = Statistics()

    async def _pull_forever(self) -> None:
        """What a worker has seen must not die with it; and one that answers nobody must."""
        while True:
            await asyncio.sleep(PULL_SECONDS)
            for slot, process in list(self._processes.items()):
                seen = await self._seen([process], SILENT_SECONDS)
                if seen is None:
                    log.error("worker.silent", worker=slot, pid=process.pid)
                    process.kill()
                    continue
                for activity in seen:
                    self._state.note_activity(activity)
                await self._count(process, SILENT_SECONDS)

    @staticmethod
    async def _answers(told: Sequence[asyncio.Future[Any]], patience: float) -> list[Any] | None:
        """What was answered, without those who died over it; None if somebody did not answer in time."""
        if not told:
            return []
        _, late = await asyncio.wait(told, timeout=patience)
        if late:
            return None
        return [future.result() for future in told if not isinstance(future.exception(), _Lost)]


def in_brief(change: Change) -> Change:
    """*change* as a worker needs it: it is never asked what a route's body was."""
    match change:
        case PutRoute(path=path, body=body):
            return PutRoute(path, packed(unpacked(body)))
        case ReplaceRoutes(bodies=bodies):
            return ReplaceRoutes({path: packed(unpacked(body)) for path, body in bodies.items()})
    return change


def share(sockets: Sequence[socket.socket], slot: int, workers: int) -> list[socket.socket]:
    """The *sockets* that worker *slot* of so many *workers* serves: its own of each address, or the common one."""
    by_address: dict[Any, list[socket.socket]] = {}
    for sock in sockets:
        by_address.setdefault((sock.family, sock.getsockname()), []).append(sock)
    return [
        sock
        for known in by_address.values()
        for number, sock in enumerate(known)
        if number % workers == slot or len(known) < workers
    ]
