"""
The names an administrator writes under `c.Launcher`: what concerns this machine, rather than one server.
"""

from __future__ import annotations

from traitlets import Bool, Int, List, TraitError, Unicode, validate
from traitlets.config import Configurable


class Launcher(Configurable):
    """What servers and kernels are copied from, so that neither has to import what all of them need."""

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

    @validate("preload")
    def _names(self, proposal: dict[str, list[str]]) -> list[str]:
        for name in proposal["value"]:
            if not all(part.isidentifier() for part in name.split(".")):
                raise TraitError(f"The 'preload' trait must list modules, and {name!r} names none.")
        return proposal["value"]


def launcher_words(launcher: Launcher) -> tuple[str, ...]:
    """What `perijove launcher` is told of it."""
    return (
        *(() if launcher.fork_kernels else ("--kernel-app", "")),
        *(word for name in launcher.preload for word in ("--preload", name)),
        *("--recycle-after", str(launcher.recycle_after)),
    )
