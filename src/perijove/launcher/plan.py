"""
What the launcher tells the template to fork: everything a child needs, as one JSON message.

Both ends run the same version of this file, so it needs no compatibility. The descriptors that the plan
names travel with it (SCM_RIGHTS), in its order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from perijove.launcher.walls import Walls
from perijove.wire import environment as names

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
MARKER: Final = names.LAUNCH
#: What a template has in its place: as long as any (Randomness.hex(16)).
NO_MARKER: Final = "0" * 32
#: Added to what a server has: when memory runs out, its kernels are killed before it.
KERNEL_OOM_SCORE: Final = 300
#: Worst standing that there is: proc(5), oom_score_adj.
MAX_OOM_SCORE: Final = 1000


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
        return cls.from_json(json.loads(data))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ChildPlan:
        """
        Read what `asdict` made.

        Raises:
            TypeError, KeyError: it is of another version.
        """
        lists = {name: tuple(data[name]) for name in ("groups", "argv", "args", "cgroups", "descriptors")}
        walls = Walls.from_json(data["walls"]) if data["walls"] is not None else None
        return cls(**{**data, **lists, "walls": walls})

    def standing(self) -> ChildPlan:
        """What a server's kernels share with it: everything but what it runs, and what is secret about that."""
        return replace(self, environment={}, directory="", argv=(), args=(), descriptors=())


def kernel_of(
    server: ChildPlan, *, app: str, args: tuple[str, ...], environment: Mapping[str, str], directory: str
) -> ChildPlan:
    """
    The plan of a kernel of *server*: the same user, limits, control groups and walls, whatever those are.

    Args:
        server: as it was forked.
        app: module that the kernel runs.
        args: its arguments.
        environment: the whole of it.
        directory: where it begins; empty: at home.
    """
    return replace(
        server.standing(),
        name=f"kernel of {server.name}",
        app=app,
        args=args,
        environment=dict(environment),
        directory=directory,
        listens=False,
        oom_score_adj=min(server.oom_score_adj + KERNEL_OOM_SCORE, MAX_OOM_SCORE),
    )
