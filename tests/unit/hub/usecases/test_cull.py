from __future__ import annotations

import asyncio
from collections.abc import MutableSequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from perijove.hub.domain.accounts import AccountState
from perijove.hub.domain.errors import StoreAway
from perijove.hub.domain.idle import read_policies
from perijove.hub.usecases.cull import LONGEST_ROUND, Settling, _ago
from perijove.hub.usecases.testing import START, FakeClock
from tests.unit.hub.usecases.idle_world import HOUR, INTERVAL, POLICY, Watch, scene

#: seconds between two looks at a server in a scene, and a round of the hub
SLACK = 2 * LONGEST_ROUND


async def test_a_server_that_nobody_uses_is_warned_and_stopped_when_it_was_said() -> None:
    async with scene(POLICY) as here:
        await here.start()
        notebook = here.notebook()

        after = await here.stopped_after(3 * HOUR)
        row = await here.row()

    assert after is not None
    assert HOUR <= after <= HOUR + SLACK
    assert notebook.warned_at[0] == pytest.approx(HOUR - 300, abs=SLACK)
    assert row.stop_reason == "It was stopped because nothing had run here for 1 hour."
    assert row.failure == ""


async def test_a_server_in_which_something_runs_is_not_stopped() -> None:
    async with scene(POLICY) as here:
        await here.start()
        notebook = here.notebook()
        notebook.is_busy = True

        during = await here.stopped_after(5 * HOUR)
        notebook.is_busy = False
        after = await here.stopped_after(3 * HOUR)

    assert during is None
    assert after is not None
    assert after >= HOUR - INTERVAL


async def test_what_begins_in_the_last_minute_saves_the_server() -> None:
    async with scene(POLICY) as here:
        await here.start()
        notebook = here.notebook()
        await asyncio.sleep(HOUR - 60)
        warned = len(notebook.warned_at)
        notebook.is_busy = True

        during = await here.stopped_after(2 * HOUR)

    assert warned > 0
    assert during is None
    assert notebook.reporter.warning is None


async def test_a_server_that_is_used_now_and_then_is_kept() -> None:
    async with scene(POLICY) as here:
        await here.start()
        notebook = here.notebook()
        for _ in range(6):
            await asyncio.sleep(HOUR / 2)
            notebook.use()

        assert (await here.row()).is_ready
        assert notebook.warned_at == []


async def test_a_maximum_age_ends_even_a_busy_server_after_a_warning() -> None:
    async with scene({"max_age_seconds": 4 * HOUR, "warn_seconds": 300}) as here:
        await here.start()
        notebook = here.notebook()
        notebook.is_busy = True

        after = await here.stopped_after(5 * HOUR)
        row = await here.row()

    assert after is not None
    assert 4 * HOUR <= after <= 4 * HOUR + SLACK
    assert notebook.warned_at
    assert row.stop_reason == "It was stopped because no server runs longer than 4 hours here."


async def test_an_application_that_says_nothing_is_judged_by_its_traffic() -> None:
    async with scene(POLICY) as here:
        server = await here.start()
        await asyncio.sleep(HOUR)
        here.watch.activity.note_server(server.id, here.world.clock.now())

        after = await here.stopped_after(3 * HOUR)

    assert after is not None
    assert after == pytest.approx(HOUR, abs=SLACK)


async def test_a_hub_that_has_just_come_stops_nothing_until_servers_had_time_to_report() -> None:
    """
    While no hub was there, somebody may have worked.
    """
    async with scene(POLICY, running=False) as here:
        await here.start()
        await asyncio.sleep(10 * HOUR)
        here.tasks.start("watch", here.watch.run())
        at_once = await here.stopped_after(2 * INTERVAL)
        after = await here.stopped_after(3 * HOUR)

    assert at_once is None
    assert after is not None
    # And then its user is warned for the whole time.
    assert after == pytest.approx(300, abs=SLACK)


async def test_a_server_that_worked_while_the_hub_was_away_is_kept() -> None:
    async with scene(POLICY, running=False) as here:
        await here.start()
        await asyncio.sleep(10 * HOUR)
        here.tasks.start("watch", here.watch.run())
        here.notebook().is_busy = True

        assert await here.stopped_after(3 * HOUR) is None


async def test_a_database_that_was_away_makes_old_news_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene(POLICY) as here:
        await here.start()
        await asyncio.sleep(HOUR - 10)

        def away() -> Any:
            raise StoreAway

        with monkeypatch.context() as patched:
            patched.setattr(here.world.store, "reading", away)
            await asyncio.sleep(600)
        after = await here.stopped_after(3 * HOUR)

    assert after is not None
    assert after > 2 * INTERVAL - SLACK


async def test_of_two_hubs_one_stops_the_server(logged: MutableSequence[Any]) -> None:
    async with scene(POLICY) as here:
        await here.start()
        other = Watch(here.world, here.hub, [POLICY])
        here.tasks.start("other", other.run())

        after = await here.stopped_after(3 * HOUR)
        await asyncio.sleep(600)

    assert after is not None
    assert len([entry for entry in logged if entry["event"] == "server.culled"]) == 1
    await here.world.check()


async def test_a_server_heard_by_one_hub_is_not_stopped_by_another_without_a_warning() -> None:
    async with scene(POLICY) as here:
        await here.start()
        other = Watch(here.world, here.hub, [POLICY])
        here.tasks.start("other", other.run())
        notebook = here.notebook(other)

        after = await here.stopped_after(3 * HOUR)

    assert after is not None
    assert after == pytest.approx(HOUR, abs=SLACK)
    assert notebook.warned_at


async def test_a_start_after_a_stop_has_a_life_of_its_own() -> None:
    async with scene(POLICY) as here:
        await here.start()
        await here.stopped_after(3 * HOUR)
        await asyncio.sleep(HOUR)
        started = await here.start()

        assert (started.stop_reason, started.busy_until, started.keep_until) == ("", None, None)
        assert await here.stopped_after(HOUR - 300) is None


async def test_many_servers_are_stopped_a_few_at_a_time() -> None:
    async with scene(POLICY) as here:
        people = [await here.world.add_user(f"user-{number}") for number in range(25)]
        for person in people:
            await here.hub.driver.settled((await here.hub.start(person, "")).id, 10)

        await asyncio.sleep(2 * HOUR)

        assert here.world.spawners.running() == []


async def test_without_a_policy_nothing_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scene() as here:
        await here.start()
        monkeypatch.setattr(here.watch.culler, "look", None)

        assert await here.stopped_after(3 * HOUR) is None
        assert await here.deadline() is None


async def test_policies_that_come_while_the_hub_runs_count_from_then_on() -> None:
    """
    The configuration was read again.
    """
    async with scene() as here:
        await here.start()
        before = await here.stopped_after(2 * HOUR)
        policies = here.watch.deadlines.policies
        policies.adopt(roles=policies._roles, policies=read_policies([POLICY], groups=(), roles=()))
        here.watch.culler.adopt()

        after = await here.stopped_after(3 * HOUR)

    assert before is None
    assert after is not None


# -- users -------------------------------------------------------------------------------------------------------

#: as long as people stay away in these scenes
AWAY = 3 * HOUR


async def test_users_who_never_come_are_removed_if_the_policy_says_so() -> None:
    async with scene({"users_idle_seconds": AWAY}) as here:
        await here.world.add_user("bob")
        async with here.world.store.unit() as unit:
            await unit.users.add(name="root", admin=True, created=START)
        await asyncio.sleep(AWAY - HOUR)
        here.watch.activity.note_user("bob", here.world.clock.now())
        await here.watch.activity.flush()
        await asyncio.sleep(3 * HOUR)

        async with here.world.store.unit() as unit:
            left, _ = await unit.users.page(offset=0, limit=10)
            gone = await unit.accounts.get("ada")

    assert [user.name for user in left] == ["bob", "root"]
    assert gone is not None
    assert gone.state is AccountState.RETIRED


async def test_a_user_whose_server_runs_is_not_removed() -> None:
    async with scene({"users_idle_seconds": AWAY}) as here:
        await here.start()
        await asyncio.sleep(2 * AWAY)

        assert (await here.row()).is_ready


async def test_users_are_found_beyond_the_first_page() -> None:
    async with scene({"group": "guests", "users_idle_seconds": AWAY}, groups=["guests"]) as here:
        async with here.world.store.unit() as unit:
            group = await unit.groups.put("guests", properties={})
            made = [await unit.users.add(name=f"u{n}", admin=False, created=START) for n in range(110)]
            await unit.groups.add_members(group.id, [user.id for user in made[100:]])
        await asyncio.sleep(2 * AWAY)

        async with here.world.store.unit() as unit:
            _, left = await unit.users.page(offset=0, limit=1)

    assert left == 101


# -- settling ----------------------------------------------------------------------------------------------------


def test_a_clock_that_was_set_makes_old_news_of_everything() -> None:
    clock = FakeClock()
    settling = Settling(clock=clock, seconds=600)
    seen = [settling.is_over()]
    clock.advance(600)
    seen.append(settling.is_over())
    clock.set(clock.now() + timedelta(hours=5))
    seen.append(settling.is_over())
    clock.advance(600)
    seen.append(settling.is_over())

    assert seen == [False, True, False, True]


def test_the_beginning_of_time_is_the_longest_ago() -> None:
    assert _ago(START, float("inf")) == START.min.replace(tzinfo=START.tzinfo)
    assert _ago(START, 5) == START - timedelta(seconds=5)


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        ({"idle_seconds": 3600}, 15),
        ({"idle_seconds": 10, "warn_seconds": 4}, 1),
        ({"idle_seconds": 24 * HOUR, "warn_seconds": 0}, 30),
    ],
)
async def test_rounds_are_as_frequent_as_the_shortest_time_needs(policy: dict[str, Any], seconds: float) -> None:
    async with scene(policy, running=False) as here:
        assert here.watch.culler.round_seconds == seconds


async def test_a_row_that_was_used_since_it_was_found_is_left_alone() -> None:
    async with scene(POLICY, running=False) as here:
        server = await here.start()

        answers = [
            await here.hub.stop.if_due(server, lambda _: ""),
            await here.hub.stop.if_due(replace(server, generation=server.generation - 1), lambda _: "because"),
            await here.hub.stop.if_due(replace(server, id=-1), lambda _: "because"),
        ]

        assert answers == [None, None, None]
        assert (await here.row()).is_ready
