"""
Several hubs over one store, one launcher and one or several proxies.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.ports import Exit
from perijove.hub.usecases.testing import FakeProxy
from perijove.hub.usecases.testing_time import LoopClock
from perijove.wire.routes import Route
from tests.unit.hub.usecases.world import Hub, World

LEASE = 10.0
POLICY = ServerPolicy(lease_seconds=LEASE)


class SkewedClock(LoopClock):
    """A machine's clock that is wrong."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew

    def now(self) -> datetime:
        """Another time than elsewhere."""
        return super().now() + self._skew


async def told(hub: Hub, server_id: int) -> list[ProgressEvent]:
    return [event async for event in hub.driver.progress(server_id)]


@pytest.mark.parametrize("seconds", [-60, 0, 60])
async def test_a_start_whose_hub_was_killed_is_finished_by_another_within_a_lease(seconds: int) -> None:
    """
    Whatever the two machines' clocks say.
    """
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()
    skewed = SkewedClock(timedelta(seconds=seconds))
    async with world.hub(policy=POLICY, name="two", watching=True):
        async with world.hub(policy=POLICY, name="one", watching=True, clock=skewed) as one:
            await one.start(ada, "")
            await asyncio.sleep(30)
            before = await world.server(ada)
        world.prober.gate.set()
        await asyncio.sleep(LEASE)
        after = await world.server(ada)

    assert before.lease_holder == "one#1"
    assert after.state is State.READY
    await world.check()


@pytest.mark.parametrize("seconds", [-60, 60])
async def test_a_hub_that_lives_keeps_what_it_drives_whatever_its_clock_says(seconds: int) -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()
    policy = ServerPolicy(lease_seconds=LEASE, http_timeout=1000)
    skewed = SkewedClock(timedelta(seconds=seconds))

    async with (
        world.hub(policy=policy, name="two", watching=True),
        world.hub(policy=policy, name="one", watching=True, clock=skewed) as one,
    ):
        asked = await one.start(ada, "")
        holders = set()
        for _ in range(200):
            await asyncio.sleep(1)
            holders.add((await world.server(ada)).lease_holder)
        world.prober.gate.set()
        server = await one.driver.settled(asked.id, 10)

    assert holders == {"one#1"}
    assert server.state is State.READY
    assert len(world.prober.probed) == 1


async def test_the_next_incarnation_takes_up_the_work_of_the_last_at_once() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()
    async with world.hub(policy=POLICY, watching=True) as first:
        await first.start(ada, "")
        await asyncio.sleep(1)
    world.prober.gate.set()

    async with world.hub(policy=POLICY, watching=True):
        await asyncio.sleep(0.1)

        assert (await world.server(ada)).state is State.READY
    await world.check()


async def test_a_hub_that_ends_in_order_leaves_its_work_to_others_at_once() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()
    async with world.hub(policy=POLICY, name="two", watching=True):
        async with world.hub(policy=POLICY, name="one", watching=True) as one:
            await one.start(ada, "")
            await asyncio.sleep(1)
        await one.membership.leave()
        world.prober.gate.set()
        await asyncio.sleep(LEASE / 5)

        assert (await world.server(ada)).state is State.READY
    await world.check()


async def test_a_hub_that_hung_lets_go_of_what_others_have_taken() -> None:
    """
    It could not renew, another hub has taken over; what it still wanted to do is not done.
    """
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with (
        world.hub(policy=POLICY, name="two", watching=True),
        world.hub(policy=POLICY, name="hung", watching=True, renewing=False) as hung,
    ):
        asked = await hung.start(ada, "")
        await asyncio.sleep(LEASE)
        left = len(hung.driver._desks)
        taken = await world.server(ada)
        world.prober.gate.set()
        server = await hung.driver.settled(asked.id, 10)

    assert (left, taken.lease_holder, server.state) == (0, "two#1", State.READY)
    await world.check()


async def test_a_hub_without_a_lease_records_what_it_is_asked_and_others_do_it() -> None:
    world = World()
    ada = await world.add_user()

    async with (
        world.hub(policy=POLICY, name="two", watching=True),
        world.hub(policy=POLICY, name="hung", watching=True, renewing=False) as hung,
    ):
        await asyncio.sleep(LEASE)
        asked = await hung.start(ada, "")
        server = await hung.driver.settled(asked.id, 10)

    assert asked.lease_holder == ""
    assert server.state is State.READY
    await world.check()


async def test_who_waits_at_another_hub_hears_at_once_what_becomes_of_a_start() -> None:
    world = World()
    ada = await world.add_user()
    world.spawners.told = [(60, "Pulling the image")]
    world.spawners.gate.clear()

    async with (
        world.hub(policy=POLICY, name="one", watching=True) as one,
        world.hub(policy=POLICY, name="two", watching=True) as two,
    ):
        await asyncio.sleep(2)
        asked = await one.start(ada, "")
        story = two.tasks.start("story", told(two, asked.id))
        end = two.tasks.start("end", two.driver.settled(asked.id, 60))
        await asyncio.sleep(10)
        world.spawners.gate.set()
        began = world.clock.monotonic()
        server = await end
        took = world.clock.monotonic() - began
        events = await story

    assert server.state is State.READY
    assert took < 0.1
    messages = [event.message for event in events]
    assert messages[0] == "Server requested"
    assert "Pulling the image" in messages
    assert messages[-1] == "Server ready at /user/ada/"
    assert sum(event.ready for event in events) == 1
    assert two.driver._progress.followed() == frozenset()


async def test_a_stop_at_another_hub_interrupts_a_start_that_hangs() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with (
        world.hub(policy=POLICY, name="one", watching=True) as one,
        world.hub(policy=POLICY, name="two", watching=True) as two,
    ):
        await one.start(ada, "")
        await asyncio.sleep(1)
        stopped = await two.stop.and_wait(ada, "", timeout=10)
        await asyncio.sleep(0.1)
        left = len(one.driver._desks)

    assert (stopped.state, left) == (State.STOPPED, 0)
    await world.check()


async def test_what_a_hub_launched_after_another_had_stopped_it_is_ended() -> None:
    """
    The stop found nothing to end: the launch was still on its way to the launcher.
    """
    world = World()
    ada = await world.add_user()
    world.spawners.gate.clear()

    async with (
        world.hub(policy=POLICY, name="one", watching=True) as one,
        world.hub(policy=POLICY, name="two", watching=True) as two,
    ):
        await one.start(ada, "")
        await asyncio.sleep(1)
        stopped = await two.stop.and_wait(ada, "", timeout=10)
        # Not every spawner remembers what was ended before it came up.
        world.spawners._abandoned.clear()
        world.spawners.gate.set()
        await asyncio.sleep(1)

    assert stopped.state is State.STOPPED
    assert len(world.spawners.launches) == 1
    await world.check()


async def test_an_exit_that_one_hub_hears_ends_the_start_that_another_drives() -> None:
    world = World()
    ada = await world.add_user()
    world.prober.gate.clear()

    async with world.hub(policy=POLICY, name="one") as one:
        asked = await one.start(ada, "")
        await asyncio.sleep(1)
        async with world.hub(policy=POLICY, name="two", watching=True) as two:
            world.spawners.die("ada/", Exit(message="killed for memory: 512 of 512 MB"))
            server = await two.driver.settled(asked.id, 10)
            world.prober.gate.set()
            await asyncio.sleep(1)

    assert server.state is State.STOPPED
    assert server.failure == "It ended while it started. killed for memory: 512 of 512 MB"
    await world.check()


async def test_a_route_that_arrives_after_the_server_was_stopped_elsewhere_does_not_stay() -> None:
    world = World()
    ada = await world.add_user()
    add = world.proxy.add
    late = asyncio.Event()

    async def slow(route: Route) -> None:
        if not late.is_set():
            await late.wait()
        await add(route)

    world.proxy.add = slow  # type: ignore[method-assign]
    async with (
        world.hub(policy=POLICY, name="one", watching=True) as one,
        world.hub(policy=POLICY, name="two", watching=True) as two,
    ):
        await one.start(ada, "")
        await asyncio.sleep(1)
        await two.stop.and_wait(ada, "", timeout=10)
        late.set()
        await asyncio.sleep(0.1)
        stale = sorted(world.proxy.table)
        await asyncio.sleep(5)

    assert stale == ["/", "/user/ada"]
    assert sorted(world.proxy.table) == ["/"]


async def test_a_removal_that_arrives_late_does_not_take_a_newer_route_for_long() -> None:
    world = World()
    ada = await world.add_user()
    remove = world.proxy.remove
    late = asyncio.Event()

    async def slow(path: str) -> None:
        await late.wait()
        await remove(path)

    async with (
        world.hub(policy=POLICY, name="one", watching=True) as one,
        world.hub(policy=POLICY, name="two", watching=True) as two,
    ):
        asked = await one.start(ada, "")
        await one.driver.settled(asked.id, 10)
        await asyncio.sleep(5)
        # Both hear of the exit; whoever is first records it and removes the route, too late.
        world.proxy.remove = slow  # type: ignore[method-assign]
        world.spawners.die("ada/")
        await asyncio.sleep(0.5)
        by = [hub for hub in (one, two) if hub.driver._desks]
        other = two if by == [one] else one
        again = await other.start(ada, "")
        await other.driver.settled(again.id, 10)
        late.set()
        await asyncio.sleep(0.1)
        gone = sorted(world.proxy.table)
        await asyncio.sleep(5)

    assert len(by) == 1
    assert gone == ["/"]
    await world.check()


async def test_a_route_that_a_lost_hub_left_behind_is_removed() -> None:
    """
    It died after it had recorded the end of a server and before it removed its route; no lease tells of that.
    """
    world = World()
    ada = await world.add_user()

    async with world.hub(policy=POLICY, name="two", watching=True):
        async with world.hub(policy=POLICY, name="one") as one:
            asked = await one.start(ada, "")
            await one.driver.settled(asked.id, 10)
            await asyncio.sleep(10)
            server = await world.server(ada)
            async with world.store.unit() as unit:
                stopped = replace(server, state=State.STOPPED, handle={}, target="", started_at=None)
                await unit.servers.swap(server, stopped)
                await unit.tokens.delete_of_server(server.key)
            world.spawners.die("ada/", silently=True)
        stale = sorted(world.proxy.table)
        await asyncio.sleep(LEASE + 5)

    assert stale == ["/", "/user/ada"]
    assert sorted(world.proxy.table) == ["/"]


async def test_two_hubs_that_look_at_the_whole_table_undo_nothing_of_each_other() -> None:
    """
    Between one's reading and its writing the other adds a route.
    """
    world = World()
    ada = await world.add_user()
    async with (
        world.hub(policy=POLICY, name="one") as one,
        world.hub(policy=POLICY, name="two") as two,
    ):
        await one.proxies.once()
        read = world.proxy.read_table
        reads = 0

        async def read_and_be_overtaken() -> object:
            nonlocal reads
            table = await read()
            reads += 1
            if reads == 1:
                asked = await two.start(ada, "")
                await two.driver.settled(asked.id, 10)
            return table

        world.proxy.table["/user/gone"] = {"target": "x", "jupyterhub": True}
        world.proxy.read_table = read_and_be_overtaken  # type: ignore[assignment,method-assign]
        await one.proxies.once()

    assert reads == 2
    assert sorted(world.proxy.table) == ["/", "/user/ada"]


async def test_every_proxy_gets_every_route_key_and_revocation() -> None:
    world = World()
    world.all_proxies.append(FakeProxy())
    ada = await world.add_user()

    async with world.hub(policy=POLICY, watching=True) as hub:
        asked = await hub.start(ada, "")
        await hub.driver.settled(asked.id, 10)
        await hub.revocations.revoke(sid="s1")
        await asyncio.sleep(5)
        one, other = world.all_proxies

        assert sorted(one.table) == sorted(other.table) == ["/", "/user/ada"]
        assert one.known_keys == other.known_keys == ["key-1"]
        assert [r.sid for r in one.revocations] == [r.sid for r in other.revocations] == ["s1"]
        await hub.stop.and_wait(ada, "", timeout=10)

    assert sorted(one.table) == sorted(other.table) == ["/"]


async def test_a_proxy_that_is_away_delays_nobody_and_gets_everything_when_it_is_back() -> None:
    world = World()
    away = FakeProxy()
    world.all_proxies.append(away)
    away.is_away = True
    ada, bob = await world.add_user(), await world.add_user("bob")

    async with world.hub(policy=POLICY, watching=True) as hub:
        await asyncio.sleep(5)
        began = world.clock.monotonic()
        for user in (ada, bob):
            asked = await hub.start(user, "")
            await hub.driver.settled(asked.id, 10)
        await hub.stop.and_wait(bob, "", timeout=10)
        await hub.revocations.revoke(user="bob")
        took = world.clock.monotonic() - began
        await hub.proxies.once()
        seen = await hub.proxies.routes()
        away.is_away = False
        await asyncio.sleep(5)

    assert took < 0.1
    assert "/user/ada" in seen
    assert sorted(away.table) == ["/", "/user/ada"]
    assert away.known_keys == ["key-1"]
    assert [r.user for r in away.revocations] == ["bob"]


async def test_a_proxy_that_hangs_delays_a_start_by_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    hanging = FakeProxy()
    world.all_proxies.append(hanging)
    ada = await world.add_user()

    async def hang(_route: object) -> None:
        await asyncio.sleep(100)

    monkeypatch.setattr(hanging, "add", hang)
    async with world.hub(policy=POLICY) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 10)

    assert server.state is State.READY
    assert world.clock.monotonic() < 2


async def test_of_several_proxies_one_that_has_a_route_is_enough() -> None:
    world = World()
    world.all_proxies.append(FakeProxy())
    world.proxy.is_away = True
    ada = await world.add_user()

    async with world.hub(policy=POLICY) as hub:
        asked = await hub.start(ada, "")
        server = await hub.driver.settled(asked.id, 10)

    assert server.state is State.READY
    assert sorted(world.all_proxies[1].table) == ["/user/ada"]
