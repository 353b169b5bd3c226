"""
What the kernels' template imports: all that IPython's kernel would otherwise import after the fork.

Found by comparing `sys.modules` before the fork with those of a kernel that has run a cell, completed a name, shown an
error and been debugged. None of these may start a thread or leave a file open.
"""

from __future__ import annotations

import importlib
from typing import Final

import structlog

log = structlog.get_logger(__name__)

IMPORTED: Final = (
    "ipykernel.kernelapp",
    # The debugger: half of what a kernel takes to start.
    "ipykernel.debugger",
    # With every start.
    "IPython.core.debugger",
    "IPython.extensions.storemagic",
    "faulthandler",
    "pdb",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    # With the first cell, error, completion, question or shell command.
    "IPython.core.completerlib",
    "IPython.core.guarded_eval",
    "IPython.core.latex_symbols",
    "IPython.core.magics.namespace",
    "IPython.core.oinspect",
    "IPython.utils.timing",
    "executing.executing",
    "fractions",
    "jedi",
    "jedi.api.completion",
    "jedi.inference.compiled.subprocess",
    "jedi.plugins.registry",
    "parso.python.diff",
    "pexpect",
    "pygments.formatters.html",
    "pygments.formatters.terminal256",
    "pygments.lexers.python",
    "pygments.styles.default",
    "stack_data",
    "timeit",
)


def preload() -> None:
    """Import it all."""
    for name in IMPORTED:
        try:
            importlib.import_module(name)
        except ImportError as exc:
            # A kernel without it starts all the same.
            log.info("preload.skipped", module=name, error=str(exc))
