"""
What the hubs are loaded with, from core 1: wrk for reads, a few coroutines for sign-ins and starts.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import subprocess
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from seed import name_of

PAGED: Final = "application/jupyterhub-pagination+json"
_FIELD: Final = re.compile(r'name="_xsrf" value="([^"]+)"')
#: browsers that sign in at once
_BROWSERS: Final = 8
_PATIENCE: Final = 300.0
#: seconds between two looks at how many are ready
_LOOK: Final = 0.05


def requests(port: int, path: str, token: str, *, seconds: int) -> tuple[int, float]:
    """How many GETs were answered, and how many a second; 16 connections."""
    output = subprocess.run(
        ["wrk", "-t1", "-c16", f"-d{seconds}", f"-HAuthorization: token {token}", f"http://127.0.0.1:{port}{path}"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Socket errors" in output or "Non-2xx" in output:
        raise SystemExit(f"port {port}, {path}: {output}")
    return int(re.findall(r"(\d+) requests in", output)[0]), float(re.findall(r"Requests/sec: +([\d.]+)", output)[0])


def latency(port: int, path: str, token: str, *, count: int) -> float:
    """Median seconds of one GET after another."""
    return statistics.median(asyncio.run(_one_by_one(port, path, token, count)))


async def _one_by_one(port: int, path: str, token: str, count: int) -> list[float]:
    took = []
    async with _client(port, token) as client:
        for _ in range(count):
            began = time.monotonic()
            async with client.get(path) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            took.append(time.monotonic() - began)
    return took


def _client(port: int, token: str = "", **options: Any) -> aiohttp.ClientSession:
    headers = {"Authorization": f"token {token}"} if token else {}
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", headers=headers, timeout=timeout, connector=connector, **options
    )


def sign_ins(port: int, *, first: int, count: int) -> float:
    """Sign-ins a second, from the request for the form to the cookie; people who are known, each once."""
    began = time.monotonic()
    asyncio.run(_sign_all_in(port, iter(range(first, first + count))))
    return count / (time.monotonic() - began)


async def _sign_all_in(port: int, numbers: Any) -> None:
    async def browser() -> None:
        for number in numbers:
            await _sign_in(port, name_of(number))

    await asyncio.gather(*(browser() for _ in range(_BROWSERS)))


async def _sign_in(port: int, name: str) -> None:
    # Cookies of an address without a name are kept only if asked for.
    async with _client(port, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.get("/hub/login") as page:
            field = _FIELD.search(await page.text())
            assert page.status == 200, page.status
        cookies = {cookie.key: cookie.value for cookie in client.cookie_jar}
        form = {"username": name, "password": "any", "_xsrf": field[1] if field else cookies["_xsrf"]}
        async with client.post("/hub/login?next=/hub/home", data=form, allow_redirects=False) as answer:
            assert answer.status == 302, (answer.status, await answer.text())
            assert any("login" in key for key in answer.cookies), answer.cookies


def starts(port: int, token: str, *, first: int, count: int) -> tuple[float, int]:
    """Seconds from the first of *count* starts asked for at once to all ready, and how many never were."""
    return asyncio.run(_start_all(port, token, [name_of(number) for number in range(first, first + count)]))


async def _start_all(port: int, token: str, names: list[str]) -> tuple[float, int]:
    async with _client(port, token) as client:
        before = await _ready(client)
        began = time.monotonic()
        asking = asyncio.gather(*(_start(client, name) for name in names))
        ready = 0
        while ready < len(names) and time.monotonic() - began < _PATIENCE:
            await asyncio.sleep(_LOOK)
            ready = await _ready(client) - before
        took = time.monotonic() - began
        statuses: Mapping[int, int] = {}
        for status in await asking:
            statuses = {**statuses, status: statuses.get(status, 0) + 1}
        if set(statuses) - {201, 202}:
            print(f"port {port}: {statuses}")
        return took, len(names) - ready


async def _start(client: aiohttp.ClientSession, name: str) -> int:
    async with client.post(f"/hub/api/users/{name}/server") as answer:
        await answer.read()
        return answer.status


async def _ready(client: aiohttp.ClientSession) -> int:
    async with client.get("/hub/api/users?state=ready&limit=1", headers={"Accept": PAGED}) as answer:
        return int((await answer.json(content_type=None))["_pagination"]["total"])


def longest_pause(port: int, *, seconds: float) -> float:
    """The longest answer to the cheapest question, asked again and again."""
    return asyncio.run(_watch(port, seconds))


async def _watch(port: int, seconds: float) -> float:
    longest = 0.0
    end = time.monotonic() + seconds
    async with _client(port) as client:
        while time.monotonic() < end:
            began = time.monotonic()
            async with client.get("/hub/api/") as answer:
                await answer.read()
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0.002)
    return longest
