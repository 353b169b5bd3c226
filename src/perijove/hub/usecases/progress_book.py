"""
What starting servers have told so far, and who is waiting to hear more (contract e).

In memory only: what a restarted hub has forgotten it tells again from the server's row. What is told in one hub
reaches those who wait in another as notices (`share_progress.py`).
"""

from __future__ import annotations

import asyncio
import html
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from perijove.hub.domain.lifecycle import SETTLED, STARTING, State
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.domain.servers import Server

#: Events kept of one start: a spawner that chatters must not fill the memory.
MAX_EVENTS: Final = 200
#: Longest message told to other hubs: a notice is small.
MAX_TOLD: Final = 500

#: what entering a state tells
_STAGES: Final = {
    State.QUEUED: ProgressEvent(progress=0, message="Server requested"),
    State.PROBING: ProgressEvent(progress=70, message="Waiting for the server to answer..."),
    State.ROUTING: ProgressEvent(progress=90, message="Opening the way to the server..."),
}
#: states in which a start has something to tell
_PENDING: Final = STARTING | {State.QUEUED}


class _Log:
    """The events of one start, and a signal that renews itself with each."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        #: the one that was told last
        self.state: State | None = None
        self.events: list[ProgressEvent] = []
        self.more = asyncio.Event()

    def add(self, event: ProgressEvent) -> None:
        self.events.append(event)
        more, self.more = self.more, asyncio.Event()
        more.set()


class ProgressBook:
    """Histories of starts under way, and waiters for a server's next state."""

    def __init__(self, *, base_url: str, origins: Origins = ONE_ORIGIN) -> None:
        self._base_url = base_url
        self._origins = origins
        self._logs: dict[int, _Log] = {}
        self._waiters: dict[int, set[asyncio.Future[Server]]] = {}
        #: the latest of each start, as text, that other hubs have not been told
        self._untold: dict[int, str] = {}

    def say(self, server_id: int, progress: int, message: str) -> None:
        """Tell something about a start; never the last thing."""
        self._add(server_id, ProgressEvent(progress=progress, message=message))

    def tell(self, server_id: int, progress: int, message: str) -> None:
        """The same, also to those who wait in other hubs."""
        log = self._logs.get(server_id)
        if log is not None:
            self._untold[server_id] = json.dumps([log.generation, progress, message[:MAX_TOLD]])
        self.say(server_id, progress, message)

    def take_untold(self) -> Mapping[int, str]:
        """What has been told since the last time, by server: the latest of each. For `hear` in other hubs."""
        untold, self._untold = self._untold, {}
        return untold

    def hear(self, server_id: int, text: str) -> None:
        """Another hub has told that about a start."""
        log = self._logs.get(server_id)
        if log is None:
            return
        generation, progress, message = json.loads(text)
        event = ProgressEvent(progress=progress, message=message)
        if log.generation == generation and event not in log.events[-1:]:
            self._add(server_id, event)

    def followed(self) -> frozenset[int]:
        """Servers that somebody here waits for, or has been told about."""
        return frozenset(self._logs.keys() | self._waiters.keys())

    def moved(self, server: Server) -> None:
        """The server has entered its state, as recorded here."""
        log = self._logs.get(server.id)
        if log is not None and log.generation != server.generation:
            self.end(server)
            log = None
        if log is None and server.state in _PENDING:
            self._open(server)
        self.heard(server)

    def heard(self, server: Server) -> None:
        """The server has entered its state, here or in another hub. Hearing it twice is fine."""
        log = self._logs.get(server.id)
        stage = _STAGES.get(server.state)
        if stage is not None:
            if log is not None and log.state is not server.state:
                log.state = server.state
                self._add(server.id, stage)
        elif server.state in SETTLED or (server.state is State.STOPPING and not server.failure):
            # A failed start tells the whole story once it has been cleaned up: only then the log's end is known.
            self.end(server)
        for waiter in self._waiters.pop(server.id, ()):
            if not waiter.done():
                waiter.set_result(server)

    def _open(self, server: Server) -> _Log:
        log = self._logs[server.id] = _Log(server.generation)
        log.state = server.state
        log.add(_STAGES[server.state] if server.state in _STAGES else _STAGES[State.QUEUED])
        return log

    def _add(self, server_id: int, event: ProgressEvent) -> None:
        log = self._logs.get(server_id)
        if log is not None and len(log.events) < MAX_EVENTS:
            log.add(event)

    def end(self, server: Server) -> None:
        """Tell the last thing about a start, and forget it."""
        log = self._logs.pop(server.id, None)
        if log is not None:
            log.add(self.last_word(server))

    def last_word(self, server: Server) -> ProgressEvent:
        """The event that ends the stream of *server* as it is now."""
        if server.state is State.READY:
            url = self._origins.server(self._base_url, server.user_name, server.name)
            link = html.escape(url)
            return ProgressEvent(
                progress=100,
                ready=True,
                message=f"Server ready at {url}",
                html_message=f'Server ready at <a href="{link}">{link}</a>',
                url=url,
            )
        message = f"Spawn failed: {server.failure}" if server.failure else "Spawn cancelled"
        return ProgressEvent(progress=100, failed=True, message=message, log=server.failure_log)

    async def follow(
        self, server: Server, look: Callable[[], Awaitable[None]], *, every: float
    ) -> AsyncIterator[ProgressEvent]:
        """
        What was told and what is being told about the start of *server*; ends with exactly one last word.

        Args:
            server: as it is now.
            look: called when nothing was told for *every* seconds: notices may be lost.
            every: seconds.
        """
        log = self._logs.get(server.id)
        if log is None:
            # This hub did not see the start begin.
            log = self._open(server)
        told = 0
        while True:
            for event in log.events[told:]:
                yield event
                if event.ready or event.failed:
                    return
                told += 1
            if told == len(log.events):
                try:
                    async with asyncio.timeout(every):
                        await log.more.wait()
                except TimeoutError:
                    await look()

    def next_move(self, server_id: int) -> asyncio.Future[Server]:
        """Done when the server next enters a state."""
        waiter: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(server_id, set())
        waiters.add(waiter)
        waiter.add_done_callback(lambda done: self._forget(server_id, done))
        return waiter

    def _forget(self, server_id: int, waiter: asyncio.Future[Server]) -> None:
        waiters = self._waiters.get(server_id)
        if waiters is not None:
            waiters.discard(waiter)
            if not waiters:
                del self._waiters[server_id]
