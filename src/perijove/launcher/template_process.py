"""
The launcher's end of one template process: starts it, hears whether it is warm, asks it to fork, ends it.
What happens inside is `template.py`; which process serves, and for how long, is `templates.py`.
"""

from __future__ import annotations

import array
import asyncio
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from perijove.kit.frames import HEADER, framed, receive_exactly
from perijove.kit.processes import kill, start_time
from perijove.launcher.errors import LaunchFailed, TemplateLost
from perijove.launcher.plan import MARKER, NO_MARKER, ChildPlan
from perijove.launcher.reaper import Reaper

#: Seconds a template may take to import everything, on a slow disk.
WARM_TIMEOUT: Final = 120.0
#: Seconds a warm template may take to fork once.
FORK_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """A child of the template, named for good."""

    pid: int
    start_time: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """What a template says when it has imported everything."""

    #: why it must not be forked; empty: it may
    unfit: str
    #: module → why it is refused
    refused: Mapping[str, str]
    #: the last of these has left something behind
    spoiled: bool
    seconds: float


class Unfit(TemplateLost):
    """The template has become such that a copy of it would not work."""


class TemplateProcess:
    """
    One process.

    Args:
        flags: of the interpreter.
        words: the application's module, and further modules.
        environment: all it gets: nothing secret.
        files: how many open files its children may have: soft and hard limit.
        reaper: tells when it ends.
    """

    def __init__(
        self,
        words: Sequence[str],
        *,
        flags: Sequence[str],
        environment: Mapping[str, str],
        files: tuple[int, int],
        reaper: Reaper,
    ) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, *flags, "-m", "perijove.launcher.template", str(theirs.fileno()), *words],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                start_new_session=True,
            )
        self.pid = process.pid
        self.ended = reaper.exit_of(process.pid)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, files)
        # The reaper is the only one who waits for children: keep Popen from warning about a second.
        process.returncode = 0
        self._channel: socket.socket | None = ours
        self._turn = asyncio.Lock()
        self._retired = False

    async def warm(self) -> Warm:
        """
        Wait until it has imported everything.

        Raises:
            TimeoutError, OSError: it takes too long, or ends.
        """
        return Warm(**await asyncio.wait_for(self._read(), WARM_TIMEOUT))

    async def fork(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> Forked:
        """
        Fork a child.

        Raises:
            LaunchFailed: it cannot fork.
            TemplateLost: it is gone, or no use any more; its child, if there is one, waits for a gate that stays shut.
        """
        async with self._turn:
            try:
                answer = await asyncio.wait_for(self._ask(plan, descriptors), FORK_TIMEOUT)
            except (TimeoutError, OSError) as exc:
                raise TemplateLost from exc
            finally:
                if self._retired:
                    self.end()
        if "unfit" in answer:
            raise Unfit(str(answer["unfit"]))
        if "error" in answer:
            raise LaunchFailed(str(answer["error"]))
        # It waits at its gate, so it is there still; its own /proc may be another.
        return Forked(pid=answer["pid"], start_time=start_time(answer["pid"]))

    def retire(self) -> None:
        """End it when it has done what it does at the moment."""
        self._retired = True
        if not self._turn.locked():
            self.end()

    def end(self) -> None:
        """End it, now; what it has forked is not touched."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if not self.ended.done():
            kill(self.pid, signal.SIGKILL)

    async def _ask(self, plan: ChildPlan, descriptors: Mapping[str, int]) -> dict[str, Any]:
        channel = self._open_channel()
        message = framed(replace(plan, descriptors=tuple(descriptors)).to_bytes())
        rights = array.array("i", descriptors.values())
        channel.sendmsg([message[: HEADER.size]], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        await asyncio.get_running_loop().sock_sendall(channel, message[HEADER.size :])
        return await self._read()

    async def _read(self) -> dict[str, Any]:
        channel = self._open_channel()
        (length,) = HEADER.unpack(await receive_exactly(channel, HEADER.size))
        message: dict[str, Any] = json.loads(await receive_exactly(channel, length))
        return message

    def _open_channel(self) -> socket.socket:
        if self._channel is None:
            raise ConnectionError("the template is gone")
        return self._channel


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
        # Room for that of each child (children.py).
        MARKER: NO_MARKER,
    }
