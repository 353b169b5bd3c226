"""
The supervisor's loop: start every part, start again whichever dies, end all in order.

Order of ending: the hubs first, because the last of them ends the servers and needs the launcher for that; then the
proxy, so that people see the hub's last word; the launcher last.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from perijove.kit.process import become_subreaper, is_gone
from perijove.kit.tasks import TaskGroup
from perijove.supervisor.errors import StartError
from perijove.supervisor.part import Child
from perijove.supervisor.plan import RECOVERED_AFTER, Part, pause_before_restart
from perijove.wire.supervision import EXIT_UNUSABLE, ORPHANED_SIGNAL

log = structlog.get_logger(__name__)

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
#: parts that read their configuration again on SIGHUP
_READ_AGAIN: Final = frozenset({"hub", "proxy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What to run and what to say about it."""

    #: in the order of starting; ended in the order of `stop_order`, which names kinds
    parts: Sequence[Part]
    stop_order: Sequence[str]
    sockets: Mapping[str, socket.socket]
    environ: Mapping[str, str] = field(repr=False)
    #: what people type into a browser, without a trailing slash
    public_origin: str
    #: path of the deployment below it, with both slashes
    base_url: str
    #: writes one line for the operator
    say: Callable[[str], None]
    #: on SIGHUP, before the parts are told to read again: hands them what they may not read; raises `StartError`
    refresh: Callable[[], None]


class Supervisor:
    """Runs a `Deployment` until it is told to stop."""

    def __init__(self, deployment: Deployment, *, tasks: TaskGroup) -> None:
        self._deployment = deployment
        self._tasks = tasks
        self._children: dict[str, Child] = {}
        self._stopping = asyncio.Event()
        self._status = 0
        self._interrupts = 0
        self._warned: set[str] = set()

    async def run(self) -> int:
        """Answers the exit status: 0 after a stop in order, else that of the part which cannot run."""
        loop = asyncio.get_running_loop()
        become_subreaper()
        for signum in _STOP_SIGNALS:
            loop.add_signal_handler(signum, self._interrupted)
        loop.add_signal_handler(signal.SIGCHLD, self._reap_adopted)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up)
        for part in self._deployment.parts:
            self._tasks.start(part.name, self._keep_running(part))
        await self._stopping.wait()
        await self._stop_all()
        # A loop that closes has let go of its pipe before its handlers: the last child's end would be told into it.
        loop.remove_signal_handler(signal.SIGCHLD)
        return self._status

    def _interrupted(self) -> None:
        self._interrupts += 1
        self._stopping.set()
        if self._interrupts > 1:
            self._deployment.say("Stopping at once.")
            for child in self._children.values():
                child.signal(signal.SIGKILL)

    def _hung_up(self) -> None:
        if is_gone(sys.stdin):
            # Its terminal was closed, and with it goes what was started there.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGHUP)
        try:
            self._deployment.refresh()
        except StartError as exc:
            log.error("reload.failed", reason=str(exc))  # noqa: TRY400  # an operator's mistake, no defect
            return
        for part in self._deployment.parts:
            child = self._children.get(part.name)
            if part.kind in _READ_AGAIN and child is not None and child.ready.done():
                # One that is still starting would die of it, and has just read everything.
                child.signal(signal.SIGHUP)

    async def _keep_running(self, part: Part) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            child = Child.start(part, self._deployment.sockets, self._deployment.environ)
            self._children[part.name] = child
            log.debug("part.started", part=part.name, pid=child.pid)
            self._tasks.start(f"{part.name}-ready", self._announce(part, child, first=deaths == 0))
            status = await child.ended
            self._reap_adopted()
            if self._stopping.is_set():
                return
            if status == EXIT_UNUSABLE:
                # It has said what is wrong; starting it again would only say it again.
                self._status = status
                self._stopping.set()
                return
            ran = asyncio.get_running_loop().time() - started
            deaths = 1 if ran > RECOVERED_AFTER else deaths + 1
            pause = pause_before_restart(deaths)
            log.warning("part.died", part=part.name, pid=child.pid, why=_how(status), restart_in=round(pause, 2))
            await asyncio.sleep(pause)

    async def _announce(self, part: Part, child: Child, *, first: bool) -> None:
        line = await child.ready
        if not line:
            return
        notice = json.loads(line)
        if not first:
            log.info("part.restarted", part=part.name, pid=child.pid)
        if part.name == "hub" and first:
            where = f"{self._deployment.public_origin}{self._deployment.base_url}"
            self._deployment.say(f"perijove is at {where} (Ctrl-C stops it)")
        for said in notice.get("says", ()) if first else ():
            self._deployment.say(said)
        for warning in notice.get("warnings", ()):
            # Several hubs see the same.
            if not (first and warning in self._warned):
                self._deployment.say(f"Warning: {warning}")
            self._warned.add(warning)
        link = notice.get("first_admin", "")
        if link:
            self._deployment.say(
                "There is no administrator yet. This link makes one; it works once and ends in an hour:\n\n"
                f"    {self._deployment.public_origin}{link}\n"
            )

    async def _stop_all(self) -> None:
        for kind in self._deployment.stop_order:
            living = [part for part in self._deployment.parts if part.kind == kind and self._is_alive(part)]
            if not living:
                continue
            self._deployment.say(f"Stopping the {kind} …")
            last, *others = living
            # Of several hubs only the last ends the servers: nobody is left who would start them again.
            await asyncio.gather(*(self._stop(part, ORPHANED_SIGNAL) for part in others))
            await self._stop(last, signal.SIGTERM)
        self._deployment.say("perijove has stopped.")

    def _is_alive(self, part: Part) -> bool:
        child = self._children.get(part.name)
        return child is not None and not child.ended.done()

    async def _stop(self, part: Part, signum: signal.Signals) -> None:
        def too_slow() -> None:
            self._deployment.say(f"The {part.name} did not end within {part.stop_timeout:.0f} s; ending it by force.")

        await self._children[part.name].stop(part.stop_timeout, on_kill=too_slow, signum=signum)

    def _reap_adopted(self) -> None:
        """
        Bury orphans that became ours: servers of a launcher that died. Parts are left to their own pidfd.
        """
        ours = {child.pid for child in self._children.values() if not child.ended.done()}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in ours:
                return
            os.waitpid(found.si_pid, os.WNOHANG)


def _how(status: int) -> str:
    """An exit status in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"


async def supervise(deployment: Deployment) -> int:
    """Run *deployment* until SIGINT or SIGTERM; answers the exit status."""
    async with TaskGroup("supervisor") as tasks:
        return await Supervisor(deployment, tasks=tasks).run()
