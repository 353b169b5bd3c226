from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from perijove.config.settings import ServerPolicy
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings

ROLE = {"name": "user", "scopes": ["self", "shares!user", "read:users:name"]}
READ = "access:servers:read"
#: where bob gets a fresh identity for ada's server
ENTRANCE = "/hub/enter?server=ada%2F&next=%2Fuser%2Fada%2Flab"
_LINK = re.compile(r'value="([^"]*/hub/accept-share\?code=[^"]+)"')


@pytest.fixture
async def rig(tasks: TaskGroup) -> Rig:
    """
    Ada, bob and eve, who may share their servers.
    """
    settings = make_settings(load_roles=[ROLE], servers=ServerPolicy(allow_named_servers=True))
    rig = Rig(tasks=tasks, settings=settings)
    for name in ("ada", "bob", "eve"):
        await rig.add_user(name)
    return rig


async def link_of(rig: Rig, scope: str = READ) -> str:
    """A link that ada has made, below the host."""
    ada = await rig.signed_in("ada")
    await ada.get("/hub/sharing/ada")
    page = await ada.post("/hub/share-link/ada", scope=scope, seconds="3600")
    found = _LINK.search(page.text)
    assert found, page.text
    parts = urlsplit(unescape(found[1]))
    return f"{parts.path}?{parts.query}"


async def test_a_server_is_shared_by_name_and_level_and_taken_back(rig: Rig) -> None:
    await rig.start("ada")
    ada, bob = await rig.signed_in("ada"), await rig.signed_in("bob")
    await ada.get("/hub/home")
    await ada.get("/hub/sharing/ada")

    shared = await ada.post("/hub/sharing/ada", name="bob", kind="user", scope=READ)
    page = await ada.get(shared.headers["location"])
    home = await ada.get("/hub/home")
    bobs = await bob.get("/hub/home")
    await ada.post("/hub/unshare/ada", user="bob")
    after = await bob.get("/hub/home")

    assert "look at files and results" in page.text
    assert "Shared with bob" in home.text
    assert "Shared with me" in bobs.text
    assert f'href="{ENTRANCE}"' in unescape(bobs.text)
    assert "Shared with me" not in after.text


async def test_the_level_is_changed_by_sharing_again(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/sharing/ada")
    for scope in ("access:servers", READ):
        await ada.post("/hub/sharing/ada", name="bob", kind="user", scope=scope)

    (granted,) = await rig.parts.shares.of_server("ada", "")

    assert granted.share.scopes == (READ,)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "", "kind": "user", "scope": READ}, "Say with whom"),
        ({"name": "nobody", "kind": "user", "scope": READ}, "No such user"),
        ({"name": "ada", "kind": "user", "scope": READ}, "needs no share"),
        ({"name": "bob", "kind": "group", "scope": READ}, "read:groups:name"),
        ({"name": "bob", "kind": "user", "scope": "admin:servers"}, "Do not have permission"),
    ],
)
async def test_what_cannot_be_shared_is_explained_on_the_page(rig: Rig, fields: dict[str, str], words: str) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/sharing/ada")

    page = await ada.post("/hub/sharing/ada", **fields)

    assert page.status_code in {400, 403}
    assert words in unescape(page.text)
    assert await rig.parts.shares.of_server("ada", "") == []


async def test_a_link_is_shown_once_looked_at_and_taken(rig: Rig) -> None:
    await rig.start("ada")
    link = await link_of(rig)
    bob = await rig.signed_in("bob")

    page = await bob.get(link)
    looked = await rig.parts.shares.of_server("ada", "")
    code = link.partition("code=")[2]
    taken = await bob.post("/hub/accept-share", code=code, next="")

    assert (page.status_code, looked) == (200, [])
    assert "The server of ada" in page.text
    assert "You may look at files and results." in page.text
    assert taken.headers["location"] == ENTRANCE
    assert (await bob.get(ENTRANCE)).headers["location"] == "/user/ada/lab"
    assert [granted.share.user for granted in await rig.parts.shares.of_server("ada", "")] == ["bob"]


async def test_who_takes_a_link_of_a_stopped_server_is_shown_that_they_have_it(rig: Rig) -> None:
    link = await link_of(rig)
    bob = await rig.signed_in("bob")
    await bob.get(link)

    taken = await bob.post("/hub/accept-share", code=link.partition("code=")[2], next="")
    elsewhere = await bob.post(f"{link}&next=/hub/token")
    outside = await bob.post(f"{link}&next=https://evil.example/")

    assert taken.headers["location"] == outside.headers["location"] == "/hub/home"
    assert elsewhere.headers["location"] == "/hub/token"


async def test_a_bad_code_is_not_found_and_cannot_be_taken(rig: Rig) -> None:
    bob = await rig.signed_in("bob")
    await bob.get("/hub/home")

    assert (await bob.get("/hub/accept-share?code=nonsense")).status_code == 404
    assert (await bob.get("/hub/accept-share")).status_code == 404
    assert (await bob.post("/hub/accept-share", code="nonsense")).status_code == 400


async def test_a_link_to_ones_own_server_is_refused(rig: Rig) -> None:
    link = await link_of(rig)
    ada = await rig.signed_in("ada")
    await ada.get("/hub/home")

    assert (await ada.get(link)).status_code == 403
    assert (await ada.post("/hub/accept-share", code=link.partition("code=")[2])).status_code == 400


async def test_a_stranger_signs_in_first_and_comes_back_to_the_link(rig: Rig) -> None:
    link = await link_of(rig)

    answer = await rig.browser().get(link)

    assert answer.status_code == 302
    assert (
        answer.headers["location"]
        == f"/hub/login?next={link.replace('/', '%2F').replace('?', '%3F').replace('=', '%3D')}"
    )


async def test_a_link_is_taken_back(rig: Rig) -> None:
    link = await link_of(rig)
    ada, bob = await rig.signed_in("ada"), await rig.signed_in("bob")
    page = await ada.get("/hub/sharing/ada")
    found = re.search(r'name="id" value="(sc_[0-9]+)"', page.text)
    assert found
    nothing = await ada.post("/hub/unshare-link/ada")
    still_there = (await bob.get(link)).status_code

    await ada.post("/hub/unshare-link/ada", id=found[1])

    assert (nothing.status_code, still_there) == (404, 200)
    assert (await bob.get(link)).status_code == 404


@pytest.mark.parametrize("seconds", ["", "x", "0", "9999999999999"])
async def test_a_link_needs_a_time_that_it_is_good_for(rig: Rig, seconds: str) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/sharing/ada")

    page = await ada.post("/hub/share-link/ada", scope=READ, seconds=seconds)

    assert page.status_code == 400
    assert not _LINK.search(page.text)


async def test_what_is_shared_with_oneself_is_left(rig: Rig) -> None:
    link = await link_of(rig)
    bob = await rig.signed_in("bob")
    await bob.get(link)
    await bob.post("/hub/accept-share", code=link.partition("code=")[2])
    await bob.get("/hub/home")

    left = await bob.post("/hub/leave-share", owner="ada", server="")

    assert left.headers["location"] == "/hub/home"
    assert "Shared with me" not in (await bob.get("/hub/home")).text
    assert (await bob.post("/hub/leave-share", owner="ada", server="")).status_code == 404


async def test_the_server_of_another_cannot_be_shared(rig: Rig) -> None:
    link = await link_of(rig)
    eve = await rig.signed_in("eve")
    await eve.get("/hub/home")

    assert (await eve.get("/hub/sharing/ada")).status_code == 404
    for path in ("sharing", "unshare", "share-link", "unshare-link"):
        answer = await eve.post(f"/hub/{path}/ada", name="eve", user="eve", kind="user", scope=READ, seconds="3600")
        assert answer.status_code == 404, path
    assert await rig.parts.shares.of_server("ada", "") == []
    assert (await eve.get(link)).status_code == 200


async def test_who_may_not_share_sees_nothing_of_it(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings())
    await rig.add_user("bob")
    bob = await rig.signed_in("bob")

    assert "/hub/sharing/" not in (await bob.get("/hub/home")).text
    assert (await bob.get("/hub/sharing/bob")).status_code == 403


async def test_who_knows_nobodys_name_is_offered_links_alone(tasks: TaskGroup) -> None:
    role = {"name": "user", "scopes": ["self", "shares!user"]}
    rig = Rig(tasks=tasks, settings=make_settings(load_roles=[role]))
    await rig.add_user("bob")

    page = await (await rig.signed_in("bob")).get("/hub/sharing/bob")

    assert "Invite by a link" in page.text
    assert 'name="name"' not in page.text


async def test_a_visitor_of_a_stopped_server_is_not_offered_to_start_it(rig: Rig) -> None:
    link = await link_of(rig)
    bob = await rig.signed_in("bob")
    await bob.get(link)
    await bob.post("/hub/accept-share", code=link.partition("code=")[2])

    page = await bob.get("/hub/user/ada/lab")

    assert page.status_code == 424
    assert "ada can start it." in page.text
    assert "/hub/spawn/ada" not in page.text


async def test_a_reader_comes_into_a_running_server(rig: Rig) -> None:
    await rig.start("ada")
    link = await link_of(rig)
    bob = await rig.signed_in("bob")
    await bob.get(link)
    await bob.post("/hub/accept-share", code=link.partition("code=")[2])

    entered = await bob.get("/hub/enter?server=ada/&next=/user/ada/lab/tree/a.ipynb")

    assert entered.headers["location"] == "/user/ada/lab/tree/a.ipynb"
    assert "Path=/user/ada/" in entered.headers["set-cookie"]
