r"""
The kernel socket, `<runtime>/kernels/s`: how a server asks the launcher to fork a kernel. One connection is one kernel.

The asker sends one frame (a 4-byte big-endian length and that many bytes of JSON, at most `MAX_FRAME`) within
`REQUEST_SECONDS`, and with its first byte, by SCM_RIGHTS, one descriptor, the reading end of a pipe, the gate:

    {"v": 1, "op": "kernel", "marker": str, "argv": [str, …], "environment": {str: str}, "directory": str}

and is answered one frame, either `{"error": {"kind": …, "message": …}}`, after which the connection ends, or
`{"ok": {}}`, whose first byte brings a pidfd of the kernel; its number is what the asker's own /proc says. The kernel
waits behind its gate: the asker writes `GO` into that pipe when it has the pidfd. A kernel whose asker, launcher or
template dies before that never runs. It writes into the log of its server. When it ends, one more frame comes:
`{"exit": {"reason": …, "status": int, "message": str}}`. The end of the connection without it says nothing of the
kernel, which outlives the launcher.

Who may ask: any uid (SO_PEERCRED), for the server that runs as that uid and has this `marker` in its environment. The
kernel gets uid, groups, limits and walls of that server, and nothing else of the launcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

VERSION: Final = 1
#: Longest frame: an environment fits many times over.
MAX_FRAME: Final = 1024 * 1024
#: Seconds that the asker may take to send its frame.
REQUEST_SECONDS: Final = 5.0
#: The operation, and the only one.
KERNEL: Final = "kernel"
#: What opens the gate.
GO: Final = b"1"

#: error kinds
FORBIDDEN: Final = "forbidden"
BAD_REQUEST: Final = "bad_request"
#: this uid has as many kernels, or unfinished requests, as it may
TOO_MANY: Final = "too_many"
#: it could not be forked; ask no more for now
UNAVAILABLE: Final = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRequest:
    """One kernel of the server that has *marker*."""

    #: value of `PERIJOVE_LAUNCH` in the server's environment
    marker: str
    #: arguments of the kernel application, without interpreter and module
    argv: tuple[str, ...]
    #: the whole environment
    environment: Mapping[str, str]
    #: where it begins; empty: in the server's home
    directory: str

    def to_json(self) -> dict[str, Any]:
        """The frame."""
        return {"v": VERSION, "op": KERNEL, **asdict(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelEnd:
    """Why a kernel is no more."""

    #: one of `exit`, `signal`, `oom`, `unknown` (nobody was told)
    reason: str
    #: exit code or number of the signal; -1 if unknown
    status: int
    #: a sentence for the user
    message: str

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)
