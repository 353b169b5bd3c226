"""
IPython's kernel, in a fork of a process that has imported it. `run` makes of the fork what an interpreter would be that
was started for this kernel alone; `preload` is what the template calls.
"""

from __future__ import annotations

import atexit
import importlib.util
import locale
import os
import site
import sys
import threading
from typing import Final

from ipykernel.kernelapp import IPKernelApp

from perijove.singleuser.kernels import libraries
from perijove.singleuser.kernels import preload as preloading
from perijove.singleuser.kernels.choice import MODULE, PARENT_VARIABLE
from perijove.singleuser.kernels.shadows import found_in, in_order, own_names, shadowed

#: `IPKernelApp.parent_handle`: no parent to poll for, and no terminal to write advice to.
INIT: Final = 1
#: Where everybody's modules are; what a fork has besides is its user's.
_path_of_all: Final[list[str]] = []
#: Variables that modules set for the programs that they start: the debugger does.
_set_by_imports: Final[dict[str, str]] = {}
_path_of_launcher: Final[list[str]] = []


def preload() -> None:
    """Import what a kernel needs, in the template."""
    before = dict(os.environ)
    preloading.preload()
    _set_by_imports.update({name: value for name, value in os.environ.items() if name not in before})
    # Where the launcher itself finds perijove, if that is not installed, is nothing for kernels.
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    _path_of_all[:] = [folder for folder in sys.path if folder not in own]
    _path_of_launcher[:] = [folder for folder in sys.path if folder in own]


def run(*, listen_fd: int, args: list[str]) -> int:  # noqa: ARG001  # what all applications are called with
    """Be the kernel with these arguments, until it ends; answer the exit code."""
    path = [folder for folder in sys.path if folder not in _path_of_launcher]
    own = [folder for folder in path if folder not in _path_of_all]
    sys.path[:] = in_order(path, own, system=site.getsitepackages([sys.base_prefix]))
    ahead = [*sys.path[: sys.path.index(own[0])], *_path_of_launcher] if own else sys.path
    if not _speaks_utf8() or shadowed(own_names(own), found_in(sys.modules), ahead):
        # What is imported is not what this user would find: this takes an interpreter of their own, in our place.
        os.environ.pop(PARENT_VARIABLE, None)
        os.execv(sys.executable, [sys.executable, "-m", MODULE, *args])  # noqa: S606  # our own interpreter
    sys.argv = [_file_of(MODULE), *args]
    for name, value in _set_by_imports.items():
        os.environ.setdefault(name, value)
    libraries.look_again(os.environ)
    try:
        IPKernelApp.launch_instance(argv=args, parent_handle=INIT)
    finally:
        _end_as_interpreters_do()
    return 0


def _speaks_utf8() -> bool:
    """Take on the locale of the environment, as an interpreter does when it starts."""
    try:
        locale.setlocale(locale.LC_CTYPE, "")
    except locale.Error:
        return False
    return locale.nl_langinfo(locale.CODESET) == "UTF-8"


def _file_of(module: str) -> str:
    spec = importlib.util.find_spec(module)
    return spec.origin or module if spec is not None else module


def _end_as_interpreters_do() -> None:
    """The launcher's children end by _exit(2), which knows nothing of what is to be done at the end."""
    # typeshed does not know these two; multiprocessing ends its forks with them, too.
    vars(threading)["_shutdown"]()
    vars(atexit)["_run_exitfuncs"]()
