"""
A hub below which everybody has an origin of their own, and browsers that go from one to another.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Browser, Rig, make_settings

HUB = "https://hub.example"
BOB = "https://bob.hub.example"
EVE = "https://eve.hub.example"


async def split_rig(tasks: TaskGroup, **changes: Any) -> Rig:
    """A hub with bob and eve."""
    base_url = changes.get("base_url", "/")
    rig = Rig(tasks=tasks, settings=make_settings(subdomain_host=HUB, public_url=f"{HUB}{base_url}", **changes))
    for name in ("bob", "eve"):
        await rig.add_user(name)
    return rig


def browser_at_hub(rig: Rig) -> Browser:
    """A browser that nobody is signed in to."""
    browser = rig.browser()
    browser.client.base_url = httpx.URL(HUB)
    return browser


async def signed_in(rig: Rig, name: str) -> Browser:
    """A browser in which *name* has signed in at the hub."""
    browser = browser_at_hub(rig)
    await browser.get("/hub/login")
    answer = await browser.post("/hub/login?next=/hub/home", username=name, password="right horse battery")
    assert answer.headers["location"] == "/hub/home", answer.text
    return browser


async def walk(browser: Browser, url: str, *, steps: int = 8) -> list[httpx.Response]:
    """All answers from *url* to where no redirect leads on within the hub."""
    answers = []
    for _ in range(steps):
        answer = await browser.get(url)
        answers.append(answer)
        if "location" not in answer.headers:
            break
        url = str(answer.url.join(answer.headers["location"]))
        if urlsplit(url).path.startswith("/user/"):
            break
    return answers


def query_of(url: str) -> dict[str, str]:
    """What an address asks."""
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
