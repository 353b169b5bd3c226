"""
One running haproxy: its files, its process, its runtime socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Final

import structlog

from perijove.kit.process import die_with_parent
from perijove.proxy.core.errors import ProxyError
from perijove.proxy.core.haproxy_config import HaproxySettings, render_config, render_errors, render_map
from perijove.proxy.core.haproxy_routes import Place
from perijove.proxy.haproxy.runtime import RuntimeLost, RuntimeSocket

log = structlog.get_logger(__name__)

#: Seconds from start to the first answer: a configuration of ten thousand servers takes one.
START_SECONDS: Final = 20.0
#: Seconds for a bundle of commands.
COMMAND_SECONDS: Final = 10.0
#: Seconds until a killed process is gone.
KILL_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.01
#: Lines of its complaints that are kept, and bytes of one.
_KEPT_LINES: Final = 8
_MAX_LINE: Final = 4096


class CannotStartHaproxy(ProxyError):
    """haproxy did not start."""


def write_files(settings: HaproxySettings, places: Mapping[str, Place], *, links: Mapping[str, Path]) -> None:
    """
    Write what a haproxy is started with into its folder, which is made.

    Args:
        settings: of this process.
        places: the map, and the servers in it.
        links: files of the administrator, by the name that haproxy knows them by. Keys are read where they are.

    Raises:
        CannotStartHaproxy: the folder cannot be written to.
    """
    paths = settings.paths
    script = resources.files("perijove.proxy.haproxy").joinpath("confine.lua").read_text("ascii")
    try:
        Path(paths.folder).mkdir(mode=0o700)
        Path(paths.config).write_text(render_config(settings, places.values()), "ascii")
        Path(paths.routes).write_text(render_map({key: place.value for key, place in places.items()}), "ascii")
        Path(paths.verdicts).touch()
        Path(paths.script).write_text(script, "ascii")
        for status, answer in render_errors().items():
            Path(paths.error(status)).write_bytes(answer)
        for name, file in links.items():
            Path(name).symlink_to(file.absolute())
    except OSError as exc:
        raise CannotStartHaproxy(f"{paths.folder}: {exc.strerror or exc}") from exc


class HaproxyProcess:
    """A child process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        loop = asyncio.get_running_loop()
        assert process.stderr is not None
        self._process = process
        self._stderr = process.stderr
        self._pidfd = os.pidfd_open(process.pid)
        self._said: deque[str] = deque(maxlen=_KEPT_LINES)
        self._runtime: RuntimeSocket | None = None
        #: its exit status; negative is a signal
        self.ended: asyncio.Future[int] = loop.create_future()
        os.set_blocking(self._stderr.fileno(), False)
        loop.add_reader(self._pidfd, self._on_exit)
        loop.add_reader(self._stderr.fileno(), self._on_line)

    @classmethod
    async def start(cls, command: str, settings: HaproxySettings) -> HaproxyProcess:
        """
        Run *command* with the files that are there, and wait until it answers.

        Raises:
            CannotStartHaproxy: it does not.
        """
        try:
            process = subprocess.Popen(  # noqa: S603, ASYNC220  # the administrator's words; it does not wait
                [command, "-db", "-f", settings.paths.config],
                pass_fds=tuple(settings.public),
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                preexec_fn=die_with_parent,  # noqa: PLW1509  # one small call
            )
        except OSError as exc:
            raise CannotStartHaproxy(f"{command}: {exc.strerror or exc}") from exc
        started = cls(process)
        try:
            await started._answer(Path(settings.paths.runtime))
        except BaseException:
            await started.kill()
            raise
        return started

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def run(self, commands: Iterable[str]) -> list[str]:
        """
        The answers to *commands* on the runtime socket.

        Raises:
            RuntimeLost: it does not answer.
        """
        if self._runtime is None:
            raise RuntimeLost
        return await self._runtime.run(list(commands))

    def drain(self) -> None:
        """Let it accept nothing more, and end when its last connection does."""
        self._signal(signal.SIGUSR1)

    def hang_up(self) -> None:
        """Close the runtime socket, which counts as a connection."""
        if self._runtime is not None:
            self._runtime.close()
            self._runtime = None

    async def wait(self, timeout: float) -> bool:
        """Whether it has ended within *timeout* seconds."""
        done, _ = await asyncio.wait([self.ended], timeout=timeout)
        return bool(done)

    async def kill(self) -> None:
        """End it now."""
        self.hang_up()
        self._signal(signal.SIGKILL)
        await self.wait(KILL_SECONDS)

    async def _answer(self, path: Path) -> None:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while not self.ended.done():
            with suppress(RuntimeLost):
                self._runtime = await RuntimeSocket.connect(path, timeout=COMMAND_SECONDS)
                return
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStartHaproxy("haproxy does not answer on its runtime socket.")
            await asyncio.wait([self.ended], timeout=_POLL_SECONDS)
        raise CannotStartHaproxy("haproxy did not start: " + " ".join(self._said))

    def _signal(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def _on_exit(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._on_line()
        if not self._stderr.closed:
            loop.remove_reader(self._stderr.fileno())
            self._stderr.close()
        self.hang_up()
        self.ended.set_result(self._process.wait())

    def _on_line(self) -> None:
        try:
            piece = os.read(self._stderr.fileno(), _MAX_LINE) if not self._stderr.closed else b""
        except BlockingIOError:
            return
        if not piece and not self._stderr.closed:
            asyncio.get_running_loop().remove_reader(self._stderr.fileno())
            self._stderr.close()
        for line in piece.decode("utf-8", "replace").splitlines():
            self._said.append(line)
            log.debug("haproxy.said", pid=self.pid, line=line)
