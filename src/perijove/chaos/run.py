"""
One run: people who come and go, parts that are killed, quiet, and the reckoning.
"""

from __future__ import annotations

import asyncio
import random
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from perijove.chaos.ledger import Ledger, broken, disagreements
from perijove.chaos.parts import kill, owners_of_processes, parts, supervisor_pid
from perijove.chaos.site import Site
from perijove.kit.tasks import TaskGroup
from perijove.spawners.errors import SpawnerError
from perijove.spawners.launcher_client import LauncherClient
from perijove.wire.launcher import Launched

#: what may be killed
KINDS: Final = ("hub", "proxy", "worker", "launcher", "server", "database")
#: what people do, and how often
_DEEDS: Final[Mapping[str, int]] = {"start": 4, "stop": 2, "look": 2, "visit": 3}
#: seconds that everything gets to become quiet in the end
QUIET_SECONDS: Final = 120.0
#: seconds between looks whether it has
LOOK_AGAIN: Final = 0.5
#: seconds for a command that restarts the database
RESTART_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do to whom."""

    url: str
    #: of somebody who may do everything with users and servers
    token: str = field(repr=False)
    #: the lock that the supervisor holds
    lock: Path
    launcher_socket: Path
    #: what system users' names begin with; None: all servers run as one
    system_user_prefix: str | None
    seconds: float
    #: seconds between two kills on average; at least a tenth of it, at most nearly twice
    pause: float
    people: int
    kinds: tuple[str, ...]
    #: what restarts the database at once, without asking it first; empty: it is left alone
    restart_database: str
    seed: int
    #: what the names of the people of this run begin with
    prefix: str = "chaos-"


@dataclass(slots=True)
class Report:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    servers: int = 0
    #: every promise that was broken, in words
    faults: list[str] = field(default_factory=list)


async def run(plan: Plan, *, say: Callable[[str], None]) -> Report:
    """
    Do it, and tell what was found.

    Raises:
        NotRunning: there is no perijove with that lock.
    """
    supervisor_pid(plan.lock)
    report, ledger, dice = Report(), Ledger(), _dice(plan, "killer")
    async with Site(plan.url, plan.token) as site:
        names = [f"{plan.prefix}{number:03}" for number in range(plan.people)]
        for name in names:
            await site.ask("create", name, ledger)
        kinds = ", ".join(plan.kinds)
        say(f"{len(ledger.people)} people; killing {kinds} for {plan.seconds:.0f} s (seed {plan.seed}).")
        async with TaskGroup("chaos") as tasks:
            crowd = [tasks.start(name, _live(site, name, ledger, _dice(plan, name))) for name in names]
            await _kill(plan, ledger, report, dice)
            for person in crowd:
                person.cancel()
            await asyncio.wait(crowd)
        say("Quiet: waiting until everything is back.")
        await _settle(site, plan, report)
        await _reckon(site, plan, ledger, report)
        report.answers = ledger.answers
        for name in names:
            await site.remove(name)
    return report


def _dice(plan: Plan, who: str) -> random.Random:
    """Chance that is the same whenever a run is repeated."""
    return random.Random(f"{plan.seed} {who}")  # noqa: S311  # hides nothing


async def _live(site: Site, name: str, ledger: Ledger, dice: random.Random) -> None:
    """One person: one thing after the other, until cancelled."""
    while True:
        deed = dice.choices(list(_DEEDS), weights=list(_DEEDS.values()))[0]
        try:
            if deed == "visit":
                await site.visit(name, ledger)
            else:
                await site.ask(deed, name, ledger)
        except asyncio.CancelledError:
            # What was under way may have happened or not.
            if deed in {"start", "stop"}:
                ledger.forget(name)
            raise
        await asyncio.sleep(dice.uniform(0.05, 1.0))


async def _kill(plan: Plan, ledger: Ledger, report: Report, dice: random.Random) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + plan.seconds
    while loop.time() < end:
        await asyncio.sleep(min(dice.uniform(0.1, 1.9) * plan.pause, max(0.0, end - loop.time())))
        kind = dice.choice(plan.kinds)
        if kind == "server":
            done = await _kill_server(plan, ledger, dice)
        elif kind == "database":
            done = await _restart_database(plan)
        else:
            pids = parts(supervisor_pid(plan.lock)).get(kind, [])
            done = bool(pids) and kill(dice.choice(pids))
        report.kills[kind] += done


async def _kill_server(plan: Plan, ledger: Ledger, dice: random.Random) -> bool:
    try:
        servers = [server for server in await _launched(plan) if server.key.startswith(plan.prefix)]
    except SpawnerError:
        return False
    if not servers:
        return False
    victim = dice.choice(servers)
    ledger.forget(_owner(victim))
    return kill(victim.pid)


async def _restart_database(plan: Plan) -> bool:
    process = await asyncio.create_subprocess_exec(
        *shlex.split(plan.restart_database), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(RESTART_SECONDS):
            return await process.wait() == 0
    except TimeoutError:
        process.kill()
        return False


async def _settle(site: Site, plan: Plan, report: Report) -> None:
    """Until nothing is on its way any more."""
    loop = asyncio.get_running_loop()
    end = loop.time() + QUIET_SECONDS
    while loop.time() < end:
        if await _is_quiet(site, plan):
            return
        await asyncio.sleep(LOOK_AGAIN)
    report.faults.append(f"after {QUIET_SECONDS:.0f} quiet seconds something is still on its way")


async def _is_quiet(site: Site, plan: Plan) -> bool:
    try:
        return await site.is_up() and not await site.pending(plan.prefix)
    except (httpx.HTTPError, ValueError):
        return False


async def _reckon(site: Site, plan: Plan, ledger: Ledger, report: Report) -> None:
    for name, promise in list(ledger.servers.items()):
        if name not in ledger.people:
            # Its making was cut off: whoever is not there cannot have a server.
            ledger.servers.pop(name)
            report.answers[f"unknown {promise.value}"] += 1
    found = await site.found(plan.prefix)
    ready = {name for name, state in found.items() if state.is_ready}
    report.servers = len(ready)
    report.faults += broken(ledger, found)
    launched = [_owner(server) for server in await _launched(plan) if server.key.startswith(plan.prefix)]
    report.faults += disagreements(ready, await site.routed(plan.prefix), launched, _running(plan))


def _running(plan: Plan) -> set[str] | None:
    if plan.system_user_prefix is None:
        return None
    return {name for name in owners_of_processes(plan.system_user_prefix) if name.startswith(plan.prefix)}


async def _launched(plan: Plan) -> Sequence[Launched]:
    """What the launcher has."""
    async with LauncherClient(plan.launcher_socket) as client:
        return await client.list_servers()


def _owner(server: Launched) -> str:
    return server.key.partition("/")[0]


def summary(report: Report) -> Mapping[str, Any]:
    """The counts, for people and for programs."""
    return {
        "kills": dict(sorted(report.kills.items())),
        "answers": dict(sorted(report.answers.items())),
        "servers_at_the_end": report.servers,
        "faults": report.faults,
    }
