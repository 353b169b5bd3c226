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
#: seconds after which a server counts as failed
_PATIENCE: Final = 240.0


def real_starts(peers: Path | None) -> Iterator[tuple[str, float, int]]:
    """Name of the deployment, starts a second until the last one that answered through the proxy, and the others."""
    for deployment in [perijove(), *([jupyterhub(peers)] if peers is not None else [])]:
        with deployment as running:
            took = asyncio.run(_start_all(running))
        print(f"{running.name}: {len(took)} of {COUNT}, the last after {max(took, default=0.0):.1f} s", flush=True)
        yield running.name, len(took) / max(took, default=_PATIENCE), COUNT - len(took)


async def _start_all(running: Running) -> list[float]:
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
        ended = await asyncio.gather(*(_start(client, name, began + _PATIENCE) for name in names))
        return [at - began for at in ended if at is not None]


async def _start(client: aiohttp.ClientSession, name: str, deadline: float) -> float | None:
    async with client.post(f"/hub/api/users/{name}/server") as answer:
        await answer.read()
        if answer.status not in {201, 202}:
            return None
    while time.monotonic() < deadline:
        async with client.get(f"/user/{name}/api/status", allow_redirects=False) as answer:
            if answer.status == 200:
                return time.monotonic()
        # The cores are busy starting: a poll that is too eager would slow down what it waits for.
        await asyncio.sleep(0.5)
    return None
