from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from perijove.hub.domain.errors import InvalidRequest, NoSuchServer
from perijove.hub.usecases import deadlines
from perijove.hub.usecases.deadlines import REMEMBERED
from tests.unit.hub.usecases.idle_world import HOUR, POLICY, scene


async def test_a_server_is_told_when_it_will_be_stopped_and_why() -> None:
    async with scene(POLICY) as here:
        await here.start()
        deadline = await here.deadline()

        assert deadline is not None
        assert deadline.at == here.later(HOUR)
        assert deadline.because == "nothing has run here for 1 hour"
        assert deadline.warn_seconds == 300


async def test_whoever_hears_of_it_late_gets_the_whole_warning() -> None:
    async with scene(POLICY, running=False) as here:
        await here.start()
        await asyncio.sleep(10 * HOUR)

        first = await here.deadline()
        await asyncio.sleep(100)
        second = await here.deadline()

        assert first is not None
        assert first.at == here.later(200)
        assert second is not None
        assert second.at == first.at


async def test_keeping_a_server_gives_it_the_policys_time_from_now() -> None:
    async with scene(POLICY) as here:
        await here.start()
        notebook = here.notebook()
        await asyncio.sleep(HOUR - 60)
        warned = notebook.warned_at.copy()

        kept = await here.watch.keep(here.user, "")
        after = await here.stopped_after(3 * HOUR)

    assert warned
    assert kept is not None
    assert kept.at == here.later(HOUR) or kept.may_be_put_off is False
    assert after == pytest.approx(HOUR, abs=60)


async def test_asking_twice_gives_no_less() -> None:
    async with scene(POLICY) as here:
        await here.start()
        await asyncio.sleep(HOUR - 60)
        first = await here.watch.keep(here.user, "")
        second = await here.watch.keep(here.user, "")

    assert first is not None
    assert first == second


async def test_a_server_that_no_policy_stops_needs_not_be_kept() -> None:
    async with scene() as here:
        await here.start()

        assert await here.watch.keep(here.user, "") is None
        assert (await here.row()).keep_until is None


async def test_only_what_runs_can_be_kept() -> None:
    async with scene(POLICY) as here:
        with pytest.raises(NoSuchServer):
            await here.watch.keep(here.user, "")
        server = await here.start()
        await here.hub.stop(here.user, "")
        await here.hub.driver.settled(server.id, 10)
        with pytest.raises(InvalidRequest):
            await here.watch.keep(here.user, "")


async def test_the_policy_of_a_group_counts_once_somebody_is_in_it() -> None:
    """
    At the latest when what was remembered is asked for anew.
    """
    long = {"group": "staff", "idle_seconds": 10 * HOUR}
    async with scene(POLICY, long, groups=["staff"], running=False) as here:
        await here.start()
        before = await here.deadline()
        async with here.world.store.unit() as unit:
            group = await unit.groups.put("staff", properties={})
            await unit.groups.add_members(group.id, [here.user.id])
        await asyncio.sleep(REMEMBERED)
        after = await here.deadline()

        assert before is not None
        assert after is not None
        assert (after.at - before.at).total_seconds() == 9 * HOUR


async def test_the_policy_of_a_role_counts_for_those_who_have_it() -> None:
    role = {"name": "students", "users": ["ada"], "scopes": []}
    short = {"role": "students", "idle_seconds": 600}
    async with scene(POLICY, short, roles=[role], running=False) as here:
        await here.start()
        deadline = await here.deadline()

        assert deadline is not None
        assert deadline.at == here.later(600)


async def test_what_is_remembered_of_people_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "MAX_REMEMBERED", 1)
    async with scene(POLICY, running=False) as here:
        await here.start()
        row = await here.row()
        for number in range(5):
            assert await here.watch.deadlines.of([replace(row, user_id=number), row])


async def test_what_was_told_of_a_former_start_is_nothing_for_the_next() -> None:
    async with scene(POLICY, running=False) as here:
        await here.start()
        await asyncio.sleep(2 * HOUR)
        row = await here.row()
        await here.watch.deadlines.of([row])
        await asyncio.sleep(HOUR)

        deadline = await here.watch.deadlines.of_one(replace(row, generation=row.generation + 1))

        assert deadline is not None
        assert deadline.at == here.later(300)
