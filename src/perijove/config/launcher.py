"""
The names an administrator writes under `c.Launcher`: what concerns this machine, rather than one server.
"""

from __future__ import annotations

from traitlets import Bool, Enum, Int, List, TraitError, Unicode, validate
from traitlets.config import Configurable

from perijove.config.amounts import ByteSpecification


class Launcher(Configurable):
    """The privileged process that starts servers and kernels on this machine, as copies of what is warm."""

    isolation = Enum(
        ["auto", "require", "off"],
        "auto",
        help="Walls around every server: `auto`, where the kernel lets them be built; `require`, or else no start; "
        "`off`, none.",
    ).tag(config=True)
    shared_paths = List(
        Unicode(),
        help="Directories that all servers see although they lie below /home, /root or others that are hidden. "
        "Rights of files count there as everywhere.",
    ).tag(config=True)
    no_new_privs = Bool(
        True, help="Whether `sudo` and other programs that change the user are powerless in servers."
    ).tag(config=True)
    fork_kernels = Bool(
        True,
        help="Whether kernels of this environment are copies of a process that has imported IPython; a server starts "
        "others, and without this all of them, as jupyter_client does.",
    ).tag(config=True)
    preload = List(
        Unicode(),
        help='Modules that kernels find imported, such as ["numpy", "pandas", "matplotlib.pyplot"]. One that starts a '
        "thread, or leaves a file open, is refused, and the log names it.",
    ).tag(config=True)
    recycle_after = Int(
        1000,
        min=1,
        help="Copies after which a template is replaced by a new one, which is warm before the old one ends.",
    ).tag(config=True)

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

    @validate("preload")
    def _names(self, proposal: dict[str, list[str]]) -> list[str]:
        for name in proposal["value"]:
            if not all(part.isidentifier() for part in name.split(".")):
                raise TraitError(f"The 'preload' trait must list modules, and {name!r} names none.")
        return proposal["value"]

    @validate("shared_paths")
    def _paths(self, proposal: dict[str, list[str]]) -> list[str]:
        for path in proposal["value"]:
            if not path.startswith("/") or ".." in path.split("/"):
                raise TraitError(f"The 'shared_paths' trait must list absolute paths, and {path!r} is none.")
        return proposal["value"]


def launcher_words(launcher: Launcher) -> tuple[str, ...]:
    """What `perijove launcher` is told of it."""
    stated = {"--reserve-memory": launcher.reserve_memory, "--processes-limit": launcher.processes_limit}
    return (
        *("--isolation", launcher.isolation),
        *(word for path in launcher.shared_paths for word in ("--shared-path", path)),
        *(() if launcher.no_new_privs else ("--new-privileges",)),
        *(() if launcher.fork_kernels else ("--kernel-app", "")),
        *(word for name in launcher.preload for word in ("--preload", name)),
        *("--recycle-after", str(launcher.recycle_after)),
        *(word for name, value in stated.items() if value is not None for word in (name, str(value))),
    )
