from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.roles import Service
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.users import User
from perijove.hub.usecases.reconcile import FULL_SECONDS, Reconciler
from perijove.hub.usecases.route_table import RouteTable
from perijove.hub.usecases.sign_out import Outbox
from perijove.hub.usecases.testing import START
from perijove.wire.routes import MINE, Route
from tests.unit.hub.usecases.world import Hub, World

HUB = {"target": "http+unix://hub", "access": "open", "audience": "", "hub": True, MINE: True}


async def start(hub: Hub, user: User) -> None:
    server = await hub.start(user, "")
    await hub.driver.settled(server.id, 10)


async def test_a_new_proxy_gets_keys_and_the_hubs_route() -> None:
    world = World()

    async with world.hub() as hub:
        await hub.reconciler.once()

    assert world.proxy.known_keys == ["key-1"]
    assert world.proxy.table == {"/": HUB}


async def test_keys_that_change_while_the_proxy_runs_are_told_at_the_next_look(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async with world.hub() as hub:
        await hub.reconciler.look()
        await hub.reconciler.look()
        keys = [{"kid": "key-1"}, {"kid": "key-2"}]
        monkeypatch.setattr(type(world.signer), "public_jwks", keys)
        await hub.reconciler.look()
        before = list(world.proxy.known_keys)
        hub.reconciler.doubt()
        await hub.reconciler.look()

    assert (before, world.proxy.known_keys) == (["key-1"], ["key-1", "key-2"])


async def test_a_table_that_is_right_is_left_alone() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub() as hub:
        await start(hub, ada)
        for _ in range(3):
            await hub.reconciler.once()

    assert world.proxy.replacements == 1


async def test_a_proxy_that_forgot_everything_gets_it_back() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        await start(hub, ada)
        await asyncio.sleep(3)
        before = dict(world.proxy.table)
        world.proxy.restart()
        await asyncio.sleep(3)

    assert world.proxy.table == before
    assert sorted(before) == ["/", "/user/ada"]
    assert world.proxy.known_keys == ["key-1"]


async def test_a_proxy_that_came_back_from_an_old_snapshot_is_looked_at() -> None:
    """
    It has its keys and most routes, but not what it was told last before it died.
    """
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        await start(hub, ada)
        await asyncio.sleep(3)
        world.proxy.instance = "start-2"
        del world.proxy.table["/user/ada"]
        await asyncio.sleep(3)

    assert sorted(world.proxy.table) == ["/", "/user/ada"]


async def test_a_stale_route_of_ours_goes_and_a_foreign_one_stays() -> None:
    world = World()
    foreign: dict[str, Any] = {"target": "http://10.0.0.7:80", "access": "open", "audience": "", "extra": [1]}
    world.proxy.table = {
        "/user/gone": {"target": "http://10.0.0.8:80", "access": "gated", "audience": "gone/", MINE: True},
        "/elsewhere": foreign,
    }

    async with world.hub() as hub:
        await hub.reconciler.once()

    assert world.proxy.table == {"/": HUB, "/elsewhere": foreign}


async def test_a_service_that_was_added_has_its_route_until_it_is_removed() -> None:
    world = World()
    row = RuntimeService(name="board", declaration={"url": "http://board:1/"}, created=START)
    async with world.store.unit() as unit:
        await unit.services.add(row)
        await unit.services.add(RuntimeService(name="script", created=START))

    async with world.hub() as hub:
        await hub.reconciler.once()
        during = dict(world.proxy.table)
        async with world.store.unit() as unit:
            await unit.services.delete("board")
        await hub.reconciler.once()

    assert during.keys() == {"/", "/services/board"}
    assert (during["/services/board"]["target"], during["/services/board"]["access"]) == ("http://board:1", "open")
    assert world.proxy.table == {"/": HUB}


async def test_a_foreign_route_cannot_take_the_hubs_place() -> None:
    world = World()
    world.proxy.table = {"/": {"target": "http://10.0.0.7:80", "access": "open", "audience": ""}}

    async with world.hub() as hub:
        await hub.reconciler.once()

    assert world.proxy.table == {"/": HUB}


async def test_services_with_an_address_have_a_route() -> None:
    world = World()
    async with world.hub() as hub:
        reconciler = Reconciler(
            store=world.store,
            proxy=world.proxy,
            routes=RouteTable(proxy=world.proxy, tasks=hub.tasks, base_url="/"),
            outbox=Outbox(world.proxy),
            signer=world.signer,
            activity=hub.activity,
            clock=world.clock,
            hub_targets=["http+unix://hub"],
            base_url="/",
            services=[
                Service(name="dash", api_token_hash="x", url="http://10.0.0.9:80"),
                Service(name="board", api_token_hash="z", url="http://10.0.0.9:81", is_gated=True),
                Service(name="culler", api_token_hash="y"),
            ],
        )
        await reconciler.once()

    assert sorted(world.proxy.table) == ["/", "/services/board", "/services/dash"]
    board, dash = (world.proxy.table[f"/services/{name}"] for name in ("board", "dash"))
    assert (board["access"], board["audience"]) == ("gated", "/services/board")
    assert (dash["access"], dash["audience"]) == ("open", "")
    assert world.proxy.table["/services/dash"]["access"] == "open"


async def test_with_subdomains_a_service_has_its_route_at_its_own_host_and_old_ones_go() -> None:
    world = World()
    world.proxy.table = {"/services/dash": {"target": "http://10.0.0.9:80", "access": "open", MINE: True}}
    origins = Origins(hub="https://hub.example", domain="hub.example")
    async with world.hub() as hub:
        reconciler = Reconciler(
            store=world.store,
            proxy=world.proxy,
            routes=RouteTable(proxy=world.proxy, tasks=hub.tasks, base_url="/", origins=origins),
            outbox=Outbox(world.proxy),
            signer=world.signer,
            activity=hub.activity,
            clock=world.clock,
            hub_targets=["http+unix://hub"],
            base_url="/",
            services=[Service(name="dash", api_token_hash="x", url="http://10.0.0.9:80")],
            origins=origins,
        )
        await reconciler.once()

    assert sorted(world.proxy.table) == ["/", "/dash--service.hub.example/services/dash"]


async def test_a_proxy_that_is_away_is_no_error_and_heals_when_it_is_back() -> None:
    world = World()
    ada = await world.add_user()

    async with world.hub(watching=True) as hub:
        await start(hub, ada)
        await asyncio.sleep(3)
        world.proxy.is_away = True
        await hub.stop.and_wait(ada, "", timeout=10)
        await asyncio.sleep(10)
        stale = sorted(world.proxy.table)
        world.proxy.is_away = False
        await asyncio.sleep(3)

    assert stale == ["/", "/user/ada"]
    assert sorted(world.proxy.table) == ["/"]


async def test_once_says_when_the_proxy_is_away() -> None:
    world = World()
    world.proxy.is_away = True

    async with world.hub() as hub:
        with pytest.raises(ProxyAway):
            await hub.reconciler.once()


async def test_revocations_that_were_delayed_are_sent() -> None:
    world = World()

    async with world.hub(watching=True) as hub:
        await asyncio.sleep(1)
        world.proxy.is_away = True
        await hub.revocations.revoke(sid="s1")
        world.proxy.is_away = False
        await asyncio.sleep(3)

    assert [item.sid for item in world.proxy.revocations] == ["s1"]


async def test_a_cheap_look_is_one_call_and_a_full_one_comes_in_time() -> None:
    world = World()
    async with world.hub() as hub:
        await hub.reconciler.look()
        await hub.reconciler.look()
        before = world.proxy.calls
        await hub.reconciler.look()
        cheap = world.proxy.calls - before
        world.proxy.table["/user/gone"] = {"target": "x", MINE: True}
        await asyncio.sleep(FULL_SECONDS)
        await hub.reconciler.look()

    assert cheap == 1
    assert sorted(world.proxy.table) == ["/"]


async def test_what_the_proxy_saw_counts_as_activity() -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await start(hub, ada)
        server = await world.server(ada)
        await hub.reconciler.once()

        assert hub.activity.fresh_user(ada).last_activity == START
        assert hub.activity.fresh_server(replace(server, last_activity=None)).last_activity == START


async def test_a_proxy_without_times_is_no_reason_for_wrong_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await start(hub, ada)
        bodies = {"/user/ada": {**world.proxy.table["/user/ada"], "last_activity": "yesterday"}}

        async def routes() -> dict[str, Any]:
            return bodies

        monkeypatch.setattr(world.proxy, "routes", routes)
        await hub.reconciler.once()

    assert sorted(world.proxy.table) == ["/", "/user/ada"]


async def test_replacing_the_table_never_loses_a_server_that_becomes_ready_meanwhile() -> None:
    """
    The look at the database and the replacement are one step for everyone who adds or removes.
    """
    world = World()
    users = [await world.add_user(f"user{n}") for n in range(5)]
    async with world.hub() as hub:

        async def reconcile() -> None:
            for _ in range(50):
                world.proxy.table["/user/stray"] = Route(path="/user/stray", target="x", data={MINE: True}).to_body()
                await hub.reconciler.once()
                await asyncio.sleep(0)

        await asyncio.gather(reconcile(), *(start(hub, user) for user in users))
        await hub.reconciler.once()

    assert sorted(world.proxy.table) == ["/", *(f"/user/user{n}" for n in range(5))]


async def test_what_the_proxy_saw_of_a_server_that_tells_itself_does_not_count() -> None:
    """
    To the proxy a forgotten tab that polls looks like somebody at work.
    """
    world = World()
    ada = await world.add_user()
    async with world.hub() as hub:
        await start(hub, ada)
        told = (START - timedelta(hours=1)).isoformat()
        await hub.activity.report("ada", {"servers": {"": {"last_activity": told, "busy": False}}})
        await hub.activity.flush()
        before = await world.server(ada)
        await hub.reconciler.once()

        assert hub.activity.fresh_server(replace(before, last_activity=None)).last_activity is None
