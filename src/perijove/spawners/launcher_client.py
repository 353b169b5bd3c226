"""
A client of the launcher's socket (wire/launcher.py): requests with answers, and the stream of exits.

Connects when it is first needed and again when the launcher has been restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, Self

import structlog

from perijove.kit.frames import framed, read_frame
from perijove.kit.tasks import TaskGroup
from perijove.spawners.errors import (
    BackendUnreachable,
    LimitUnenforceable,
    SpawnerError,
    SpawnFailed,
    SpawnRefused,
)
from perijove.wire.launcher import (
    ALREADY_RUNNING,
    BAD_REQUEST,
    FORBIDDEN,
    LAUNCH_FAILED,
    MAX_FRAME,
    NO_SUCH_USER,
    STALE,
    UNENFORCEABLE,
    VERSION,
    ExitReport,
    Launched,
    LaunchRequest,
)

log = structlog.get_logger(__name__)

#: Seconds that a restarting launcher may take to listen again.
CONNECT_TIMEOUT: Final = 10.0
#: Seconds an answer may take, launches apart.
REQUEST_TIMEOUT: Final = 15.0
#: Seconds between two attempts to connect.
RETRY_PAUSE: Final = 0.1

_ERRORS: Final[Mapping[str, type[SpawnerError]]] = {
    FORBIDDEN: SpawnRefused,
    BAD_REQUEST: SpawnRefused,
    ALREADY_RUNNING: SpawnRefused,
    STALE: SpawnRefused,
    NO_SUCH_USER: SpawnRefused,
    LAUNCH_FAILED: SpawnFailed,
    UNENFORCEABLE: LimitUnenforceable,
}


class LauncherClient:
    """
    Use as `async with LauncherClient(path) as client:`.

    Args:
        path: the launcher's socket.
        environment: the hub's own, for `env_keep`.
        connect_timeout: seconds to keep trying to connect.
    """

    def __init__(
        self,
        path: Path,
        *,
        environment: Mapping[str, str] | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.environment: Mapping[str, str] = dict(environment or {})
        self._path = path
        self._connect_timeout = connect_timeout
        self._tasks = TaskGroup("launcher client")
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._tasks.close()
        self._lost()

    async def hello(self) -> dict[str, Any]:
        """What the launcher says of itself."""
        return await self._ask("hello")

    async def launch(self, request: LaunchRequest, *, timeout: float) -> Launched:
        """
        Launch, or find what this generation has launched already; repeated once if the launcher is lost.

        Raises:
            SpawnerError: see its subclasses.
        """
        try:
            answer = await self._ask("launch", within=timeout, **request.to_json())
        except BackendUnreachable:
            # Safe to repeat: a generation is launched once, however often it is asked for.
            answer = await self._ask("launch", within=timeout, **request.to_json())
        return Launched(**_known(Launched, answer))

    async def list_servers(self) -> list[Launched]:
        """All that run."""
        answer = await self._ask("list")
        return [Launched(**_known(Launched, entry)) for entry in answer["servers"]]

    async def inspect(self, key: str) -> tuple[Launched | None, ExitReport | None]:
        """What runs under *key*, and how the run before ended."""
        answer = await self._ask("inspect", key=key)
        running, exited = answer["running"], answer["exit"]
        return (
            Launched(**_known(Launched, running)) if running else None,
            _report(exited) if exited else None,
        )

    async def terminate(self, key: str, generation: int, *, grace: float) -> None:
        """Ask for the end of a server; returns at once."""
        await self._ask("terminate", key=key, generation=generation, grace=grace)

    async def log_tail(self, key: str, lines: int) -> list[str]:
        """Last lines of a server's log."""
        answer = await self._ask("log_tail", key=key, lines=lines)
        return [str(line) for line in answer["lines"]]

    async def watch(self) -> AsyncIterator[ExitReport]:
        """
        Exits as they happen, across restarts of the launcher.

        What ended while nobody was connected is reported on the next connection; what had ended before the
        first is not: watch first, then look at every server that should run.
        """
        running: dict[str, Launched] = {}
        while True:
            try:
                reader, writer = await self._connect()
            except BackendUnreachable as exc:
                log.warning("launcher.unreachable", error=str(exc))
                continue
            with contextlib.closing(writer):
                await _send(writer, {"v": VERSION, "id": 0, "op": "watch"})
                now = {entry.key: entry for entry in await self._list_or_nothing()}
                for report in await self._missed(running, now):
                    yield report
                running = now
                async for report in _events(reader):
                    running.pop(report.key, None)
                    yield report
            await asyncio.sleep(RETRY_PAUSE)

    async def _list_or_nothing(self) -> list[Launched]:
        try:
            return await self.list_servers()
        except SpawnerError:
            return []

    async def _missed(self, before: Mapping[str, Launched], now: Mapping[str, Launched]) -> list[ExitReport]:
        reports = []
        for key, entry in before.items():
            if key in now and now[key].generation == entry.generation:
                continue
            with contextlib.suppress(SpawnerError):
                _, exited = await self.inspect(key)
                if exited is not None and exited.generation == entry.generation:
                    reports.append(exited)
        return reports

    async def _ask(self, op: str, *, within: float = REQUEST_TIMEOUT, **values: Any) -> dict[str, Any]:
        number = next(self._numbers)
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        writer = await self._connected()
        self._pending[number] = answered
        try:
            await _send(writer, {"v": VERSION, "id": number, "op": op, **values})
            answer = await asyncio.wait_for(answered, within)
        except TimeoutError as exc:
            raise BackendUnreachable(f"the launcher did not answer within {within:.0f} s") from exc
        except OSError as exc:
            raise BackendUnreachable("the launcher was lost while it was asked") from exc
        finally:
            self._pending.pop(number, None)
        if "error" in answer:
            error = answer["error"]
            raise _ERRORS.get(error.get("kind", ""), SpawnFailed)(str(error.get("message", "")))
        ok: dict[str, Any] = answer["ok"]
        return ok

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._writer is None or self._writer.is_closing():
                reader, self._writer = await self._connect()
                self._tasks.start("read", self._read(reader, self._writer))
            return self._writer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = asyncio.get_running_loop().time() + self._connect_timeout
        while True:
            try:
                return await asyncio.open_unix_connection(self._path)
            except OSError as exc:
                if asyncio.get_running_loop().time() >= deadline:
                    raise BackendUnreachable(f"no launcher listens on {self._path}: {exc.strerror}") from exc
            await asyncio.sleep(RETRY_PAUSE)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (frame := await _receive(reader)) is not None:
                answered = self._pending.get(frame.get("id", 0))
                if answered is not None and not answered.done():
                    answered.set_result(frame)
        except (OSError, EOFError, ValueError) as exc:
            log.debug("launcher.lost", error=str(exc))
        finally:
            writer.close()
            if self._writer is writer:
                self._lost()

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for answered in self._pending.values():
            if not answered.done():
                answered.set_exception(ConnectionError("the connection ended"))


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[ExitReport]:
    """Exits on one connection, until it ends."""
    while True:
        try:
            frame = await _receive(reader)
        except (OSError, EOFError, ValueError):
            return
        if frame is None:
            return
        if frame.get("event") == "exited":
            yield _report(frame["report"])


async def _send(writer: asyncio.StreamWriter, frame: dict[str, Any]) -> None:
    data = json.dumps(frame).encode()
    if len(data) > MAX_FRAME:
        raise SpawnRefused("the server's environment and arguments are too long")
    writer.write(framed(data))
    with contextlib.suppress(ConnectionError):
        # A lost connection shows as a missing answer, in one place.
        await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    data = await read_frame(reader, longest=MAX_FRAME)
    if data is None:
        return None
    frame: dict[str, Any] = json.loads(data)
    return frame


def _report(data: Mapping[str, Any]) -> ExitReport:
    known = _known(ExitReport, data)
    return ExitReport(**{**known, "log_tail": tuple(known.get("log_tail", ()))})


def _known(kind: type[Launched | ExitReport], data: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of *data* that *kind* has: a newer launcher may say more."""
    names = {entry.name for entry in fields(kind)}
    return {name: value for name, value in data.items() if name in names}
