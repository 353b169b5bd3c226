r"""
The launcher's socket: frames of a 4-byte big-endian length and that many bytes of JSON, at most
`MAX_FRAME`. A request is `{"v": 1, "id": n, "op": "...", ...}`; an answer repeats `id` and has either
`"ok": {...}` or `"error": {"kind": "...", "message": "...", ...}`. After `watch`, frames with
`"event"` and no `id` arrive for every exit.

| op | fields | ok |
|---|---|---|
| `hello` | | `{"version", "pid", "isolation": {...}, "limits": [...], "warnings": [...]}` |
| `launch` | `LaunchRequest` | `Launched` (at once; the listening socket is bound, the child may still import) |
| `list` | | `{"servers": [Launched, …]}` running now, adopted ones included |
| `inspect` | `key` | `{"running": Launched \| null, "exit": ExitReport \| null}` |
| `terminate` | `key`, `generation`, `grace` seconds | `{}` at once; SIGTERM, SIGKILL to its session after `grace`; |
| | | a launch of that generation under way is waited for, a later one refused |
| `watch` | | `{}`, then events `{"event": "exited", "report": ExitReport}` |
| `log_tail` | `key`, `lines` ≤ 500 | `{"lines": [str, …]}` of its last or present run |

Who may ask: the hub's uid (SO_PEERCRED); everybody else is refused `forbidden`.
`key` is `owner/server_name`, one server of one user; `generation` is the hub's fencing number: a launch for a
key that runs an older generation is refused `already_running`; the same generation answers what runs (so
that a hub which died between asking and recording can ask again and get the same server, not a second one);
an effect of an older generation than one seen is refused `stale`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

VERSION: Final = 1
#: Longest frame: an environment and its argv fit many times over.
MAX_FRAME: Final = 1024 * 1024

#: error kinds
FORBIDDEN: Final = "forbidden"
BAD_REQUEST: Final = "bad_request"
ALREADY_RUNNING: Final = "already_running"
STALE: Final = "stale"
NO_SUCH_USER: Final = "no_such_user"
LAUNCH_FAILED: Final = "launch_failed"
#: a limit that this machine cannot enforce was asked for
UNENFORCEABLE: Final = "unenforceable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server may use; None is unlimited. What cannot be enforced is refused, never ignored."""

    #: bytes, the whole server with its kernels
    memory: int | None = None
    #: cores
    cpu: float | None = None
    processes: int | None = None
    open_files: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """Start one server of one user."""

    key: str
    generation: int
    #: the perijove user; the launcher maps it to a system user when it is root
    user: str
    server_name: str
    #: system user to run as (made on demand if `create_user`); empty: the launcher's own uid
    system_user: str
    create_user: bool
    #: home directory; empty: the system user's own (as root) or `<state>/users/<user>` (otherwise)
    home: str
    #: JUPYTERHUB_* and PERIJOVE_*, and whatever the administrator added; HOME, USER, … are the launcher's
    environment: Mapping[str, str]
    #: empty: fork the warm template. Else run this program the ordinary way, the socket as LISTEN_FDS fd 3
    argv: tuple[str, ...] = ()
    #: extra command line arguments for the notebook server
    args: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    #: with `argv`: where it begins; empty: in its home
    directory: str = ""
    #: with `argv`: whether it is given a socket, and JUPYTERHUB_SERVICE_URL says which
    listens: bool = True
    #: with `argv`: it binds a TCP port of loopback itself, as JUPYTERHUB_SERVICE_URL tells it to (contract a)
    own_port: bool = False
    #: whether it lives between walls; the administrator's own programs, such as services, need not
    walled: bool = True

    def to_json(self) -> dict[str, Any]:
        """The fields of a `launch` frame."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launched:
    """A server that runs."""

    key: str
    generation: int
    pid: int
    #: field 22 of /proc/PID/stat: with the pid, names one process for good
    start_time: int
    #: path of the unix socket it listens on
    socket: str
    log: str
    #: seconds since the epoch
    launched_at: float
    #: TCP port of loopback that it listens on instead; 0: none
    port: int = 0

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitReport:
    """Why a server is no more."""

    key: str
    generation: int
    #: one of `exit`, `signal`, `oom`, `unknown` (it ended while no launcher watched)
    reason: str
    #: exit code or signal number; -1 if unknown
    status: int
    #: a sentence for the user, for instance "killed for memory: 512 of 512 MB"
    message: str
    #: whether the hub had asked for it with `terminate`
    asked: bool
    #: last lines of its log, at most 50
    log_tail: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)
