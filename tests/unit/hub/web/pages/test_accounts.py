from __future__ import annotations

import pytest

from perijove.config.settings import SignInPolicy
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import PASSWORD, Rig, make_settings


@pytest.fixture
async def empty(tasks: TaskGroup) -> Rig:
    rig = Rig(tasks=tasks, settings=make_settings())
    await rig.membership.keep()
    return rig


async def test_the_first_link_makes_an_administrator_and_ends_in_jupyterlab(empty: Rig) -> None:
    code = await empty.parts.first_admin.link_code()
    browser = empty.browser()
    page = await browser.get(f"/hub/welcome?key={code}")

    answer = await browser.post("/hub/welcome", key=code or "", username="ada", password=PASSWORD, again=PASSWORD)

    assert page.status_code == 200
    assert answer.headers["location"] == "/user/ada/lab"
    assert (await empty.parts.get_user("ada")).admin


async def test_the_link_works_once(empty: Rig) -> None:
    code = await empty.parts.first_admin.link_code() or ""
    browser = empty.browser()
    await browser.get(f"/hub/welcome?key={code}")
    await browser.post("/hub/welcome", key=code, username="ada", password=PASSWORD, again=PASSWORD)

    assert (await empty.browser().get(f"/hub/welcome?key={code}")).status_code == 404


async def test_a_mistake_does_not_spend_the_link(empty: Rig) -> None:
    code = await empty.parts.first_admin.link_code() or ""
    browser = empty.browser()
    await browser.get(f"/hub/welcome?key={code}")

    short = await browser.post("/hub/welcome", key=code, username="ada", password="short", again="short")
    other = await browser.post("/hub/welcome", key=code, username="ada", password=PASSWORD, again="another one")
    name = await browser.post("/hub/welcome", key=code, username="../ada", password=PASSWORD, again=PASSWORD)
    right = await browser.post("/hub/welcome", key=code, username="ada", password=PASSWORD, again=PASSWORD)

    assert "at least 10 characters" in short.text
    assert "not the same" in other.text
    assert "valid user name" in name.text
    assert [answer.status_code for answer in (short, other, name, right)] == [400, 400, 400, 302]


async def test_the_key_is_told_to_no_other_page(empty: Rig) -> None:
    code = await empty.parts.first_admin.link_code()

    page = await empty.browser().get(f"/hub/welcome?key={code}")

    assert page.headers["referrer-policy"] == "strict-origin"
    assert page.headers["cache-control"] == "no-store"


async def test_an_invitation_has_the_name_that_was_chosen(rig: Rig) -> None:
    ada = await rig.signed_in("ada")
    await ada.get("/hub/people")
    page = await ada.post("/hub/people/invite", name="lin")
    key = page.text.split("invitation?key=")[1].split('"')[0]
    guest = rig.browser()

    form = await guest.get(f"/hub/invitation?key={key}")
    answer = await guest.post("/hub/invitation", key=key, username="eve", password=PASSWORD, again=PASSWORD)

    assert "readonly" in form.text
    assert answer.headers["location"] == "/user/lin/lab"


async def test_signing_up_waits_for_approval(rig: Rig) -> None:
    guest = rig.browser()
    await guest.get("/hub/signup")
    page = await guest.post("/hub/signup", username="zoe", password=PASSWORD, again=PASSWORD)
    ada = await rig.signed_in("ada")
    people = await ada.get("/hub/people")

    await ada.post("/hub/people/approve", name="zoe")

    assert "waits for approval" in page.text
    assert "zoe" in people.text
    assert (await rig.signed_in("zoe")).xsrf


async def test_signing_up_does_not_tell_whether_a_name_is_taken(rig: Rig) -> None:
    guest = rig.browser()
    await guest.get("/hub/signup")
    free = await guest.post("/hub/signup", username="zoe", password=PASSWORD, again=PASSWORD)
    taken = await guest.post("/hub/signup", username="bob", password=PASSWORD, again=PASSWORD)

    assert free.status_code == taken.status_code
    assert free.text == taken.text


async def test_where_nobody_may_sign_up_there_is_no_such_page(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(sign_in=SignInPolicy(allow_signup=False)))
    browser = rig.browser()

    assert (await browser.get("/hub/signup")).status_code == 404
    assert "signup" not in (await browser.get("/hub/login")).text


async def test_another_password_ends_other_sessions(rig: Rig) -> None:
    here, elsewhere = await rig.signed_in("bob"), await rig.signed_in("bob")
    await here.get("/hub/password")

    page = await here.post("/hub/password", old=PASSWORD, password="another horse", again="another horse")

    assert "has been changed" in page.text
    assert (await here.get("/hub/home")).status_code == 200
    assert (await elsewhere.get("/hub/home")).status_code == 302


async def test_a_wrong_old_password_changes_nothing(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/password")

    page = await browser.post("/hub/password", old="wrong", password="another horse", again="another horse")

    assert page.status_code == 403
    assert (await rig.signed_in("bob")).xsrf
