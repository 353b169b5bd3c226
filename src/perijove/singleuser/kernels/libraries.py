"""
Libraries that find out about their surroundings when they are imported, and never again: in a kernel, that was the
template, which has no user, no home and one thread. Called in the fork, before the kernel begins.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from perijove.singleuser.kernels.choice import THREAD_VARIABLES

#: ipykernel's own choice (`IPKernelApp.init_gui_pylab`), which matplotlib would find in the environment.
INLINE: Final = "module://matplotlib_inline.backend_inline"
#: How many threads linear algebra uses is said to the library, by one of these names of the same function.
SET_THREADS: Final = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
    "omp_set_num_threads",
)
#: What the names of such libraries have in them.
_PARALLEL: Final = ("blas", "mkl_rt", "blis", "gomp", "iomp", "libomp")


def look_again(environ: Mapping[str, str]) -> None:
    """Let libraries that are loaded see who, where and on how many cores this process is now."""
    for name, look in _LOOKS.items():
        module = sys.modules.get(name)
        if module is not None:
            look(module, environ)


def threads_wanted(environ: Mapping[str, str], cores: int) -> int:
    """How many threads linear algebra is to use."""
    said = [environ[name] for name in THREAD_VARIABLES if environ.get(name, "").isdecimal()]
    return max(1, int(said[0])) if said else cores


def _numpy(_module: ModuleType, environ: Mapping[str, str]) -> None:
    """The template keeps these to one thread, so that it can be copied."""
    count = threads_wanted(environ, len(os.sched_getaffinity(0)))
    if count == 1:
        return
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    files = {line.split(maxsplit=5)[5] for line in maps if any(part in line for part in _PARALLEL)}
    for file in files:
        with suppress(OSError):
            library = ctypes.CDLL(file, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            for name in SET_THREADS:
                if hasattr(library, name):
                    getattr(library, name)(ctypes.c_int(count))
                    break


def _matplotlib(matplotlib: ModuleType, environ: Mapping[str, str]) -> None:
    for function in (matplotlib.get_configdir, matplotlib.get_cachedir):
        forget(function)
    if Path(matplotlib.matplotlib_fname()).parent != Path(matplotlib.get_data_path()):
        # A file of the user's.
        settings = matplotlib.rc_params()
        matplotlib.rcParams.update(settings)
        matplotlib.rcParamsOrig.update(settings)
    if environ.get("MPLBACKEND"):
        matplotlib.rcParams["backend"] = environ["MPLBACKEND"]
    else:
        # Past the check whether there is such a backend, which reads the metadata of all that is installed.
        dict.__setitem__(matplotlib.rcParams, "backend", INLINE)


def _fonts(manager: ModuleType, environ: Mapping[str, str]) -> None:
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    own = [folder for folder in (f"{data}/fonts", f"{home}/.fonts") if Path(folder).is_dir()]
    for file in manager.findSystemFonts(own) if own else ():
        # Whatever stands in a folder of fonts: matplotlib itself passes over what it cannot read.
        with suppress(Exception):
            manager.fontManager.addfont(file)


def _jedi(settings: ModuleType, _environ: Mapping[str, str]) -> None:
    """Where it keeps what it has read, which stands below a home."""
    importlib.reload(settings)


def _parso(cache: ModuleType, _environ: Mapping[str, str]) -> None:
    vars(cache)["_default_cache_path"] = vars(cache)["_get_default_cache_path"]()


def forget(function: Callable[..., Any]) -> None:
    """Let one of matplotlib's functions that remember their first answer compute it anew."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name == "called":
            cell.cell_contents = False


_LOOKS: Final[Mapping[str, Callable[[ModuleType, Mapping[str, str]], None]]] = {
    "numpy": _numpy,
    "matplotlib": _matplotlib,
    "matplotlib.font_manager": _fonts,
    "jedi.settings": _jedi,
    "parso.cache": _parso,
}
