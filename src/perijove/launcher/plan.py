"""
What the launcher tells the template to fork: everything a child needs, as one JSON message.

Both ends run the same version of this file, so it needs no compatibility. The descriptors that the plan
names travel with it (SCM_RIGHTS), in its order.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, Final

from perijove.launcher.walls import Walls

#: Length before every message between launcher and template.
HEADER: Final = struct.Struct(">I")
#: Most descriptors that travel with a plan.
MAX_DESCRIPTORS: Final = 8
#: Names of descriptors: where it writes to, the socket that a server accepts from, and the gate (see children.py).
OUTPUT: Final = "output"
ERRORS: Final = "errors"
LISTENING: Final = "listening"
GATE: Final = "gate"
#: The pidfd of the server whose namespaces a kernel enters.
SERVER: Final = "server"
#: Where the child finds its listening socket: SD_LISTEN_FDS_START of sd_listen_fds(3).
LISTEN_FD: Final = 3
#: Environment variable that names a server in all its processes, so that none is left behind.
MARKER: Final = "PERIJOVE_LAUNCH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """How one forked child becomes one server, or one kernel."""

    #: for messages
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    #: whether to change uid and gid: the launcher is root
    switch_user: bool
    home: str
    #: where it begins; empty: at home
    directory: str
    #: the whole environment of the server
    environment: dict[str, str]
    #: module with `run(listen_fd, args) -> int`, already imported by the template; no socket: -1
    app: str
    #: empty: run `app`; else this program
    argv: tuple[str, ...]
    args: tuple[str, ...]
    #: whether a program that is run keeps the listening socket
    listens: bool
    processes: int | None
    open_files: int | None
    #: `cgroup.procs` files of the control groups that it joins, one a hierarchy
    cgroups: tuple[str, ...] = ()
    #: who is killed first when memory runs out: proc(5), oom_score_adj
    oom_score_adj: int = 0
    #: whether programs with the set-user-id bit, such as `sudo`, give it nothing
    no_new_privs: bool = True
    #: what it does not see; None: it sees all that its user may
    walls: Walls | None = None
    #: names of the descriptors that travel with it
    descriptors: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """The message, without its length."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> ChildPlan:
        """Read what `to_bytes` wrote."""
        fields: dict[str, Any] = json.loads(data)
        for name in ("groups", "argv", "args", "cgroups", "descriptors"):
            fields[name] = tuple(fields[name])
        if fields["walls"] is not None:
            fields["walls"] = Walls.from_json(fields["walls"])
        return cls(**fields)


def framed(data: bytes) -> bytes:
    """*data* with its length before it."""
    return HEADER.pack(len(data)) + data
