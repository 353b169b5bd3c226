"""
The launcher's end of the warm template: starts it, waits until it is warm, asks it to fork,
and starts another when it dies. What happens inside is `template.py`.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from perijove.kit.processes import kill, start_time
from perijove.launcher.errors import LaunchFailed, TemplateLost
from perijove.launcher.plan import HEADER, ChildPlan, framed
from perijove.launcher.reaper import Reaper

log = structlog.get_logger(__name__)

#: Seconds a template may take to import everything, on a slow disk.
WARM_TIMEOUT: Final = 120.0
#: Seconds a warm template may take to fork once.
FORK_TIMEOUT: Final = 10.0
#: Seconds before a template that died is replaced: doubled up to the last, back to the first when warm.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A child of the template, named for good."""

    pid: int
    start_time: int


class Template:
    """
    One warm process and its replacement.

    Args:
        app: module that it imports and that its children run.
        reaper: tells when it ends.
        environment: all it gets: nothing secret.
    """

    def __init__(self, *, app: str, reaper: Reaper, environment: Mapping[str, str]) -> None:
        self.app = app
        self._reaper = reaper
        self._environment = dict(environment)
        self._channel: socket.socket | None = None
        self._warm = asyncio.Event()
        self._turn = asyncio.Lock()
        self._pid = 0

    async def keep(self) -> None:
        """Have a template at all times, until cancelled."""
        pause = FIRST_PAUSE
        while True:
            ended = self._start()
            try:
                await self._wait_until_warm()
                pause = FIRST_PAUSE
                code = await ended
                log.warning("template.died", code=code, pid=self._pid)
                self._pid = 0
            except (LaunchFailed, TimeoutError, OSError) as exc:
                log.error("template.not_warm", error=str(exc), pid=self._pid)  # noqa: TRY400
                pause = min(pause * 2, LONGEST_PAUSE)
            finally:
                self._drop()
            await asyncio.sleep(pause)

    async def fork(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> Forked:
        """
        Fork a child; wait for the template to be warm if it is not yet.

        Args:
            plan: what becomes of the child.
            descriptors: what it gets, by the names of plan.py.

        Raises:
            LaunchFailed: there is no warm template in time, or it cannot fork.
            TemplateLost: it died; another will be warm soon.
        """
        try:
            await asyncio.wait_for(self._warm.wait(), WARM_TIMEOUT)
        except TimeoutError as exc:
            raise LaunchFailed("the warm template does not come up; see the launcher's log") from exc
        async with self._turn:
            try:
                answer = await asyncio.wait_for(self._ask(plan, descriptors), FORK_TIMEOUT)
            except (TimeoutError, OSError) as exc:
                self._drop()
                raise TemplateLost from exc
        if "error" in answer:
            raise LaunchFailed(str(answer["error"]))
        # It waits at its gate, so it is there still; its own /proc may be another.
        return Forked(pid=answer["pid"], start_time=start_time(answer["pid"]))

    def _start(self) -> asyncio.Future[int]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
            [sys.executable, "-P", "-m", "perijove.launcher.template", str(theirs.fileno()), self.app],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        ended = self._reaper.exit_of(process.pid)
        # Ours is the only wait for children (reaper.py): keep Popen from warning about a second one.
        process.returncode = 0
        self._channel, self._pid = ours, process.pid
        return ended

    async def _wait_until_warm(self) -> None:
        report = await asyncio.wait_for(self._read(), WARM_TIMEOUT)
        if not report["warm"]:
            raise LaunchFailed(f"the template has {report['threads']} threads; a forked copy would hang")
        log.debug("template.warm", seconds=round(report["seconds"], 2), pid=self._pid)
        self._warm.set()

    async def _ask(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> dict[str, Any]:
        if self._channel is None:
            raise ConnectionError("the template is gone")
        message = framed(replace(plan, descriptors=tuple(descriptors)).to_bytes())
        rights = array.array("i", descriptors.values())
        self._channel.sendmsg([message[: HEADER.size]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        await asyncio.get_running_loop().sock_sendall(self._channel, message[HEADER.size :])
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        (length,) = HEADER.unpack(await self._read_exactly(HEADER.size))
        message: dict[str, Any] = json.loads(await self._read_exactly(length))
        return message

    async def _read_exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            if self._channel is None:
                raise ConnectionError("the template is gone")
            chunk = await asyncio.get_running_loop().sock_recv(self._channel, count - len(data))
            if not chunk:
                raise ConnectionError("the template closed its channel")
            data += chunk
        return bytes(data)

    def _drop(self) -> None:
        self._warm.clear()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._pid:
            kill(self._pid, signal.SIGKILL)
            self._pid = 0


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """
    What a template may know of the launcher's environment: where Python's modules are and how text is
    encoded. No credential, no home.
    """
    kept = {name: environment[name] for name in ("PYTHONPATH", "TZ") if name in environment}
    bin_directory = os.path.dirname(sys.executable)  # noqa: PTH120  # a name, not a file to touch
    return {
        **kept,
        "PATH": f"{bin_directory}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": "/nonexistent",
        "PYTHONUSERBASE": "/nonexistent",
        # A thread pool made by an import would make the template unforkable.
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
