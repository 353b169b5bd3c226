from __future__ import annotations

from perijove.hub.usecases.shut_out import shut_out, visitors_of
from perijove.hub.usecases.sign_out import Outbox, Revocations
from tests.unit.hub.usecases.world import World


async def test_a_server_that_is_not_shared_has_no_visitors() -> None:
    world = World()
    ada = await world.add_user()
    async with world.store.unit() as unit:
        server = await unit.servers.add(user_id=ada.id, name="", created=world.clock.now())

        assert await visitors_of(unit, server) == frozenset()


async def test_each_visitor_is_refused_at_that_server_and_no_other() -> None:
    world = World()
    ada = await world.add_user()
    async with world.store.unit() as unit:
        server = await unit.servers.add(user_id=ada.id, name="", created=world.clock.now())

    await shut_out(Revocations(outboxes=[Outbox(world.proxy)], clock=world.clock), server, {"eve", "bob"})

    assert [(each.user, each.audience, each.sid) for each in world.proxy.revocations] == [
        ("bob", "ada/", ""),
        ("eve", "ada/", ""),
    ]
