"""
Many real notebook servers at once: whole deployments with their proxies, one after the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import aiohttp

from deployments import Running, jupyterhub, perijove

COUNT: Final = 50
_PATIENCE: Final = 600.0


def real_starts(peers: Path | None) -> Iterator[tuple[str, float]]:
    """Name of the deployment, and starts a second until the last of them answers through the proxy."""
    for deployment in [perijove(), *([jupyterhub(peers)] if peers is not None else [])]:
        with deployment as running:
            rate = COUNT / asyncio.run(_start_all(running))
            print(f"{running.name}: {rate:.2f} starts/s", flush=True)
        yield running.name, rate


async def _start_all(running: Running) -> float:
    headers = {"Authorization": f"token {running.token}"}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    async with aiohttp.ClientSession(
        running.origin, headers=headers, timeout=timeout, connector=aiohttp.TCPConnector(limit=0)
    ) as client:
        names = [f"real{number:02d}" for number in range(COUNT)]
        for name in names:
            async with client.post(f"/hub/api/users/{name}") as answer:
                assert answer.status == 201, answer.status
        began = time.monotonic()
        await asyncio.gather(*(_start(client, name) for name in names))
        return time.monotonic() - began


async def _start(client: aiohttp.ClientSession, name: str) -> None:
    async with client.post(f"/hub/api/users/{name}/server") as answer:
        assert answer.status in {201, 202}, (answer.status, await answer.text())
    while True:
        async with client.get(f"/user/{name}/api/status", allow_redirects=False) as answer:
            if answer.status == 200:
                return
        # Two cores are busy starting: a poll that is too eager would slow down what it waits for.
        await asyncio.sleep(0.25)
