"""
What it costs the hub that thousands of servers tell it what they do.

    python bench/activity.py --servers 5000 --interval 300 --seconds 60 --write bench/results/activity.md

A real hub over SQLite with that many users, each with a running server and its token; no proxy and no launcher.
Its processor time is measured for as long without any report and with reports at the pace of the interval, each
over a connection of its own, as servers make them. The difference is the price.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pwd
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from deployments import ORDINARY_USER, free_port
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.tokens import PREFIX_LENGTH
from perijove.hub.store.schema import upgrade
from perijove.hub.store.sql import SqlStore
from report import machine, publish, table

CONFIG = """
c.Perijove.authenticator_class = "dummy"
c.Perijove.activity_interval = {interval}
c.Perijove.cull_policies = {policies}
c.Perijove.log_level = "warning"
c.Perijove.hub_port = {port}
c.Perijove.state_dir = "{folder}/state"
c.Perijove.runtime_dir = "{folder}/run"
c.Perijove.hub_user = "{user}"
c.Spawner.poll_interval = 100000.0
"""
POLICIES = '[{"group": "staff", "idle_seconds": 36000}, {"idle_seconds": 3600, "max_age_seconds": 86400}]'
#: seconds within which what was noted last is written
SETTLE = 12.0
#: reports under way at once, in a rush
AT_ONCE = 8
#: of those who are in a group
GROUP_SHARE = 10


def token_of(number: int) -> str:
    return f"{number:08x}{'0123456789abcdef' * 2}"[:32]


async def fill(database: str, count: int) -> None:
    """Users with running servers."""
    now = datetime.now(UTC)
    async with SqlStore(database) as store, store.unit() as unit:
        group = await unit.groups.put("staff", properties={})
        ids = []
        for number in range(count):
            user = await unit.users.add(name=f"user-{number}", admin=False, created=now)
            ids.append(user.id)
            server = await unit.servers.add(user_id=user.id, name="", created=now)
            target = f"http+unix://%2Frun%2F{number}"
            ready = replace(server, state=State.READY, started_at=now, last_activity=now, target=target)
            await unit.servers.swap(server, replace(ready, handle={"key": server.key, "generation": server.generation}))
            await unit.tokens.add(
                user_id=user.id,
                prefix=token_of(number)[:PREFIX_LENGTH],
                token_hash=hash_secret(token_of(number)),
                scopes=["users:activity!user", "access:servers!server"],
                note="",
                created=now,
                server=server.key,
            )
        await unit.groups.add_members(group.id, ids[::GROUP_SHARE])


@contextmanager
def hub(folder: Path, *, interval: float, count: int) -> Iterator[tuple[psutil.Process, int]]:
    """The process and its API's port."""
    port, user = free_port(), ORDINARY_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    config = folder / "config.py"
    config.write_text(
        CONFIG.format(interval=interval, policies=POLICIES, port=port, folder=folder, user=user)
        + 'c.Perijove.load_groups = {"staff": []}\n'
    )
    database = folder / "state" / "hub" / "perijove.sqlite"
    for place in (database.parent, folder / "run" / "hub"):
        place.mkdir(parents=True)
    upgrade(f"sqlite:///{database}")
    asyncio.run(fill(f"sqlite:///{database}", count))
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", user, str(folder)], check=True)
    environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": "bench"}
    words = [sys.executable, "-m", "perijove", "hub", "-f", str(config)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*words, "--Perijove.cleanup_servers=False"],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        wait_for(port)
        yield psutil.Process(process.pid), port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            asyncio.run(call(port, "GET", "/hub/api/health", ""))
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


async def call(port: int, method: str, path: str, body: str, token: str = "") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Authorization: token {token}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def send(port: int, *, servers: int, per_second: float, seconds: float) -> int:
    """Reports of the servers in turn, at that pace; how many were answered."""
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        if sent > passed * per_second:
            await asyncio.sleep(sent / per_second - passed)
        await report(port, sent % servers)
        sent += 1
    return sent


async def rush(port: int, *, servers: int) -> None:
    """One report of each, as fast as they are answered."""
    waiting = iter(range(servers))

    async def some() -> None:
        for number in waiting:
            await report(port, number)

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def report(port: int, number: int) -> None:
    now = datetime.now(UTC).isoformat()
    ours = {"last_activity": now, "busy": number % 2 == 0, "since": now, "with": "kernel"}
    body = json.dumps({"servers": {"": ours}, "last_activity": now})
    answer = await call(port, "POST", f"/hub/api/users/user-{number}/activity", body, token_of(number))
    assert answer.startswith(b"HTTP/1.1 200"), answer


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=5000)
    parser.add_argument("--interval", type=float, default=300.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    pace = arguments.servers / arguments.interval
    with tempfile.TemporaryDirectory(prefix="pj-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with hub(folder, interval=arguments.interval, count=arguments.servers) as (process, port):
            # What only happens once is over then: groups, first looks, imports, whose policy is whose.
            start = spent(process)
            asyncio.run(rush(port, servers=arguments.servers))
            time.sleep(SETTLE)
            before = spent(process)
            time.sleep(arguments.seconds)
            middle = spent(process)
            sent = asyncio.run(send(port, servers=arguments.servers, per_second=pace, seconds=arguments.seconds))
            time.sleep(SETTLE)
            after = spent(process)
    idle = (middle - before) / arguments.seconds
    price = (after - middle - idle * (arguments.seconds + SETTLE)) / sent
    rushed = (before - start) / arguments.servers
    rows = [
        ("reports", f"{sent} in {arguments.seconds:g} s ({pace:.1f} a second)"),
        ("processor time of one report, with its part of the writing", f"{price * 1000:.2f} ms"),
        ("the same when all report at once, for the first time", f"{rushed * 1000:.2f} ms"),
        ("share of a core for the reports", f"{price * pace:.2%}"),
        ("share of a core without any report", f"{idle:.2%}"),
    ]
    head = (
        f"{arguments.servers} servers that report every {arguments.interval:g} s, with policies by group and for all.\n"
    )
    publish(f"{head}\n{table(('what', 'measured'), rows)}\n\n{machine()}\n", arguments.write)


if __name__ == "__main__":
    main()
