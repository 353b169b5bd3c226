"""
Asks a server over HTTP whether it is up: `hub.ports.Prober`.
"""

from __future__ import annotations

import asyncio
from typing import Final

import httpx

from perijove.hub.gateways.http_origin import client_of

#: Pauses between tries in seconds. A forked server's socket listens before it runs: its first try simply waits.
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_SERVER_ERROR: Final = 500


class HttpProber:
    """Probes origins on this machine."""

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        """Whether GET *path* at *target* gave any status below 500 within *timeout* seconds (contract a)."""
        pause = _FIRST_PAUSE
        try:
            async with asyncio.timeout(timeout), client_of(target, timeout=timeout) as client:
                while not await _answers(client, path):
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
        except TimeoutError:
            return False
        return True


async def _answers(client: httpx.AsyncClient, path: str) -> bool:
    try:
        answer = await client.get(path)
    except httpx.HTTPError:
        return False
    return answer.status_code < _SERVER_ERROR
