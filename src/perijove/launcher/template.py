"""
The warm template: a process that has imported the application and waits to be forked.

Started by `template_process.py` as `python -m perijove.launcher.template FD APP [MODULE]...`. It holds no credential,
no user's file, no thread and no event loop, which is looked at before each fork; it dies with the launcher. Each child
is forked twice, so that it becomes the launcher's (a subreaper's) child, which learns how it ended.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Collection, Sequence
from typing import NoReturn

from perijove.kit.frames import HEADER, framed, receive_with_descriptors
from perijove.kit.process import die_with_parent
from perijove.launcher.children import become, go_to_place
from perijove.launcher.plan import MAX_DESCRIPTORS, ChildPlan
from perijove.launcher.template_preload import look, preload, unfit


def main() -> None:
    """Import, report, then fork on request until the launcher goes away."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    _die_with(os.getppid())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    own = {0, 1, 2, channel.fileno()}
    _answer(channel, _warm_up(sys.argv[2], sys.argv[3:], own))
    while (request := _receive(channel)) is not None:
        plan, descriptors = request
        # Of the application, or of a module that an administrator wanted: it would be in every child.
        why = unfit(look(), own | set(descriptors.values()))
        _answer(channel, {"unfit": why} if why else _fork(channel, plan, descriptors))
        for fd in descriptors.values():
            os.close(fd)


def _warm_up(app: str, modules: Sequence[str], own: Collection[int]) -> dict[str, object]:
    began = time.monotonic()
    if not sys.flags.safe_path:
        # The folder it was started in, which an interpreter without -P imports from first.
        del sys.path[0]
    importlib.import_module(app).preload()
    done = preload(modules, look)
    why = unfit(look(), own)
    gc.collect()
    gc.freeze()
    # A frozen heap must not be swept in the template: that would touch, and so copy, every page.
    gc.disable()
    return {
        "unfit": why,
        "refused": done.refused,
        "spoiled": done.spoiled,
        "seconds": time.monotonic() - began,
    }


def _die_with(parent: int) -> None:
    die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _receive(channel: socket.socket) -> tuple[ChildPlan, dict[str, int]] | None:
    data, descriptors = receive_with_descriptors(channel, HEADER.size, most=MAX_DESCRIPTORS)
    if not data:
        return None
    (length,) = HEADER.unpack(data + _read_exactly(channel, HEADER.size - len(data)))
    plan = ChildPlan.from_bytes(_read_exactly(channel, length))
    return plan, dict(zip(plan.descriptors, descriptors, strict=True))


def _read_exactly(channel: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = channel.recv(count - len(data))
        if not chunk:
            sys.exit(0)
        data += chunk
    return bytes(data)


def _answer(channel: socket.socket, message: dict[str, object]) -> None:
    channel.sendall(framed(json.dumps(message).encode()))


def _fork(channel: socket.socket, plan: ChildPlan, descriptors: dict[str, int]) -> dict[str, object]:
    reading, writing = os.pipe()
    try:
        middle = os.fork()
    except OSError as exc:
        os.close(reading)
        os.close(writing)
        return {"error": f"cannot fork: {exc.strerror}"}
    if middle == 0:
        os.close(reading)
        channel.close()
        _fork_again(plan, writing, descriptors)
    os.close(writing)
    told = os.read(reading, 1024)
    os.close(reading)
    os.waitpid(middle, 0)
    if not told.isdigit():
        return {"error": told.decode(errors="replace") or "cannot fork a second time"}
    return {"pid": int(told)}


def _fork_again(plan: ChildPlan, writing: int, descriptors: dict[str, int]) -> NoReturn:
    try:
        # Before the child exists, so that it is never anywhere else.
        go_to_place(plan, descriptors)
        pid = os.fork()
    except (OSError, ValueError) as exc:
        os.write(writing, str(exc).encode()[:1024])
        os._exit(1)
    if pid == 0:
        become(plan, descriptors)
    os.write(writing, str(pid).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
