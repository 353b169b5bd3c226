from __future__ import annotations

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.ports import Authenticated
from perijove.hub.usecases.audit import Wanted
from tests.unit.hub.usecases.people import People


async def groups_of(people: People, name: str) -> list[str]:
    user = await people.user(name)
    async with people.store.unit() as unit:
        return list((await unit.groups.of_users([user.id])).get(user.id, ()))


async def test_people_are_in_exactly_the_groups_that_the_method_says() -> None:
    people = People()
    people.method.groups = ("class", "band")
    await people.enter()
    first = await groups_of(people, "ada")
    people.method.groups = ("band", "club")
    await people.enter()

    assert (first, await groups_of(people, "ada")) == (["band", "class"], ["band", "club"])
    told = await people.audit.page(Wanted(action=Action.GROUP_CHANGED), limit=10)
    assert [(entry.target, entry.detail["did"]) for entry in told] == [
        ("club", "users added"),
        ("class", "users removed"),
        ("class", "users added"),
        ("band", "users added"),
    ]


async def test_a_method_that_does_not_manage_groups_leaves_them_alone() -> None:
    people = People()
    people.method.groups = ("class",)
    await people.enter()
    people.method.groups = None
    await people.enter()

    assert await groups_of(people, "ada") == ["class"]


@pytest.mark.parametrize("name", ["", " class", "a\nb", "x" * 300])
async def test_a_name_that_no_group_can_have_keeps_nobody_out(name: str) -> None:
    people = People()
    people.method.groups = ("class", name)

    await people.enter()

    assert await groups_of(people, "ada") == ["class"]


async def test_the_hook_sees_what_is_kept_and_says_what_will_be() -> None:
    people = People()
    people.method.kept = ("secret",)
    people.method.auth_state = {"secret": 1, "token": 1}
    ada = await people.enter()
    people.method.auth_state = {"secret": 2, "token": 2}
    await people.enter()

    assert await people.auth_states.get(ada.user) == {"secret": 1, "token": 2}


async def test_what_the_method_tells_of_people_is_kept_until_it_tells_something_else() -> None:
    people = People()
    people.method.user_info = {"display_name": "Ada"}
    assert (await people.enter()).user.user_info == {"display_name": "Ada"}
    people.method.user_info = None
    assert (await people.enter()).user.user_info == {"display_name": "Ada"}
    people.method.user_info = {}
    await people.enter()

    assert (await people.user("ada")).user_info == {}


async def test_what_is_told_when_the_method_is_asked_again_is_kept_and_changes_no_power() -> None:
    people = People()
    ada = await people.enter()
    told = Authenticated(name="ada", user_info={"color": "red"})
    async with people.store.unit() as unit:
        adopted = await people.vouched.renewed(unit, ada.user, told)

    assert not adopted.has_changed
    assert adopted.user == await people.user("ada")
    assert adopted.user.user_info == {"color": "red"}


async def test_the_configurations_administrators_stay_so_whatever_the_method_says() -> None:
    people = People(admin_users=["ada"])

    assert (await people.enter()).user.admin
    assert (await people.enter()).user.admin


READING = {"name": "reading", "scopes": ["read:users!group=class"]}


async def test_people_have_exactly_the_roles_that_the_method_says() -> None:
    people = People(managed_roles=[READING])
    people.method.roles = ({"name": "reading"}, {"name": "user"}, {"name": "unheard-of"})
    await people.enter()
    first = (await people.user("ada")).managed_roles
    people.method.roles = None
    await people.enter()
    kept = (await people.user("ada")).managed_roles
    people.method.roles = ()
    await people.enter()

    assert first == kept == (ManagedRole(name="reading"), ManagedRole(name="user"))
    assert (await people.user("ada")).managed_roles == ()
    told = await people.audit.page(Wanted(action=Action.USER_CHANGED), limit=10)
    assert [entry.detail["roles"] for entry in told] == [[], ["reading", "user"]]


async def test_a_role_that_is_lost_shuts_the_doors_and_counts_for_the_request_that_waits() -> None:
    people = People(managed_roles=[READING])
    people.method.roles = ({"name": "reading"},)
    ada = await people.enter()
    async with people.store.unit() as unit:
        more = await people.vouched.renewed(
            unit, ada.user, Authenticated(name="ada", roles=(READING, {"name": "user"}))
        )
    async with people.store.unit() as unit:
        less = await people.vouched.renewed(unit, more.user, Authenticated(name="ada", roles=({"name": "user"},)))

    assert (more.has_changed, more.doors.users) == (True, frozenset())
    assert (less.has_changed, less.doors.users) == (True, frozenset({"ada"}))


async def test_who_leaves_a_group_is_out_of_reach_of_those_whose_given_roles_reached_it() -> None:
    people = People(managed_roles=[READING])
    people.method.groups = ("class",)
    await people.enter("eve")
    people.method.groups = None
    for name, role in (("ada", {"name": "reading"}), ("bob", {**READING, "name": "own"}), ("cyd", {"name": "user"})):
        people.method.roles = (role,)
        await people.enter(name)
    people.method.roles = ()
    people.method.groups = ()

    eve = await people.user("eve")
    async with people.store.unit() as unit:
        adopted = await people.vouched.renewed(unit, eve, Authenticated(name="eve", groups=()))

    assert adopted.doors.users == {"ada", "bob"}
