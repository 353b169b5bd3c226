from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import AlreadyExists, InvalidRequest, NoSuchGroup
from perijove.hub.domain.groups import MAX_PROPERTIES
from perijove.hub.usecases.change_groups import MAX_NAMES, ChangeGroups, ReadGroups
from tests.unit.hub.usecases.people import People, service

ASKER: Final = service("script", "admin:groups")


class World:
    """Ada, bob and eve, and the roles that a test declares."""

    def __init__(self, roles: Sequence[Mapping[str, Any]] = (), services: Sequence[Mapping[str, Any]] = ()) -> None:
        self.people = People(roles=roles, services=services)
        self.read = ReadGroups(store=self.people.store)
        self.change = ChangeGroups(
            store=self.people.store,
            clock=self.people.clock,
            roles=self.people.roles,
            revocations=self.people.revocations,
        )

    async def make(self, name: str, *users: str) -> None:
        for user in ("ada", "bob", "eve"):
            await self.people.enter(user)
        await self.change.create([name], users, asker=ASKER)
        self.people.proxy.revocations.clear()

    @property
    def refused_users(self) -> list[str]:
        return [revocation.user for revocation in self.people.proxy.revocations if revocation.user]

    @property
    def refused_visits(self) -> list[str]:
        return [revocation.sid for revocation in self.people.proxy.revocations if revocation.sid]


async def test_several_groups_are_made_with_the_same_members() -> None:
    world = World()
    await world.make("first")

    made = await world.change.create(["b", "a", "b"], ["Eve", "ada", "eve"], asker=ASKER)

    assert [(known.group.name, known.users) for known in made] == [("b", ("ada", "eve")), ("a", ("ada", "eve"))]
    listed, total = await world.read.list(offset=0, limit=2)
    assert ([known.group.name for known in listed], total) == (["first", "b"], 3)


async def test_of_several_groups_none_is_made_if_one_exists() -> None:
    world = World()
    await world.make("taken")

    with pytest.raises(AlreadyExists, match="Group taken already exists"):
        await world.change.create(["new", "taken"], [], asker=ASKER)
    with pytest.raises(NoSuchGroup):
        await world.read.one("new")


@pytest.mark.parametrize(
    ("names", "users", "words"),
    [
        ([], [], "1 to"),
        (["g"] * (MAX_NAMES + 1), [], "1 to"),
        ([""], [], "needs a name"),
        (["a\nb"], [], "cannot be printed"),
        (["g"], ["nobody"], "No such user: nobody"),
        (["g"], [f"u{number}" for number in range(MAX_NAMES + 1)], "At most"),
    ],
)
async def test_a_group_that_cannot_be_is_refused(names: list[str], users: list[str], words: str) -> None:
    world = World()

    with pytest.raises(InvalidRequest, match=words):
        await world.change.create(names, users, asker=ASKER)
    assert (await world.read.list(offset=0, limit=9))[1] == 0


async def test_members_come_and_go() -> None:
    world = World()
    await world.make("class", "ada")

    added = await world.change.add_users("class", ["bob", "ada"], asker=ASKER)
    left = await world.change.remove_users("class", ["ada", "eve"], asker=ASKER)

    assert (added.users, left.users) == (("ada", "bob"), ("bob",))
    assert (await world.read.one("class")).users == ("bob",)


async def test_an_unknown_member_changes_nothing() -> None:
    world = World()
    await world.make("class", "ada")

    for change in (world.change.add_users, world.change.remove_users):
        with pytest.raises(InvalidRequest, match="No such user: nobody"):
            await change("class", ["ada", "bob", "nobody"], asker=ASKER)
    assert (await world.read.one("class")).users == ("ada",)


async def test_properties_are_replaced_as_a_whole() -> None:
    world = World()
    await world.make("class", "ada")

    await world.change.set_properties("class", {"room": 7, "seats": 30}, asker=ASKER)
    known = await world.change.set_properties("class", {"room": 8}, asker=ASKER)

    assert (known.group.properties, known.users) == ({"room": 8}, ("ada",))
    with pytest.raises(InvalidRequest, match="must not be longer"):
        await world.change.set_properties("class", {"x": "y" * MAX_PROPERTIES}, asker=ASKER)


async def test_what_is_not_there_cannot_be_changed() -> None:
    world = World()

    for asked in (
        world.read.one("none"),
        world.change.delete("none", asker=ASKER),
        world.change.add_users("none", [], asker=ASKER),
        world.change.remove_users("none", [], asker=ASKER),
        world.change.set_properties("none", {}, asker=ASKER),
    ):
        with pytest.raises(NoSuchGroup, match="No such group: none"):
            await asked


async def test_who_leaves_a_group_with_a_role_is_refused_at_the_door_until_let_in_anew() -> None:
    world = World(roles=[{"name": "helpers", "groups": ["class"], "scopes": ["access:servers"]}])
    await world.make("class", "ada", "bob")

    await world.change.remove_users("class", ["bob", "eve"], asker=ASKER)

    assert world.refused_users == ["bob"]
    assert "access:servers" in (await world.people.principal("ada")).scopes
    assert "access:servers" not in (await world.people.principal("bob")).scopes


async def test_who_leaves_a_group_with_a_share_is_refused_at_the_door_until_let_in_anew() -> None:
    world = World()
    await world.make("class", "bob")
    owner = await world.people.user("ada")
    async with world.people.store.unit() as unit:
        server = await unit.servers.add(user_id=owner.id, name="", created=world.people.clock.now())
        group = await unit.groups.by_name("class")
        assert group is not None
        await unit.shares.put(
            server.id, group_id=group.id, scopes=["access:servers!server=ada/"], created=world.people.clock.now()
        )

    await world.change.delete("class", asker=ASKER)

    assert world.refused_users == ["bob"]


async def test_who_reaches_the_members_of_a_group_no_longer_reaches_who_left() -> None:
    """
    A teacher, the members of a group of teachers, and a service: each may have entered the server of the pupil.
    """
    services = [{"name": "grader", "api_token": "12345678"}]
    over = {"name": "teachers", "users": ["ada"], "groups": ["staff"], "services": ["grader"]}
    world = World(roles=[{**over, "scopes": ["access:servers!group=class"]}], services=services)
    await world.make("class", "bob")
    await world.change.create(["staff"], ["eve"], asker=ASKER)

    await world.change.remove_users("class", ["bob"], asker=ASKER)

    assert world.refused_users == ["ada", "eve"]
    assert world.refused_visits == ["token:s-grader"]


async def test_a_group_that_gives_nothing_costs_nobody_their_visit() -> None:
    world = World()
    await world.make("plain", "bob")

    await world.change.remove_users("plain", ["bob"], asker=ASKER)
    await world.change.delete("plain", asker=ASKER)

    assert not world.people.proxy.revocations


async def test_every_change_of_a_group_is_in_the_audit_log() -> None:
    world = World()
    await world.make("class", "ada")
    await world.change.add_users("class", ["bob"], asker=ASKER)
    await world.change.remove_users("class", ["bob"], asker=ASKER)
    await world.change.set_properties("class", {"room": 7}, asker=ASKER)
    await world.change.delete("class", asker=ASKER)

    async with world.people.store.reading() as unit:
        entries = await unit.audit.page(limit=9, action=Action.GROUP_CHANGED)

    assert [entry.detail["did"] for entry in reversed(entries)] == [
        "added",
        "users added",
        "users removed",
        "properties set",
        "deleted",
    ]
    assert {(entry.actor, entry.target) for entry in entries} == {("script", "class")}
