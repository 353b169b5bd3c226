from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perijove.hub.domain.errors import InvalidRequest, NoSuchUser, StoreAway
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.activity import Activity, parse_time
from perijove.hub.usecases.testing import START
from tests.unit.hub.usecases.people import People

LATER = START + timedelta(minutes=5)


async def with_server(people: People) -> Server:
    user = (await people.enter()).user
    async with people.store.unit() as unit:
        return await unit.servers.add(user_id=user.id, name="work", created=START)


async def test_a_report_is_noted_and_written_with_the_next_flush() -> None:
    people = People()
    server = await with_server(people)
    at = LATER.isoformat()

    await people.activity.report("ada", {"last_activity": at, "servers": {"work": {"last_activity": at}}})
    fresh = people.activity.fresh_server(server)
    before = (await people.user("ada")).last_activity
    await people.activity.flush()

    async with people.store.unit() as unit:
        stored = await unit.servers.by_id(server.id)
    assert fresh.last_activity == LATER
    assert before == START
    assert (await people.user("ada")).last_activity == LATER
    assert stored == fresh


async def test_an_older_time_changes_nothing() -> None:
    people = People()
    await people.enter()
    people.activity.note_user("ada", LATER)
    people.activity.note_user("ada", START)

    assert people.activity.fresh_user(await people.user("ada")).last_activity == LATER
    newer = replace(await people.user("ada"), last_activity=LATER + timedelta(days=1))
    assert people.activity.fresh_user(newer) == newer


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"servers": {}},
        {"servers": []},
        {"servers": {"work": {}}},
        {"servers": {"work": "now"}},
        {"servers": {"work": {"last_activity": "2026-01-02T03:04:05Z", "busy": "yes"}}},
        {"servers": {"unknown": {"last_activity": "2026-01-02T03:04:05Z"}}},
        {"last_activity": "yesterday"},
        {"last_activity": 7},
        {"last_activity": (START + timedelta(hours=1)).isoformat()},
    ],
)
async def test_a_report_that_says_nothing_sensible_is_refused(body: dict[str, Any]) -> None:
    people = People()
    await with_server(people)

    with pytest.raises(InvalidRequest):
        await people.activity.report("ada", body)


async def test_a_report_about_nobody_is_refused() -> None:
    with pytest.raises(NoSuchUser):
        await People().activity.report("nobody", {"last_activity": "2026-01-02T03:04:05Z"})


async def test_nothing_noted_is_nothing_written() -> None:
    class Untouchable:
        """A store that must be left alone."""

        def unit(self) -> Any:
            """Fails."""
            raise AssertionError

        reading = notices = unit

        async def ping(self) -> None:
            """Unused."""

    await Activity(store=Untouchable(), clock=People().clock).flush()


async def test_what_could_not_be_written_is_kept_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    people = People()
    await people.enter()
    people.activity.note_user("ada", LATER)

    def away() -> Any:
        raise StoreAway

    with monkeypatch.context() as patched:
        patched.setattr(people.store, "unit", away)
        with pytest.raises(StoreAway):
            await people.activity.flush()
    await people.activity.flush()

    assert (await people.user("ada")).last_activity == LATER


async def test_who_is_busy_is_kept_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    people = People()
    server = await with_server(people)
    people.activity.note_word(server.id, is_busy=True)

    def away() -> Any:
        raise StoreAway

    with monkeypatch.context() as patched:
        patched.setattr(people.store, "unit", away)
        with pytest.raises(StoreAway):
            await people.activity.flush_busy()
    await people.activity.flush_busy()

    async with people.store.unit() as unit:
        stored = await unit.servers.by_id(server.id)
    assert stored is not None
    assert stored.busy_until is not None


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.5", datetime(2026, 1, 2, 3, 4, 5, 500_000, tzinfo=UTC)),
        ("2026-01-02T05:04:05+02:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_utc(text: str, at: datetime) -> None:
    assert parse_time(text) == at


async def test_what_a_server_says_counts_for_two_reports_if_it_is_busy() -> None:
    people = People()
    await with_server(people)
    said = {"last_activity": START.isoformat(), "busy": True, "since": START.isoformat(), "with": "kernel"}

    (busy,) = await people.activity.report("ada", {"servers": {"work": said}})
    (idle,) = await people.activity.report("ada", {"servers": {"work": said | {"busy": False}}})
    await people.activity.flush()

    async with people.store.unit() as unit:
        stored = await unit.servers.by_id(idle.id)
    assert busy.busy_until == people.clock.now() + timedelta(seconds=600)
    assert idle.busy_until == people.clock.now()
    assert stored == idle


async def test_a_server_of_jupyterhubs_kind_speaks_for_itself_but_asks_for_no_answer() -> None:
    people = People()
    server = await with_server(people)

    asked = await people.activity.report("ada", {"servers": {"work": {"last_activity": START.isoformat()}}})

    assert asked == []
    assert people.activity.fresh_server(server).busy_until == people.clock.now()
