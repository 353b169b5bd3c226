"""
From the hub's origin into a server at another: by redirects, with nothing in them that is worth stealing.
"""

from __future__ import annotations

import pytest

from perijove.hub.usecases.doorstep import CODE_SECONDS
from perijove.kit.tasks import TaskGroup
from perijove.wire.identity import BROWSER_COOKIES, IDENTITY_COOKIE
from tests.unit.hub.web.rig import SCRIPT, Rig
from tests.unit.hub.web.split import BOB, EVE, HUB, browser_at_hub, query_of, signed_in, split_rig, walk

_, BROWSER_COOKIE = BROWSER_COOKIES


async def test_a_visit_ends_up_in_the_server_at_its_own_host(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    answers = await walk(bob, f"{HUB}/hub/user/bob/lab/tree/a%2Fb.ipynb?x=1")

    assert [str(answer.url).partition("?")[0] for answer in answers] == [
        f"{HUB}/hub/user/bob/lab/tree/a%2Fb.ipynb",
        f"{BOB}/hub/doorstep",
        f"{HUB}/hub/enter",
        f"{BOB}/hub/doorstep",
    ]
    assert answers[-1].headers["location"] == "/user/bob/lab/tree/a%2Fb.ipynb?x=1"
    cookie = next(line for line in answers[-1].headers.get_list("set-cookie") if line.startswith(IDENTITY_COOKIE))
    assert "Path=/user/bob/" in cookie
    assert "HttpOnly" in cookie
    assert "Secure" in cookie
    assert "Domain" not in cookie


async def test_no_statement_is_ever_in_an_address(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    answers = await walk(bob, f"{HUB}/hub/user/bob/lab")

    seen = " ".join(str(answer.url) + answer.headers.get("location", "") for answer in answers)
    statement = bob.client.cookies.get(IDENTITY_COOKIE, domain="bob.hub.example")
    assert statement
    assert statement not in seen


async def test_the_hub_itself_gives_no_key_to_a_server(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    await walk(bob, f"{HUB}/hub/user/bob/lab")

    assert {cookie.domain for cookie in bob.client.cookies.jar if cookie.name == IDENTITY_COOKIE} == {"bob.hub.example"}


async def test_who_is_not_signed_in_does_so_at_the_hub_and_goes_on(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    stranger = browser_at_hub(rig)

    answers = await walk(stranger, f"{BOB}/hub/doorstep?server=bob/&next=/user/bob/lab")
    answer = await stranger.post(str(answers[-1].url), username="bob", password="right horse battery")
    further = await walk(stranger, answer.headers["location"])

    assert str(answers[-1].url) == f"{HUB}/hub/login?next=%2Fuser%2Fbob%2Flab"
    assert answer.headers["location"].startswith(f"{BOB}/hub/doorstep?")
    assert further[-1].headers["location"] == "/user/bob/lab"


async def test_the_first_sign_in_leads_into_the_own_server_at_its_host(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    browser = browser_at_hub(rig)
    await browser.get("/hub/login")

    answer = await browser.post("/hub/login", username="bob", password="right horse battery")
    answers = await walk(browser, answer.headers["location"])

    assert answers[-1].headers["location"] == "/user/bob/lab"


@pytest.mark.parametrize("then", ["/user/eve/lab", "https://evil.example/", "/hub/people", f"{EVE}/user/eve/lab", ""])
async def test_the_doorstep_leads_nowhere_but_into_its_server(tasks: TaskGroup, then: str) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")

    answers = await walk(bob, f"{BOB}/hub/doorstep?server=bob/&next={then}")

    assert answers[-1].headers["location"] == "/user/bob/lab"


async def test_a_link_with_somebody_s_code_opens_nothing(tasks: TaskGroup) -> None:
    """
    Eve cannot have bob work in a server as eve.
    """
    rig = await split_rig(tasks)
    await rig.start("eve")
    eve, bob = await signed_in(rig, "eve"), await signed_in(rig, "bob")
    link = (await walk(eve, f"{EVE}/hub/doorstep?server=eve/&next=/user/eve/lab", steps=2))[-1].headers["location"]
    await bob.get(f"{EVE}/hub/doorstep?server=eve/")

    answer = await bob.get(link)

    assert "code" in query_of(link)
    assert answer.status_code == 403
    assert IDENTITY_COOKIE not in answer.headers.get("set-cookie", "")
    assert 'href="/user/eve/lab"' in answer.text


async def test_an_old_code_is_explained_at_the_host_where_it_was_brought(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")
    link = (await walk(bob, f"{BOB}/hub/doorstep?server=bob/&next=/user/bob/lab", steps=2))[-1].headers["location"]
    rig.clock.advance(CODE_SECONDS)

    answer = await bob.get(link)

    assert answer.status_code == 403
    assert "Open the address of the server again" in answer.text


async def test_nobody_is_let_in_where_they_may_not_enter(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    eve = await signed_in(rig, "eve")

    answers = await walk(eve, f"{BOB}/hub/doorstep?server=bob/&next=/user/bob/lab")

    assert str(answers[-1].url).startswith(f"{HUB}/hub/enter?")
    assert answers[-1].status_code == 404


@pytest.mark.parametrize(
    "url", [f"{BOB}/hub/doorstep?server=eve/", f"{HUB}/hub/doorstep?server=bob/", f"{BOB}/hub/doorstep"]
)
async def test_a_doorstep_is_at_the_host_of_its_server(tasks: TaskGroup, url: str) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    assert (await bob.get(url)).status_code == 404


@pytest.mark.parametrize("headers", [SCRIPT, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}])
async def test_a_script_at_that_host_gets_nothing_of_it(tasks: TaskGroup, headers: dict[str, str]) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    answer = await bob.get(f"{BOB}/hub/doorstep?server=bob/", headers=headers)

    assert answer.status_code == 403


async def test_two_tabs_that_set_out_at_once_both_arrive(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")
    await bob.get(f"{BOB}/hub/doorstep?server=bob/")
    links = [
        (await walk(bob, f"{BOB}/hub/doorstep?server=bob/&next=/user/bob/{page}", steps=2))[-1].headers["location"]
        for page in ("lab", "tree")
    ]

    answers = [await bob.get(link) for link in reversed(links)]

    assert [answer.headers["location"] for answer in answers] == ["/user/bob/tree", "/user/bob/lab"]


async def test_a_server_that_signs_visitors_in_itself_is_simply_gone_to(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    rig.spawners.own_sign_in = True
    await rig.start("bob")
    bob = await signed_in(rig, "bob")

    answer = await bob.get("/hub/spawn/bob")

    assert answer.headers["location"] == f"{BOB}/user/bob/lab"
    assert rig.proxy.table["/bob.hub.example/user/bob"]["access"] == "open"


async def test_the_browser_is_known_by_a_cookie_that_no_sibling_can_plant(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    answer = await browser_at_hub(rig).get(f"{BOB}/hub/doorstep?server=bob/")

    (cookie,) = [line for line in answer.headers.get_list("set-cookie") if line.startswith(BROWSER_COOKIE)]
    assert BROWSER_COOKIE.startswith("__Host-")
    assert "Path=/;" in cookie
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "Domain" not in cookie


async def test_without_subdomains_there_is_no_doorstep(rig: Rig) -> None:
    bob = await rig.signed_in("bob")

    assert (await bob.get("/hub/doorstep?server=bob/")).status_code == 404
