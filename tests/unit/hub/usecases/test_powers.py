from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Unit
from perijove.hub.scopes.decision import GroupResource, ServerResource, UserResource, may
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.powers import Powers

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TEACHING = {"name": "teaching", "scopes": ["admin:servers!group=class", "groups!group=class"], "groups": ["teachers"]}
GRADING = {"name": "grading", "scopes": ["read:users!group=class"], "services": ["grader"]}
GRADER = {"name": "grader", "api_token": "token-of-the-grader"}


@dataclass(frozen=True)
class Holds:
    scopes: frozenset[str]


def powers(*roles: dict[str, Any]) -> Powers:
    return Powers(load_roles(roles=roles, services=[GRADER]))


async def add(unit: Unit, name: str, *groups: str) -> User:
    user = await unit.users.add(name=name, admin=False, created=NOW)
    for group in groups:
        row = await unit.groups.by_name(group) or await unit.groups.put(group, properties={})
        await unit.groups.add_members(row.id, [user.id])
    return user


async def scopes_of(powers: Powers, unit: Unit, user: User) -> Holds:
    person = await unit.users.person(user.id)
    assert person is not None
    return Holds(await powers.of_person(unit, person))


async def test_a_role_of_a_group_is_its_members() -> None:
    async with MemoryStore().unit() as unit:
        tess, eve = await add(unit, "tess", "teachers"), await add(unit, "eve")

        assert may(await scopes_of(powers(TEACHING), unit, tess), "groups", GroupResource("class"))
        assert not may(await scopes_of(powers(TEACHING), unit, eve), "groups", GroupResource("class"))


async def test_a_filter_to_a_group_reaches_its_members_and_their_servers() -> None:
    async with MemoryStore().unit() as unit:
        tess = await add(unit, "tess", "teachers")
        await add(unit, "ada", "class")
        held = await scopes_of(powers(TEACHING), unit, tess)

        assert may(held, "start:servers", ServerResource("ada", "gpu"))
        assert not may(held, "start:servers", ServerResource("eve", ""))
        assert not may(held, "admin:servers", UserResource("eve"))


async def test_who_leaves_the_group_is_out_of_reach() -> None:
    async with MemoryStore().unit() as unit:
        tess, ada = await add(unit, "tess", "teachers"), await add(unit, "ada", "class")
        group = await unit.groups.by_name("class")
        assert group is not None
        await unit.groups.remove_members(group.id, [ada.id])

        assert not may(await scopes_of(powers(TEACHING), unit, tess), "start:servers", ServerResource("ada", ""))


async def test_a_filter_to_a_group_that_is_not_there_reaches_nobody() -> None:
    async with MemoryStore().unit() as unit:
        tess = await add(unit, "tess", "teachers")

        held = await scopes_of(powers(TEACHING), unit, tess)
    assert not any(text.startswith("start:servers!user=") and "tess" not in text for text in held.scopes)


async def test_services_reach_groups_too() -> None:
    async with MemoryStore().unit() as unit:
        await add(unit, "ada", "class")

        held = Holds(await powers(GRADING).of_service(unit, "grader"))
    assert may(held, "read:users:name", UserResource("ada"))
    assert not may(held, "read:users:name", UserResource("eve"))


async def test_what_is_shared_is_held_for_that_server_alone() -> None:
    async with MemoryStore().unit() as unit:
        bob = await add(unit, "bob")
        person = Person(user=bob, shared=("access:servers!server=ada/",))

        held = Holds(await powers().of_person(unit, person))
    assert may(held, "access:servers", ServerResource("ada", ""))
    assert not may(held, "access:servers", ServerResource("ada", "gpu"))
    assert not may(held, "start:servers", ServerResource("ada", ""))
