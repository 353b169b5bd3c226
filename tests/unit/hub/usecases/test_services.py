from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    AlreadyExists,
    FixedByConfiguration,
    InvalidRequest,
    InvalidScope,
    NoSuchService,
    ProxyAway,
)
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.usecases.services import ChangeServices, ServiceDirectory
from tests.unit.hub.usecases.people import People, service

TOKEN: Final = "token-of-the-board"
CONFIGURED: Final = {"name": "culler", "api_token": "token-of-the-culler"}
ROOT: Final = service("script", "admin:services", "list:users", "read:users:name", "read:hub", "access:services")


class World:
    """A configuration, and what is added to it."""

    def __init__(self, roles: Sequence[Mapping[str, Any]] = (), services: Sequence[Mapping[str, Any]] = ()) -> None:
        self.people = People(roles=roles, services=[CONFIGURED, *services])
        self.shown = 0
        self.is_away = False
        self.directory = ServiceDirectory(store=self.people.store, roles=self.people.roles)
        self.change = ChangeServices(
            store=self.people.store,
            clock=self.people.clock,
            roles=self.people.roles,
            revocations=self.people.revocations,
            directory=self.directory,
            routes=self,
        )

    async def once(self) -> None:
        self.shown += 1
        if self.is_away:
            raise ProxyAway

    async def names(self) -> list[str]:
        return [known.service.name for known in await self.directory.list()]


async def test_an_added_service_is_there_and_gone_again() -> None:
    world = World()

    await world.change.add("board", {"api_token": TOKEN, "url": "http://x:1"}, asker=ROOT)
    known = await world.directory.one("board")
    during = await world.names()
    await world.change.remove("board", asker=ROOT)

    assert (known.service.url, during, world.shown) == ("http://x:1", ["culler", "board"], 2)
    assert await world.names() == ["culler"]
    assert [service.name for service in world.directory.remembered] == ["culler"]
    with pytest.raises(NoSuchService):
        await world.directory.one("board")


async def test_an_added_service_is_known_by_its_token_until_it_is_removed() -> None:
    world = World(roles=[{"name": "reading", "services": ["board"], "scopes": ["list:users"]}])
    await world.change.add("board", {"api_token": TOKEN}, asker=ROOT)

    known = await world.people.identify.by_token(TOKEN)
    await world.change.remove("board", asker=ROOT)

    assert known is not None
    assert (known.kind, known.name, known.token_id) == (Kind.SERVICE, "board", "s-board")
    assert known.scopes == {"list:users", "read:users:name"}
    assert await world.people.identify.by_token(TOKEN) is None
    assert [revocation.sid for revocation in world.people.proxy.revocations] == ["token:s-board"]


async def test_the_beginning_of_a_token_is_not_enough() -> None:
    world = World()
    await world.change.add("board", {"api_token": TOKEN}, asker=ROOT)

    assert await world.people.identify.by_token(f"{TOKEN[:-1]}x") is None


async def test_tokens_of_its_visitors_go_with_it() -> None:
    world = World()
    ada = await world.people.principal("ada")
    for name, client in (("board", ""), ("other", "service-else")):
        await world.change.add(name, {"api_token": f"token-of-{name}", "oauth_client_id": client}, asker=ROOT)
    async with world.people.store.unit() as unit:
        for number, client in enumerate(("service-board", "service-else")):
            await unit.tokens.add(
                user_id=ada.user_id,
                prefix=f"p{number}",
                token_hash=f"hash-{number}",
                scopes=[],
                note="",
                created=world.people.clock.now(),
                client_id=client,
            )

    await world.change.remove("board", asker=ROOT)

    async with world.people.store.unit() as unit:
        assert [token.client_id for token in await unit.tokens.of_user(ada.user_id)] == ["service-else"]


async def test_a_service_of_the_configuration_is_changed_only_there() -> None:
    world = World()

    with pytest.raises(AlreadyExists):
        await world.change.add("culler", {"api_token": TOKEN}, asker=ROOT)
    with pytest.raises(FixedByConfiguration):
        await world.change.remove("culler", asker=ROOT)
    with pytest.raises(NoSuchService):
        await world.change.remove("none", asker=ROOT)


async def test_neither_a_name_nor_a_token_is_given_twice() -> None:
    world = World()
    user = await world.people.principal("ada")
    _, users = await world.people.tokens.create(user=await world.people.user("ada"), maker=user)
    await world.change.add("board", {"api_token": TOKEN}, asker=ROOT)

    with pytest.raises(AlreadyExists):
        await world.change.add("board", {"api_token": "another-token"}, asker=ROOT)
    for taken in (TOKEN, "token-of-the-culler", users):
        with pytest.raises(InvalidRequest, match="of its own"):
            await world.change.add("other", {"api_token": taken}, asker=ROOT)


@pytest.mark.parametrize(
    "declared",
    [
        {"admin": True},
        {"oauth_client_allowed_scopes": ["admin:users"]},
        {"oauth_client_allowed_scopes": ["inherit"]},
        {"oauth_client_allowed_scopes": ["read:hub"], "oauth_no_confirm": True},
    ],
)
async def test_nobody_adds_a_service_that_may_do_more_than_they(declared: Mapping[str, Any]) -> None:
    world = World()

    with pytest.raises(InvalidScope):
        await world.change.add("board", {"api_token": TOKEN, **declared}, asker=ROOT)
    assert await world.names() == ["culler"]


async def test_a_role_that_waits_for_a_name_is_no_way_to_more() -> None:
    world = World(roles=[{"name": "mighty", "services": ["later"], "scopes": ["admin:users"]}])

    with pytest.raises(InvalidScope, match="admin:users"):
        await world.change.add("later", {"api_token": TOKEN}, asker=ROOT)


async def test_what_one_holds_and_what_is_about_the_service_itself_may_be_given() -> None:
    world = World()
    scopes = ["read:hub", "access:services!service=board"]
    limited = service("script", "admin:services", "read:hub")

    known = await world.change.add("board", {"api_token": TOKEN, "oauth_client_allowed_scopes": scopes}, asker=limited)

    assert known.service.oauth_client_allowed_scopes == tuple(scopes)


async def test_an_administrator_may_spare_people_the_question() -> None:
    world = World()
    admin = Principal(kind=Kind.USER, name="root", scopes=frozenset({"admin:services", "read:hub"}), admin=True)
    declared = {"api_token": TOKEN, "oauth_no_confirm": True, "oauth_client_allowed_scopes": ["read:hub"]}

    assert (await world.change.add("board", declared, asker=admin)).service.oauth_no_confirm


async def test_a_proxy_that_is_away_delays_nothing() -> None:
    world = World()
    world.is_away = True

    await world.change.add("board", {"api_token": TOKEN, "url": "http://x:1"}, asker=ROOT)

    assert await world.names() == ["culler", "board"]


async def test_a_declared_service_takes_the_place_of_an_added_one() -> None:
    world = World()
    await world.change.add("board", {"api_token": TOKEN}, asker=ROOT)
    declared = World(services=[{"name": "board", "api_token": "token-from-the-file"}])

    world.directory.adopt(declared.people.roles)

    assert await world.names() == ["culler", "board"]
    assert [each.api_token_hash for each in world.directory.remembered] == [
        each.api_token_hash for each in declared.people.roles.services
    ]


async def test_services_that_come_and_go_are_in_the_audit_log() -> None:
    world = World()
    await world.change.add("board", {"api_token": TOKEN}, asker=ROOT)
    await world.change.remove("board", asker=ROOT)

    async with world.people.store.reading() as unit:
        entries = await unit.audit.page(limit=2)

    assert [(entry.action, entry.target) for entry in entries] == [
        (Action.SERVICE_REMOVED, "board"),
        (Action.SERVICE_ADDED, "board"),
    ]


@pytest.mark.parametrize("rival", ["service-culler", "service-first", "service-stated"])
async def test_two_services_are_never_one_client(rival: str) -> None:
    """
    Only one of them could ever be answered, and nobody could tell by its id which it is.
    """
    world = World()
    await world.change.add("first", {"api_token": "token-of-first"}, asker=ROOT)
    stated = {"api_token": "token-of-second", "oauth_client_id": "service-stated"}
    await world.change.add("second", stated, asker=ROOT)

    with pytest.raises(InvalidRequest, match=f"oauth_client_id of its own: {rival} is that of"):
        await world.change.add("third", {"api_token": TOKEN, "oauth_client_id": rival}, asker=ROOT)
    assert "third" not in await world.names()
