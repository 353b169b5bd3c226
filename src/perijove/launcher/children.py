"""
What a forked child does before it is a server or a kernel, in order: control groups, namespaces, session, descriptors,
walls, limits, groups, gid, uid, capabilities, no_new_privs, umask, environment, directory, fresh randomness; then the
application.

Runs in the template's fork: no event loop, no thread, and nothing may return to the template.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import random
import signal
import site
import sys
import tempfile
import traceback
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from perijove.launcher import build, limits, namespaces
from perijove.launcher.plan import ERRORS, GATE, LISTEN_FD, LISTENING, OUTPUT, SERVER, ChildPlan

#: EX_CONFIG of sysexits(3): the child could not become a server.
EXIT_SETUP_FAILED: Final = 78
#: The launcher died before it had recorded this child.
EXIT_NOT_RECORDED: Final = 75

#: As shells have it.
EXIT_CANNOT_RUN: Final = 127
_CANNOT_RUN: Final = (
    "{command} cannot be run: {why}. If it is there, then its interpreter is not, as this server sees it: "
    "what lies below /home or /root has to be named in c.Launcher.shared_paths.\n"
)
#: Where a child finds its gate.
GATE_FD: Final = LISTEN_FD + 1


def go_to_place(plan: ChildPlan, descriptors: Mapping[str, int]) -> None:
    """
    In the process whose child is to become what *plan* says: the control groups and namespaces of that child.

    Raises:
        OSError: it cannot get there.
    """
    for procs in plan.cgroups:
        Path(procs).write_text("0")
    if plan.walls is None:
        return
    if SERVER in descriptors:
        build.join(plan.walls, descriptors[SERVER])
    else:
        build.leave(plan.walls)


def become(plan: ChildPlan, descriptors: Mapping[str, int]) -> NoReturn:
    """Turn this process into what *plan* says, and end with it."""
    code = EXIT_SETUP_FAILED
    try:
        os.setsid()
        _take_descriptors(descriptors)
        if plan.walls is not None and SERVER not in plan.descriptors:
            build.build(plan.walls)
            build.be_init(plan.walls)
        _take_identity(plan)
        _take_environment(plan)
        _reseed()
        # Whoever asked for this child writes one byte when he knows of it for good: the launcher, when the record of
        # this server is on disk. One that died just now could never find the child again, so then there must be none.
        if os.read(GATE_FD, 1) != b"1":
            os._exit(EXIT_NOT_RECORDED)
        os.close(GATE_FD)
        code = _run(plan)
    except SystemExit as exc:
        code = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
        if exc.code is not None and not isinstance(exc.code, int):
            # As the interpreter does: `sys.exit("why")` in somebody's settings is what they need to read.
            print(exc.code, file=sys.stderr)  # noqa: T201
    except BaseException:  # noqa: BLE001  # process edge: the log is all that will be known
        traceback.print_exc()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _take_descriptors(given: Mapping[str, int]) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    wanted = {0: nothing, 1: given[OUTPUT], 2: given[ERRORS], GATE_FD: given[GATE]}
    if LISTENING in given:
        wanted[LISTEN_FD] = given[LISTENING]
    # First out of the way of 0 to 4, then into place: none may overwrite another.
    moved = {target: _high_copy(fd) for target, fd in wanted.items()}
    for target, source in moved.items():
        os.dup2(source, target, inheritable=target != GATE_FD)
    _close_all_but(wanted)
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP) and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # As every Python has it: without this, one client that goes away during an answer would end the server.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _high_copy(fd: int) -> int:
    """A copy of *fd* above every number that `_take_descriptors` assigns."""
    while fd <= GATE_FD:
        fd = os.dup(fd)
    return fd


def _close_all_but(kept: Iterable[int]) -> None:
    keep = set(kept)
    for entry in list(Path("/proc/self/fd").iterdir()):
        if int(entry.name) not in keep:
            # The listing's own descriptor is closed already.
            with contextlib.suppress(OSError):
                os.close(int(entry.name))


def _take_identity(plan: ChildPlan) -> None:
    if plan.oom_score_adj:
        Path("/proc/self/oom_score_adj").write_text(str(plan.oom_score_adj))
    limits.apply(processes=plan.processes, open_files=plan.open_files)
    if plan.switch_user:
        os.setgroups(plan.groups)
        os.setresgid(plan.gid, plan.gid, plan.gid)
        os.setresuid(plan.uid, plan.uid, plan.uid)
        if os.getresuid() != (plan.uid,) * 3 or plan.uid == 0:
            raise PermissionError("the change of user did not take")
    elif plan.walls is not None:
        # Whoever makes a namespace of users has every capability in it.
        namespaces.drop_capabilities()
    if plan.no_new_privs:
        namespaces.set_no_new_privs()
    # A change of user without exec makes /proc/self root's: the server could not look at its own memory use,
    # and every subprocess would close descriptors one by one up to the limit. There is no secret to guard here.
    namespaces.set_dumpable()
    os.umask(0o077)


def _take_environment(plan: ChildPlan) -> None:
    os.environ.clear()
    os.environ.update(plan.environment)
    if plan.directory:
        # Asked for by name: a program that begins elsewhere would find other files, or none.
        os.chdir(plan.directory)
    else:
        _go_home(plan.home)
    tempfile.tempdir = None
    _use_user_site()


def _go_home(home: str) -> None:
    try:
        os.chdir(home)
    except OSError as exc:
        sys.stderr.write(f"The home directory {home} cannot be used: {exc.strerror}. Starting in /.\n")
        os.chdir("/")


def _use_user_site() -> None:
    """The user's own packages, as an interpreter that started as that user would have them."""
    site.USER_BASE = site.USER_SITE = None
    if site.ENABLE_USER_SITE:
        path = site.getusersitepackages()
        if Path(path).is_dir():
            site.addsitedir(path)


def _reseed() -> None:
    """Two servers of one template must not draw the same numbers."""
    random.seed()
    # typeshed does not know these two; both remember the template.
    vars(uuid)["_last_timestamp"] = None
    vars(uuid)["_node"] = None
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _run(plan: ChildPlan) -> int:
    if plan.argv:
        if plan.listens:
            os.environ["LISTEN_PID"] = str(os.getpid())
            os.environ["LISTEN_FDS"] = "1"
        else:
            os.set_inheritable(LISTEN_FD, False)
        argv = [*plan.argv, *plan.args]
        # An ignored signal stays ignored through exec, and shells would hand that on to every pipeline.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            os.execvpe(argv[0], argv, os.environ)  # noqa: S606  # the administrator's own command
        except OSError as exc:
            sys.stderr.write(_CANNOT_RUN.format(command=argv[0], why=exc.strerror))
            return EXIT_CANNOT_RUN
    if LISTENING in plan.descriptors:
        os.set_inheritable(LISTEN_FD, False)
    gc.enable()
    module = importlib.import_module(plan.app)
    code: int = module.run(listen_fd=LISTEN_FD if LISTENING in plan.descriptors else -1, args=list(plan.args))
    return code
