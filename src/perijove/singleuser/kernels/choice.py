"""
Whether a kernel can be a fork of what is warm, or needs an interpreter of its own. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

#: Variables that say how many threads linear algebra uses; the first of them that is set.
THREAD_VARIABLES: Final = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
#: What `python -m` runs for a kernel of IPython's.
MODULE: Final = "ipykernel_launcher"
#: By what a kernel knows the process that started it.
PARENT_VARIABLE: Final = "JPY_PARENT_PID"
#: Beginnings of variables that the interpreter, the C library or a library looks at when it is loaded: too late here.
AT_LOAD: Final = (
    "BLIS_",
    "DEBUGPY_",
    "GLIBC_",
    "GOMP_",
    "GOTO_",
    "KMP_",
    "LD_",
    "MALLOC_",
    "MKL_",
    "NPY_",
    "NUMEXPR_",
    "NUMBA_",
    "OMP_",
    "OPENBLAS_",
    "OPENSSL_",
    "PANDAS_",
    "PYDEVD_",
    "PYTHON",
)
#: Those of them that are made good after the fork (libraries.py).
MADE_GOOD: Final = frozenset(THREAD_VARIABLES)
#: Ways of starting a kernel that say where it runs and with what, and nothing of how.
PLAIN: Final = frozenset({"cwd", "env", "kernel_id", "independent"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A fork will do."""

    #: arguments of the kernel application
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordinary:
    """It takes an interpreter of its own."""

    because: str


Choice: TypeAlias = Fork | Ordinary


def choose(
    command: Sequence[str], *, environment: Mapping[str, str], ways: Mapping[str, object], interpreter: str
) -> Choice:
    """
    How to start the kernel that *command* starts.

    Args:
        command: with everything filled in.
        environment: of the kernel.
        ways: how else it is to be started: keyword arguments of jupyter_client's `launch_kernel`.
        interpreter: of this process, which the warm kernels share.
    """
    match command:
        case [program, "-m", module, "-f", connection_file] if program == interpreter and module == MODULE:
            arguments = ("-f", connection_file)
        case _:
            return Ordinary(because="it is another program than this environment's own kernel")
    odd = sorted(name for name, value in ways.items() if name not in PLAIN and value is not None)
    if odd or ways.get("independent"):
        return Ordinary(because=f"it is to be started in a way of its own: {', '.join(odd) or 'independent'}")
    for name, value in sorted(environment.items()):
        if name.startswith(AT_LOAD) and not (name in MADE_GOOD and value.isdecimal()):
            return Ordinary(because=f"{name} is looked at when an interpreter or a library is loaded")
    return Fork(arguments=arguments)
