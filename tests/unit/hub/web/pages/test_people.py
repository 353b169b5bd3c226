from __future__ import annotations

import re

from tests.unit.hub.web.rig import Rig


async def test_the_page_is_for_administrators(rig: Rig) -> None:
    assert (await (await rig.signed_in("bob")).get("/hub/people")).status_code == 403
    assert (await (await rig.signed_in("ada")).get("/hub/people")).status_code == 200


async def test_people_are_shown_as_they_are_called_without_what_it_could_do_to_the_page(rig: Rig) -> None:
    async with rig.parts.store.unit() as unit:
        bob = await unit.users.by_name("bob")
        assert bob is not None
        await unit.users.set_user_info(bob.id, {"display_name": "Bob <b>Builder</b>"})

    page = (await (await rig.signed_in("ada")).get("/hub/people")).text

    assert "Bob &lt;b&gt;Builder&lt;/b&gt;" in page
    assert page.count('<span class="hint">') == 1


async def test_a_refusal_is_in_words_for_people(rig: Rig) -> None:
    """
    The API names the missing scopes; to somebody at a browser they say nothing.
    """
    page = await (await rig.signed_in("bob")).get("/hub/people")

    assert "ask an administrator" in page.text
    assert "admin:users" not in page.text


async def test_somebody_is_deleted_with_their_server(rig: Rig) -> None:
    await rig.start("bob")
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")

    await ada.post("/hub/people/delete", name="bob")

    assert "bob" not in (await ada.get("/hub/people")).text
    assert not rig.spawners.running()


async def test_nobody_deletes_themselves(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")

    assert (await ada.post("/hub/people/delete", name="ada")).status_code == 400


async def test_nobody_is_left_without_an_administrator_by_a_click(rig: Rig) -> None:
    """
    Whoever demotes others stays one; oneself, nobody demotes here. A script that means it may (contract d8).
    """
    ada = await rig.signed_in("ada")
    page = await ada.get("/hub/people")
    assert 'name="name" value="ada"' not in page.text

    answer = await ada.post("/hub/people/admin", name=" ADA ", admin="")

    assert (answer.status_code, "ask another administrator" in answer.text) == (400, True)
    assert (await rig.parts.get_user("ada")).admin


async def test_an_administrator_makes_another(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")

    await ada.post("/hub/people/admin", name="bob", admin="1")
    assert (await rig.parts.get_user("bob")).admin

    await ada.post("/hub/people/admin", name="bob", admin="")
    assert not (await rig.parts.get_user("bob")).admin


async def test_an_invitation_can_be_withdrawn(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")
    page = await ada.post("/hub/people/invite", name="")
    key = page.text.split("invitation?key=")[1].split('"')[0]

    found = re.search(r'name="id" value="(\d+)"', page.text)
    assert found is not None

    await ada.post("/hub/people/withdraw", id=found[1])

    assert (await rig.browser().get(f"/hub/invitation?key={key}")).status_code == 404


async def test_people_come_in_pages(rig: Rig) -> None:
    for number in range(60):
        await rig.add_user(f"user{number:02}")
    ada = await rig.signed_in("ada")

    first, second = await ada.get("/hub/people"), await ada.get("/hub/people?offset=50")

    assert "user40" in first.text
    assert "user59" not in first.text
    assert "user59" in second.text
    assert "offset=0" in second.text


async def test_administrators_are_told_what_does_not_keep_people_apart(rig: Rig) -> None:
    rig.spawners.warns = ["Nothing keeps people <apart> here."]
    ada = await rig.signed_in("ada")

    page = await ada.get("/hub/people")

    assert "Nothing keeps people &lt;apart&gt; here." in page.text
