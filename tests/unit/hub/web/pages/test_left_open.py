"""
Working on in a page of a server that has stopped, at that server's own origin.
"""

from __future__ import annotations

import pytest

from perijove.kit.tasks import TaskGroup
from perijove.wire.identity import BROWSER_COOKIES, IDENTITY_COOKIE
from tests.unit.hub.web.rig import SCRIPT, Browser, Rig
from tests.unit.hub.web.split import BOB, EVE, HUB, signed_in, split_rig, walk

FILE = f"{BOB}/user/bob/api/contents/a%2Fb.ipynb?x=1"
_, BROWSER_COOKIE = BROWSER_COOKIES


async def left_open(rig: Rig) -> Browser:
    """Bob's browser with a page of his server, which has stopped since."""
    bob = await signed_in(rig, "bob")
    await walk(bob, f"{HUB}/hub/user/bob/lab")
    assert bob.client.cookies.get(IDENTITY_COOKIE, domain="bob.hub.example")
    await rig.parts.stop_server.and_wait(await rig.parts.get_user("bob"), "", timeout=5)
    assert not rig.spawners.running()
    return bob


async def test_a_change_starts_the_server_and_is_sent_again(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await left_open(rig)

    answer = await bob.client.put(FILE, headers=SCRIPT, content=b"x" * 2_000_000)

    assert (answer.status_code, answer.headers["location"]) == (307, "/user/bob/api/contents/a%2Fb.ipynb?x=1")
    assert rig.spawners.running() == ["bob/"]
    assert "/bob.hub.example/user/bob" in rig.proxy.table
    # The key that the browser has is still good, and another is given at the doorstep alone.
    assert IDENTITY_COOKIE not in answer.headers.get("set-cookie", "")


async def test_a_poll_starts_nothing_and_is_told(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await left_open(rig)

    answer = await bob.client.get(f"{BOB}/user/bob/api/kernels", headers=SCRIPT)

    assert answer.status_code == 424
    assert answer.json()["message"].endswith("Restart the server at https://hub.example/hub/spawn/bob")
    assert not rig.spawners.running()


@pytest.mark.parametrize(
    "headers",
    [
        {**SCRIPT, "Sec-Fetch-Site": "same-site"},
        {**SCRIPT, "Sec-Fetch-Site": "cross-site"},
        {},
        {**SCRIPT, "Authorization": "token x"},
    ],
)
async def test_nobody_else_s_page_and_no_program_starts_it(tasks: TaskGroup, headers: dict[str, str]) -> None:
    rig = await split_rig(tasks)
    bob = await left_open(rig)
    bob.client.headers.clear()

    answer = await bob.client.put(FILE, headers=headers)

    assert answer.status_code in {403, 424}
    assert not rig.spawners.running()


@pytest.mark.parametrize("lost", [IDENTITY_COOKIE, BROWSER_COOKIE])
async def test_without_either_cookie_it_is_nobody_s_page(tasks: TaskGroup, lost: str) -> None:
    rig = await split_rig(tasks)
    bob = await left_open(rig)
    bob.client.cookies.delete(lost, domain="bob.hub.example", path="/user/bob/" if lost == IDENTITY_COOKIE else "/")

    answer = await bob.client.put(FILE, headers=SCRIPT)

    assert answer.status_code == 403
    assert not rig.spawners.running()


async def test_who_has_signed_out_starts_nothing(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await left_open(rig)
    await bob.get(f"{HUB}/hub/home")
    await bob.post(f"{HUB}/hub/logout")

    answer = await bob.client.put(FILE, headers=SCRIPT)

    assert answer.status_code == 403
    assert not rig.spawners.running()


async def test_a_key_is_good_for_its_own_server_alone(tasks: TaskGroup) -> None:
    """
    A statement moved to another path or host says what it said.
    """
    rig = await split_rig(tasks)
    bob = await left_open(rig)
    held = bob.client.cookies
    sent = "; ".join(f"{name}={held.get(name, domain='bob.hub.example')}" for name in (IDENTITY_COOKIE, BROWSER_COOKIE))

    async with rig.client(**SCRIPT, Cookie=sent) as client:
        answers = [await client.put(f"{origin}/user/eve/api/contents/x") for origin in (EVE, BOB)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert not rig.spawners.running()


async def test_a_server_that_runs_but_has_no_route_gets_it_back(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")
    await walk(bob, f"{HUB}/hub/user/bob/lab")
    rig.proxy.restart()

    answer = await bob.client.put(FILE, headers=SCRIPT)

    assert (answer.status_code, answer.headers["location"]) == (307, f"{FILE}&redirects=1")
    assert "/bob.hub.example/user/bob" in rig.proxy.table


@pytest.mark.parametrize(("method", "status"), [("GET", 302), ("PUT", 307)])
async def test_at_the_hub_s_host_it_is_as_ever(tasks: TaskGroup, method: str, status: int) -> None:
    rig = await split_rig(tasks)

    async with rig.client(**SCRIPT) as client:
        answer = await client.request(method, f"{HUB}/user/bob/api/contents/x")

    assert (answer.status_code, answer.headers["location"]) == (status, "/hub/user/bob/api/contents/x")
