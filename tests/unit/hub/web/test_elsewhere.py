"""
At somebody's origin there is nothing of the hub; and at the hub's own, nothing of theirs.
"""

from __future__ import annotations

import pytest

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import NAVIGATION, SCRIPT
from tests.unit.hub.web.split import BOB, HUB, browser_at_hub, signed_in, split_rig, walk

SIBLING = {**SCRIPT, "Sec-Fetch-Site": "same-site"}
PAGES = ["/hub/home", "/hub/login", "/hub/token", "/hub/logout", "/hub/api/user", "/hub/enter?server=bob/&next=x"]


@pytest.mark.parametrize("path", PAGES)
async def test_people_who_ask_for_a_page_of_the_hub_are_sent_to_it(tasks: TaskGroup, path: str) -> None:
    rig = await split_rig(tasks)

    answer = await browser_at_hub(rig).get(f"{BOB}{path}")

    assert (answer.status_code, answer.headers["location"]) == (302, f"{HUB}{path}")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "headers", [SCRIPT, {"Authorization": "token x"}, {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Site": "same-origin"}]
)
async def test_scripts_and_programs_get_nothing_of_it(tasks: TaskGroup, path: str, headers: dict[str, str]) -> None:
    rig = await split_rig(tasks)

    async with rig.client(**headers) as client:
        answer = await client.get(f"{BOB}{path}")

    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control-allow-origin")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", ["/hub/login", "/hub/api/users", "/hub/static/style.css", "/hub/doorstep", "/"])
async def test_nothing_is_changed_from_there(tasks: TaskGroup, method: str, path: str) -> None:
    rig = await split_rig(tasks)

    async with rig.client(**NAVIGATION) as client:
        answer = await client.request(method, f"{BOB}{path}")

    assert answer.status_code == 421


async def test_a_token_is_good_at_the_hub_s_own_host_only(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)

    async with rig.program(await rig.token("bob")) as client:
        there = await client.get(f"{BOB}/hub/api/user")
        here = await client.get(f"{HUB}/hub/api/user")

    assert (there.status_code, here.status_code) == (421, 200)


@pytest.mark.parametrize("host", ["BOB.hub.example", "bob.hub.example.", "bob.hub.example:8443", "x.y.hub.example"])
async def test_a_host_is_known_however_it_is_written(tasks: TaskGroup, host: str) -> None:
    rig = await split_rig(tasks)

    async with rig.client(Host=host, **SCRIPT) as client:
        answer = await client.get("/hub/api/user")

    assert answer.status_code == 421


@pytest.mark.parametrize("forwarded", ["bob.hub.example", "hub.example, BOB.hub.example:443"])
async def test_a_host_is_known_by_what_the_proxy_says_of_it(tasks: TaskGroup, forwarded: str) -> None:
    rig = await split_rig(tasks)

    async with rig.client(**{**SCRIPT, "X-Forwarded-Host": forwarded}) as client:
        answer = await client.get(f"{HUB}/hub/api/user")

    assert answer.status_code == 421


async def test_files_for_everybody_are_there(tasks: TaskGroup) -> None:
    """
    JupyterLab's are loaded from where its page is: no other origin needs to be let in for it.
    """
    rig = await split_rig(tasks)

    async with rig.client(**SCRIPT) as client:
        answers = [await client.get(f"{BOB}{path}") for path in ("/hub/static/style.css", "/hub/health")]

    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "/hub/"),
        ("/user/bob/lab?x=1", "/hub/user/bob/lab?x=1&redirects=1"),
        ("/user/bob/a%2Fb%20c", "/hub/user/bob/a%2Fb%20c?redirects=1"),
        ("/user/bob/lab?redirects=3", "/hub/user/bob/lab?redirects=3"),
        ("/services/x/y", "/hub/services/x/y"),
        ("//evil.example/x", "/hub/evil.example/x"),
        ("/@evil.example", "/hub/@evil.example"),
    ],
)
async def test_what_has_no_route_there_is_asked_of_the_hub(tasks: TaskGroup, path: str, location: str) -> None:
    rig = await split_rig(tasks)

    answer = await browser_at_hub(rig).client.get(f"{BOB}{path}")

    assert answer.headers["location"] == f"{HUB}{location}"


async def test_below_a_prefix_it_is_the_same(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks, base_url="/jupyter/")
    browser = browser_at_hub(rig)

    page = await browser.get(f"{BOB}/jupyter/user/bob/lab")
    other = await browser.get(f"{BOB}/elsewhere")

    assert page.headers["location"] == f"{HUB}/jupyter/hub/user/bob/lab?redirects=1"
    assert other.headers["location"] == f"{HUB}/jupyter/hub/elsewhere"


@pytest.mark.parametrize(("method", "headers"), [("GET", SIBLING), ("GET", {"Authorization": "token x"}), ("POST", {})])
async def test_a_program_is_told_that_the_server_is_gone(
    tasks: TaskGroup, method: str, headers: dict[str, str]
) -> None:
    rig = await split_rig(tasks)

    async with rig.client(**headers) as client:
        answer = await client.request(method, f"{BOB}/user/bob/api/kernels")

    assert answer.status_code == 424
    assert answer.json()["message"] == (
        "JupyterHub server no longer running at /user/bob/api/kernels. "
        "Restart the server at https://hub.example/hub/spawn/bob"
    )
    assert not rig.spawners.running()


async def test_who_asks_the_hub_s_host_for_a_server_is_sent_to_the_right_one(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")
    rig.proxy.restart()

    outside = await bob.get("/user/bob/lab?x=1")
    answer = await bob.get(outside.headers["location"])

    assert outside.headers["location"] == "/hub/user/bob/lab?x=1"
    assert answer.headers["location"] == f"{BOB}/user/bob/lab?x=1"
    # Looking at the whole table is for those who come from there.
    assert not rig.proxy.table


async def test_a_service_is_looked_for_at_its_own_host(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)

    answer = await browser_at_hub(rig).get("/services/grades/a%20b?x=1")

    assert answer.headers["location"] == "https://grades--service.hub.example/services/grades/a%20b?x=1"


async def test_a_running_server_without_route_gets_it_back(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    rig.proxy.restart()
    bob = await signed_in(rig, "bob")

    answers = await walk(bob, f"{BOB}/hub/")
    lost = await bob.get("/hub/user/bob/lab?redirects=1")
    given_up = await bob.get("/hub/user/bob/lab?redirects=4")

    assert answers[0].headers["location"] == f"{HUB}/hub/"
    assert lost.headers["location"] == f"{BOB}/user/bob/lab?redirects=2"
    assert "/bob.hub.example/user/bob" in rig.proxy.table
    assert given_up.status_code == 500


async def test_the_server_of_another_does_not_exist_at_any_host(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    eve = await signed_in(rig, "eve")

    answers = await walk(eve, f"{BOB}/user/bob/lab")
    wrong = await walk(eve, "https://eve.hub.example/user/bob/lab")

    assert [answer.status_code for answer in (*answers[1:], *wrong[1:])] == [404, 404]


async def test_links_lead_to_the_right_hosts(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")

    home = await bob.get("/hub/home")

    assert f'href="{BOB}/user/bob/lab"' in home.text
    assert 'href="/hub/token"' in home.text


async def test_forms_of_the_hub_may_lead_to_everybody_s_hosts_and_no_others(tasks: TaskGroup) -> None:
    """
    Browsers hold the redirect that answers a form to the form's policy, too.
    """
    rig = await split_rig(tasks)

    policy = (await browser_at_hub(rig).get("/hub/login")).headers["content-security-policy"]

    assert "form-action 'self' https://*.hub.example;" in policy
    assert policy.count("hub.example") == 1


async def test_a_page_of_another_user_changes_nothing_at_the_hub(tasks: TaskGroup) -> None:
    """
    To browsers all users are one site with the hub, so that its cookie comes along.
    """
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")
    foreign = {"Sec-Fetch-Site": "same-site", "Origin": "https://eve.hub.example"}

    posted = await bob.client.post("/hub/token", data={"_xsrf": bob.xsrf}, headers=foreign)
    called = await bob.client.post(
        "/hub/api/users/bob/tokens", json={}, headers={**foreign, "Sec-Fetch-Mode": "cors", "X-XSRFToken": bob.xsrf}
    )
    read = await bob.client.get("/hub/home", headers={**foreign, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"})
    signed_out = await bob.client.get("/hub/logout", headers=foreign)

    assert [answer.status_code for answer in (posted, called, read)] == [403, 403, 403]
    assert signed_out.status_code == 200
    assert (await bob.get("/hub/home")).status_code == 200


async def test_addresses_in_the_api_are_whole(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")

    async with rig.program(await rig.token("bob")) as client:
        user = (await client.get(f"{HUB}/hub/api/user")).json()
        model = (await client.get(f"{HUB}/hub/api/users/bob")).json()
        progress = (await client.get(f"{HUB}/hub/api/users/bob/server/progress")).text

    assert user["name"] == "bob"
    assert model["server"] == f"{BOB}/user/bob/"
    server = model["servers"][""]
    assert (server["url"], server["full_url"]) == (f"{BOB}/user/bob/", f"{BOB}/user/bob/")
    assert server["progress_url"] == "/hub/api/users/bob/server/progress"
    assert server["full_progress_url"] == f"{HUB}/hub/api/users/bob/server/progress"
    assert f'"url": "{BOB}/user/bob/"' in progress


async def test_a_link_for_everybody_and_next_addresses_lead_to_the_right_host(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    await rig.start("bob")
    bob = await signed_in(rig, "bob")

    link = await walk(bob, "/hub/user-redirect/lab/tree/a.ipynb")
    spawned = await walk(bob, f"/hub/spawn/bob?next={BOB}/user/bob/lab/tree/b.ipynb")

    assert link[-1].headers["location"] == "/user/bob/lab/tree/a.ipynb"
    assert str(link[-1].url).startswith(f"{BOB}/hub/doorstep?")
    assert spawned[-1].headers["location"] == "/user/bob/lab/tree/b.ipynb"


async def test_the_session_s_id_is_told_to_services_below_and_the_sign_in_to_nobody(tasks: TaskGroup) -> None:
    rig = await split_rig(tasks)
    bob = await signed_in(rig, "bob")

    domains = {cookie.name: cookie.domain for cookie in bob.client.cookies.jar}

    assert domains["jupyterhub-session-id"] == ".hub.example"
    assert domains["__Host-jupyterhub-hub-login"] == "hub.example"
