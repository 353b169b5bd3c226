"""
What one person's server can see and do of another's. Run by the launcher as a server; says it as lines of JSON.

    python spy.py VICTIM_PID VICTIM_DIRECTORY...
"""

# ruff: noqa: PTH112, PTH208, T201 -- names are all it wants, and printing is how it tells
from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PTRACE_ATTACH = 16
SHARED_MEMORY_KEY = 0x7065726A


def outcome(what: Callable[[], object]) -> str:
    """`done`, or the name of what stood in the way."""
    try:
        what()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return "done"


def connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        probe.connect(path)


def attach(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def shared_memory() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.shmget(SHARED_MEMORY_KEY, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "shmget")


def uncovered(directory: str) -> list[str]:
    """What is below *directory* for somebody who is root in namespaces of his own, and unmounts what he can."""
    script = 'umount -l /home /root /tmp /dev/shm "$1" "$(dirname "$1")" 2>/dev/null; ls "$1" 2>/dev/null'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", directory],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.split()


def status() -> list[list[str]]:
    return [line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line]


def main() -> None:
    pid = int(sys.argv[1])
    home, runtime, server, state, launcher, outside = sys.argv[2:]
    found = {
        "home": outcome(lambda: os.listdir(home)),
        "notes": outcome(lambda: Path(home, "notes.txt").read_bytes()),
        "homes": sorted(os.listdir(Path.home().parent)),
        "runtime": outcome(lambda: os.listdir(runtime)),
        "kernel socket": outcome(lambda: connect(f"{runtime}/kernel-ipc-1")),
        "server socket": outcome(lambda: connect(f"{server}/s")),
        "state": sorted(os.listdir(state)) if os.path.isdir(state) else [],
        "database": outcome(lambda: Path(state, "hub.sqlite").read_bytes()),
        "launcher": outcome(lambda: connect(launcher)),
        "environment": outcome(lambda: Path(f"/proc/{pid}/environ").read_bytes()),
        "signal": outcome(lambda: os.kill(pid, signal.SIGCONT)),
        "ptrace": outcome(lambda: attach(pid)),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "uids of processes": sorted({Path(f"/proc/{p}").stat().st_uid for p in os.listdir("/proc") if p.isdigit()}),
        "tmp": sorted(os.listdir("/tmp")),
        "var tmp": sorted(os.listdir("/var/tmp")),
        "shm": sorted(os.listdir("/dev/shm")),
        "shared memory": outcome(shared_memory),
        "outside": outcome(lambda: Path(outside, "planted.txt").write_text("x")),
        "interpreter": outcome(lambda: Path(sys.prefix, "planted.txt").write_text("x")),
        "own home": outcome(lambda: Path.home().joinpath("mine.txt").write_text("x")),
        "own tmp": outcome(lambda: Path("/tmp/mine.txt").write_text("x")),
        "uncovered": uncovered(home),
        "status": {name: value for name, value in status() if name.startswith(("Cap", "NoNew"))},
    }
    # A line each: a report has short lines only.
    for name, value in found.items():
        print(json.dumps([name, value]))


if __name__ == "__main__":
    main()
