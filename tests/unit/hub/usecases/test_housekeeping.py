from __future__ import annotations

import asyncio
from datetime import timedelta

from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.usecases.audit_chain import AuditChain
from perijove.hub.usecases.housekeeping import FLUSH_SECONDS, HOUR, Housekeeping
from perijove.hub.usecases.testing import START
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.usecases.people import People


def housekeeping(people: People, *, activity_resolution: float = FLUSH_SECONDS) -> Housekeeping:
    return Housekeeping(
        store=people.store,
        activity=people.activity,
        clock=people.clock,
        limiter=people.limiter,
        audit=AuditChain(store=people.store, clock=people.clock, retention_days=10),
        failures=people.failures,
        auth_states=people.auth_states,
        activity_resolution=activity_resolution,
    )


async def test_what_has_ended_is_thrown_away() -> None:
    people = People()
    signed_in = await people.enter()
    await people.tokens.create(user=signed_in.user, maker=await people.principal(), expires_in=5)
    await people.invitations.invite(await people.principal("root"), days=1)
    kept, _ = await people.tokens.create(user=signed_in.user, maker=await people.principal())
    people.clock.advance(20 * 86400)

    await housekeeping(people).sweep()

    async with people.store.unit() as unit:
        assert await unit.sessions.of_user(signed_in.user.id) == []
        assert await unit.tokens.of_user(signed_in.user.id) == [kept]
        assert await unit.accounts.invitations() == []


async def test_activity_is_written_regularly_and_at_the_end() -> None:
    people = People()
    signed_in = await people.enter()
    async with TaskGroup("test") as tasks:
        tasks.start("housekeeping", housekeeping(people).run())
        await asyncio.sleep(FLUSH_SECONDS / 2)
        people.clock.advance(1)
        people.activity.note_user("ada", people.clock.now())
        await asyncio.sleep(FLUSH_SECONDS)
        written = (await people.user("ada")).last_activity
        people.clock.advance(1)
        people.activity.note_user("ada", people.clock.now())

    assert signed_in.user.last_activity == START
    assert written is not None
    assert (await people.user("ada")).last_activity == people.clock.now() > written


async def test_activity_is_not_written_more_often_than_its_resolution() -> None:
    """
    Only that a server is busy is written soon all the same: another hub would stop it.
    """
    people = People()
    user = (await people.enter()).user
    async with people.store.unit() as unit:
        server = await unit.servers.add(user_id=user.id, name="", created=START)
    async with TaskGroup("test") as tasks:
        tasks.start("housekeeping", housekeeping(people, activity_resolution=300).run())
        await asyncio.sleep(1)
        people.clock.advance(1)
        people.activity.note_user("ada", people.clock.now())
        people.activity.note_word(server.id, is_busy=True)
        await asyncio.sleep(290)
        early = (await people.user("ada")).last_activity
        async with people.store.unit() as unit:
            stored = await unit.servers.by_id(server.id)
        await asyncio.sleep(15)
        late = (await people.user("ada")).last_activity

    assert early == START
    assert late == START + timedelta(seconds=1)
    assert stored is not None
    assert stored.busy_until is not None


async def test_sweeping_comes_back_every_hour() -> None:
    people = People()
    signed_in = await people.enter()
    async with TaskGroup("test") as tasks:
        tasks.start("housekeeping", housekeeping(people).run())
        await asyncio.sleep(1)
        people.clock.advance(20 * 86400)
        await asyncio.sleep(HOUR)

    async with people.store.unit() as unit:
        assert await unit.sessions.of_user(signed_in.user.id) == []


async def test_a_clock_that_was_set_throws_nothing_away() -> None:
    """
    Somebody corrects it again a minute later; until then nobody may have lost a session.
    """
    people = People()
    signed_in = await people.enter()
    chores = housekeeping(people)
    await chores.sweep_if_steady()
    people.clock.advance(HOUR)
    people.clock.set(people.clock.now() + timedelta(days=4000))

    await chores.sweep_if_steady()

    async with people.store.unit() as unit:
        assert len(await unit.sessions.of_user(signed_in.user.id)) == 1


async def test_the_first_round_after_a_start_throws_nothing_away() -> None:
    """
    A machine that has just started may not have asked the time yet.
    """
    people = People()
    signed_in = await people.enter()
    people.clock.advance(4000 * 86400)

    await housekeeping(people).sweep_if_steady()

    async with people.store.unit() as unit:
        assert len(await unit.sessions.of_user(signed_in.user.id)) == 1


async def test_a_clock_behind_the_database_is_told_with_both_times() -> None:
    people = People()
    await people.enter()
    chores = housekeeping(people)
    assert await chores.clock_warning() == ""
    people.clock.set(START - timedelta(days=365))

    warning = await chores.clock_warning()

    assert "says 2025-01-02 03:04 UTC" in warning
    assert "2026-01-02 03:04 UTC" in warning


async def test_a_clock_a_little_behind_is_not_worth_a_word() -> None:
    """
    Other machines report when their servers were active, by clocks of their own.
    """
    people = People()
    await people.enter()
    people.clock.set(START - timedelta(minutes=50))

    assert await housekeeping(people).clock_warning() == ""


async def test_codes_that_nobody_came_with_are_thrown_away() -> None:
    people = People()
    user = (await people.enter()).user
    code = OAuthCode(
        code_hash="hash",
        client_id="service-grades",
        user_id=user.id,
        session_id="session",
        redirect_uri="/cb",
        scopes=(),
        expires_at=people.clock.now() + timedelta(seconds=300),
    )
    async with people.store.unit() as unit:
        await unit.oauth_codes.add(code)
    people.clock.advance(300)

    await housekeeping(people).sweep()

    async with people.store.unit() as unit:
        assert await unit.oauth_codes.take("hash") is None
