"""
How jupyter_client starts a kernel here: forked by the launcher when that comes to the same, else the ordinary way.

The only place that knows jupyter_client's provisioners. Nobody notices which way was taken, but for the time it took.
"""

from __future__ import annotations

import asyncio
import os
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final

import structlog
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from perijove.kit.clock import SystemClock
from perijove.kit.processes import ending
from perijove.singleuser.kernels.asking import NotForked, ask
from perijove.singleuser.kernels.choice import PARENT_VARIABLE, Ordinary, choose
from perijove.singleuser.kernels.ends import Ends
from perijove.singleuser.kernels.forked import ForkedKernel
from perijove.wire import environment as names
from perijove.wire.kernels import KernelEnd, KernelRequest

log = structlog.get_logger(__name__)

#: What a kernelspec, or `KernelProvisionerFactory.default_provisioner_name`, calls it.
NAME: Final = "perijove-provisioner"
#: Looks whether it listens, and seconds between two of them: it is waited for no longer than ZeroMQ itself would.
LISTEN_LOOKS: Final = 50
LISTEN_PAUSE: Final = 0.004
#: Ends of this server's kernels. A provisioner is made by jupyter_client, which hands it nothing of ours.
ENDS: Final = Ends()


def register() -> None:
    """
    Make the provisioner known by its name. An entry point would do the same, where this version is installed as a
    distribution; a server also runs from a source tree.
    """
    point = EntryPoint(NAME, f"{__name__}:{WarmProvisioner.__name__}", KernelProvisionerFactory.GROUP_NAME)
    KernelProvisionerFactory.provisioners[NAME] = point


class WarmProvisioner(LocalProvisioner):
    """LocalProvisioner, whose process may be one that the launcher forked."""

    #: a Popen, or what does the same
    process: Any
    #: whether it was told to end
    _told = False

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel that *cmd* starts."""
        self._told = False
        forked = await self._forked(cmd, kwargs)
        if forked is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process = forked
        await self._until_it_listens()
        # A forked kernel begins a session, and is the leader of its process group.
        self.pid = self.pgid = forked.pid
        self.cwd = kwargs.get("cwd", Path.cwd())
        return self.connection_info

    async def _forked(self, cmd: list[str], kwargs: dict[str, Any]) -> ForkedKernel | None:
        path, marker = os.environ.get(names.KERNEL_SOCKET), os.environ.get(names.LAUNCH)
        if not path or not marker:
            return None
        environment = {str(name): str(value) for name, value in (kwargs.get("env") or os.environ).items()}
        choice = choose(cmd, environment=environment, ways=kwargs, interpreter=sys.executable)
        if isinstance(choice, Ordinary):
            log.debug("kernel.ordinary", because=choice.because)
            return None
        request = KernelRequest(
            marker=marker,
            argv=choice.arguments,
            environment={**environment, PARENT_VARIABLE: str(os.getpid())},
            directory=str(kwargs.get("cwd") or Path.cwd()),
        )
        try:
            return ForkedKernel(await ask(Path(path), request))
        except NotForked as exc:
            log.warning("kernel.not_forked", because=str(exc))
            return None

    async def _until_it_listens(self) -> None:
        """
        Wait until its sockets are there, a short while. ZeroMQ tries again after 0.1 s when they are not, which is
        longer than the kernel takes.
        """
        if self.connection_info.get("transport") != "ipc":
            return
        last = f"{self.connection_info['ip']}-{self.connection_info['hb_port']}"
        for _ in range(LISTEN_LOOKS):
            if os.path.exists(last) or self.process.poll() is not None:  # noqa: PTH110, ASYNC240  # a name, in memory
                return
            await asyncio.sleep(LISTEN_PAUSE)

    async def poll(self) -> int | None:
        """None while it runs."""
        process = self.process
        code: int | None = await super().poll()
        if code is not None and process is not None and not self._told:
            self._told = True
            ENDS.remember(self.kernel_id, _end_of(process, code), SystemClock().now())
        return code

    async def send_signal(self, signum: int) -> None:
        """To the kernel and the programs that it has started."""
        if not isinstance(self.process, ForkedKernel):
            await super().send_signal(signum)
        elif self.process.poll() is None:
            self.process.send_group_signal(signum)

    async def kill(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002  # the base's
        """End it at once."""
        self._told = True
        await super().kill(restart=restart)

    async def terminate(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002  # the base's
        """Ask it to end."""
        self._told = True
        await super().terminate(restart=restart)

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002  # the base's
        """It was sent a message that asks it to end."""
        self._told = True
        await super().shutdown_requested(restart=restart)


def _end_of(process: object, code: int) -> KernelEnd:
    """Of one that we started ourselves, we know only the code."""
    if isinstance(process, ForkedKernel) and process.end is not None:
        return process.end
    if code < 0:
        return KernelEnd(reason="signal", status=-code, message=ending(code))
    return KernelEnd(reason="exit", status=code, message=ending(code))
