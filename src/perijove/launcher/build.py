"""
Builds the walls of walls.py around a forked child, or takes a kernel inside those of its server.

Two processes take part. The *middle* one, forked from the template, leaves or enters namespaces; its child, which is in
all of them, mounts. Where pids are private too, that child stays as the init of the new namespace: it collects whoever
loses its parent, passes SIGTERM on, and when it ends, or is killed, nothing of the server is left.
"""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from perijove.launcher import namespaces
from perijove.launcher.walls import Step, Walls

#: Added to the number of a signal in the exit code of an init, as shells do.
SIGNALLED: Final = 128
#: Inodes of the empty directory that hides one: room for the names of what is shown inside.
_EMPTY: Final = "mode=0755,size=1m,nr_inodes=1k"
_SAFE: Final = namespaces.NO_SUID | namespaces.NO_DEVICES


def leave(walls: Walls) -> None:
    """In the middle process: new namespaces, for its child more than for itself."""
    uid, gid = os.getuid(), os.getgid()
    namespaces.unshare(*walls.namespaces)
    if "user" in walls.namespaces:
        # Without this rule a group could be dropped that a file's mode shuts out (user_namespaces(7)).
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def join(walls: Walls, server: int) -> None:
    """In the middle process of a kernel: go where its server is, which the pidfd *server* names."""
    namespaces.enter(server, *walls.namespaces)


def build(walls: Walls) -> None:
    """In the child: mount. What changes here is seen by nobody outside."""
    namespaces.mount("none", "/", flags=namespaces.RECURSIVE | namespaces.SLAVE)
    os.umask(0o022)
    with ExitStack() as stack:
        # Held before anything covers them.
        held = {step.path: _hold(step, stack) for step in walls.steps}
        for step in walls.steps:
            _take(step, held[step.path])
    _show_own_processes(walls)
    for step in walls.steps:
        if step.kind == "hide" and Path(step.path).is_dir():
            namespaces.set_read_only(step.path, read_only=True, recursive=False)
    if walls.read_only:
        for path in walls.writable:
            if Path(path).is_dir() and not os.path.ismount(path):
                namespaces.mount(path, path, flags=namespaces.BIND | namespaces.RECURSIVE)
        namespaces.set_read_only("/", read_only=True, recursive=True)
        for path in walls.writable:
            if Path(path).is_dir():
                namespaces.set_read_only(path, read_only=False, recursive=True)


def be_init(walls: Walls) -> None:
    """Fork; the child returns and becomes the server, and this process waits for it as the init of its namespace."""
    if not walls.has_own_pids:
        return
    child = os.fork()
    if child:
        _wait_as_init(child)


def _hold(step: Step, stack: ExitStack) -> int:
    source = step.source or step.path
    if step.kind == "hide" or (step.kind == "private" and not step.source):
        return -1
    descriptor = os.open(source, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _take(step: Step, held: int) -> None:
    if held >= 0:
        target = Path(step.path)
        if not target.exists():
            # Only ever inside an empty directory that was mounted just now: nobody else can have put a link there.
            _make_place(target, is_directory=Path(f"/proc/self/fd/{held}").is_dir())
        namespaces.mount(f"/proc/self/fd/{held}", step.path, flags=namespaces.BIND | namespaces.RECURSIVE)
    elif step.kind == "private":
        namespaces.mount("tmpfs", step.path, "tmpfs", _SAFE, "mode=1777")
    elif Path(step.path).is_dir():
        namespaces.mount("tmpfs", step.path, "tmpfs", _SAFE, _EMPTY)
    else:
        namespaces.mount("/dev/null", step.path, flags=namespaces.BIND)


def _make_place(target: Path, *, is_directory: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        target.mkdir(exist_ok=True)
    else:
        target.touch()


def _show_own_processes(walls: Walls) -> None:
    """A /proc of its own: of its own namespace of pids, or without the processes of other users."""
    flags = _SAFE | namespaces.NO_EXEC
    namespaces.mount("proc", "/proc", "proc", flags, "" if walls.has_own_pids else "hidepid=invisible")


def _wait_as_init(child: int) -> NoReturn:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    # It has nothing to read, to write or to accept.
    os.closerange(0, os.sysconf("SC_OPEN_MAX"))
    namespaces.drop_capabilities()
    namespaces.set_no_new_privs()
    os.chdir("/")
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else SIGNALLED - code)
