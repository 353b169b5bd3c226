"""
The names an administrator writes under `c.Launcher`: what concerns this machine, rather than one server.
"""

from __future__ import annotations

from traitlets import Int
from traitlets.config import Configurable

from perijove.config.amounts import ByteSpecification


class Launcher(Configurable):
    """The privileged process that starts servers on this machine."""

    reserve_memory = ByteSpecification(
        None,
        allow_none=True,
        help="Memory that all servers together leave to hub, proxy and system, for instance '1G'. Default: a tenth of "
        "this machine's, between 384M and 2G. Needs control groups.",
    ).tag(config=True)
    processes_limit = Int(
        None,
        allow_none=True,
        min=1,
        help="Most processes and threads of all servers together. Default: three quarters of what the kernel allows, "
        "32768 at most. Needs control groups.",
    ).tag(config=True)


def launcher_words(launcher: Launcher) -> tuple[str, ...]:
    """What `perijove launcher` is told of it."""
    options = {"--reserve-memory": launcher.reserve_memory, "--processes-limit": launcher.processes_limit}
    return tuple(word for name, value in options.items() if value is not None for word in (name, str(value)))
