from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from perijove.hub.domain.errors import StoreAway
from perijove.hub.domain.groups import read_groups
from perijove.hub.usecases.groups import GroupBook
from tests.unit.hub.usecases.world import World


def book(declared: Mapping[str, Any]) -> GroupBook:
    return GroupBook(read_groups(declared))


async def members(world: World, group: str) -> tuple[str, ...]:
    async with world.store.unit() as unit:
        row = await unit.groups.by_name(group)
        return tuple(await unit.groups.members(row.id)) if row else ()


async def test_declared_groups_have_those_members_who_are_users() -> None:
    world = World()
    await world.add_user("ada")
    groups = book({"class": ["ada", "bob"], "empty": {"properties": {"room": 7}}})

    await groups.load(world.store)
    await groups.load(world.store)

    async with world.store.unit() as unit:
        empty = await unit.groups.by_name("empty")
    assert await members(world, "class") == ("ada",)
    assert empty is not None
    assert empty.properties == {"room": 7}
    assert groups.names == {"class", "empty"}


async def test_whoever_comes_later_joins_then() -> None:
    world = World()
    groups = book({"class": ["bob"], "other": []})
    await groups.load(world.store)
    bob, eve = await world.add_user("bob"), await world.add_user("eve")

    for user in (bob, bob, eve):
        async with world.store.unit() as unit:
            await groups.join(unit, user)

    assert await members(world, "class") == ("bob",)
    assert await members(world, "other") == ()


async def test_whoever_comes_before_the_groups_are_there_makes_theirs() -> None:
    world = World()
    bob = await world.add_user("bob")

    async with world.store.unit() as unit:
        await book({"class": {"users": ["bob"], "properties": {"room": 7}}}).join(unit, bob)

    assert await members(world, "class") == ("bob",)


async def test_a_declaration_only_adds() -> None:
    world = World()
    ada = await world.add_user("ada")
    await book({"class": ["ada"]}).load(world.store)
    await book({"class": []}).load(world.store)

    async with world.store.unit() as unit:
        assert await unit.groups.of_users([ada.id]) == {ada.id: ["class"]}


async def test_a_database_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    await world.add_user("ada")
    unit, failures = world.store.unit, [StoreAway(), StoreAway()]

    def sometimes() -> Any:
        if failures:
            raise failures.pop()
        return unit()

    monkeypatch.setattr(world.store, "unit", sometimes)
    await book({"class": ["ada"]}).run(world.store)

    assert await members(world, "class") == ("ada",)
