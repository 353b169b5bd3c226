"""
Users who fork without end, fill the memory and compute, all of them at once; meanwhile somebody signs in.

`script/exhaust [users] [seconds]` runs it and prints the longest that the hub took for an answer. What all users may
use together is capped: the machine belongs to others, too.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import httpx
import psutil

from perijove.launcher.cgroups import find
from perijove.launcher.names import deployment_name
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import Site, eventually, remove_system_users, running_site

#: What all of them may use together.
MEMORY: Final = 512 * 1024**2
PROCESSES: Final = 400
#: Seconds between two questions to the hub, and the most that it may take.
PAUSE: Final = 0.1
LONGEST: Final = 1.0
#: Seconds more, on a busy machine: what these users have comes after everybody else's.
EXTRA: Final = 120.0
#: A server that answers, if it gets to it, and three of its children who do not care for others.
PROGRAM: Final = """
import os, socket, time
def bomb():
    # Later: once there are hundreds, nobody else gets to anything.
    time.sleep(5)
    while True:
        try:
            os.fork()
        except OSError:
            pass
def fill():
    while True:
        held = []
        child = os.fork()
        while child == 0:
            held.append(bytearray(b"x") * (4 << 20))
        os.waitpid(child, 0)
def spin():
    while True:
        pass
for child in (bomb, fill, spin):
    if os.fork() == 0:
        child()
listening = socket.socket(fileno=3)
listening.setblocking(True)
while True:
    visitor, _ = listening.accept()
    try:
        visitor.recv(65536)
        visitor.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}")
    except OSError:
        pass
    visitor.close()
"""


@dataclass(slots=True)
class Figures:
    """What came of it."""

    #: seconds that the hub took, in the order of asking
    took: list[float] = field(default_factory=list)
    refused: int = 0
    #: most processes and bytes of all servers that were seen
    processes: int = 0
    memory: int = 0
    #: processes that the kernel killed for memory
    kills: int = 0
    starts: int = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether they have come to every end that there is."""
        return self.processes >= PROCESSES * 0.9 and self.memory >= MEMORY * 0.9 and self.kills > 0


def config() -> str:
    """Of a hub whose users run `PROGRAM`."""
    reserve = psutil.virtual_memory().total - MEMORY
    return f"""{OPEN_HOUSE}
c.Spawner.cmd = [{sys.executable!r}, "-c", {PROGRAM!r}]
c.Spawner.http_timeout = 10
c.Spawner.consecutive_failure_limit = 0
c.Launcher.reserve_memory = {reserve}
c.Launcher.processes_limit = {PROCESSES}
"""


def exhaust(site: Site, *, users: int, seconds: float) -> Figures:
    """Let *users* do their worst for *seconds*, or until there is nothing left, and ask the hub all the while."""
    figures = Figures()
    stop = threading.Event()
    names = [f"user-{number}" for number in range(users)]
    groups = find(deployment_name(site.runtime.resolve()))
    with Rest(site) as rest:
        for name in names:
            rest.user(name)
        threads = [
            threading.Thread(target=_ask, args=(site, figures, stop), daemon=True),
            *(threading.Thread(target=_keep_starting, args=(site, name, figures, stop), daemon=True) for name in names),
        ]
        for thread in threads:
            thread.start()
        # The first one waits for the launcher to be warm.
        eventually(lambda: figures.starts >= users, within=120)
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds or (not figures.is_exhausted and passed < seconds + EXTRA):
            everyone = groups.memory_of_all()
            figures.processes = max(figures.processes, sum(len(groups.members(name)) for name in groups.names()))
            figures.memory = max(figures.memory, everyone.peak if everyone is not None else 0)
            counted = [memory.kills for name in groups.names() if (memory := groups.memory(name)) is not None]
            figures.kills = max(figures.kills, sum(counted))
            time.sleep(0.5)
        stop.set()
        for thread in threads:
            thread.join(60)
        # Nothing is left of them, whatever they were in the middle of.
        eventually(lambda: _are_stopped(rest, names), within=120)
        eventually(lambda: not groups.names())
    return figures


def _are_stopped(rest: Rest, names: list[str]) -> bool:
    """Whether all of them are; those that are not are asked again, as one that is starting does not stop."""
    running = [name for name in names if rest("GET", f"/hub/api/users/{name}").json()["servers"]]
    for name in running:
        rest("DELETE", f"/hub/api/users/{name}/server")
    return not running


def _ask(site: Site, figures: Figures, stop: threading.Event) -> None:
    """A page of the hub, and a question that its database answers, in turns."""
    with Rest(site) as rest:
        while not stop.is_set():
            for path in ("/hub/login", "/hub/api/users?limit=1"):
                began = time.monotonic()
                try:
                    is_answered = rest("GET", path).status_code == httpx.codes.OK
                except httpx.HTTPError:
                    is_answered = False
                figures.took.append(time.monotonic() - began)
                figures.refused += not is_answered
                time.sleep(PAUSE)


def _keep_starting(site: Site, name: str, figures: Figures, stop: threading.Event) -> None:
    """A server that the kernel has killed is started again, as its user would."""
    with Rest(site) as rest:
        while not stop.is_set():
            if not rest("GET", f"/hub/api/users/{name}").json()["servers"]:
                rest("POST", f"/hub/api/users/{name}/server")
                figures.starts += 1
            time.sleep(1)


def main(users: int, seconds: float) -> int:
    """Answers the exit status: 0 if the hub was there for everybody else throughout."""
    with running_site(config()) as site:
        figures = exhaust(site, users=users, seconds=seconds)
    remove_system_users()
    ordered = sorted(figures.took)
    sys.stdout.write(
        f"{users} users, {seconds:g} s: {figures.starts} starts; at most {figures.processes} processes of {PROCESSES} "
        f"and {figures.memory >> 20} of {MEMORY >> 20} MB; {figures.kills} killed for memory at a time\n"
        f"the hub: {len(ordered)} questions, {figures.refused} without an answer, median "
        f"{ordered[len(ordered) // 2] * 1000:.0f} ms, longest {ordered[-1] * 1000:.0f} ms\n"
    )
    return int(figures.refused > 0 or ordered[-1] > LONGEST)


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]) if words else 20, float(words[1]) if words[1:] else 60.0))
