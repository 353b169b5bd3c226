from __future__ import annotations

import pytest

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.errors import StoreAway, TooManyAttempts, WrongCredentials
from perijove.hub.usecases.audit import Wanted
from perijove.hub.usecases.audit_failures import MAX_AN_HOUR, MAX_WAITING, TOLD_EVERY, FailedSignIns
from tests.unit.hub.usecases.people import People


async def told(people: People) -> list[AuditEntry]:
    return list(await people.audit.page(Wanted(action=Action.SIGN_IN_FAILED), limit=10_000))


async def fail(people: People, name: str) -> None:
    with pytest.raises(WrongCredentials):
        await people.sign_in(form={"username": name, "password": "wrong"}, address="10.6.6.6", user_agent="")


async def test_a_failure_at_a_name_that_exists_is_told_a_moment_later() -> None:
    people = People()
    await people.enter("ada")
    await fail(people, "Ada")
    at_once = await told(people)

    await people.failures.flush()

    assert at_once == [], "the request itself costs the same for any name"
    (entry,) = await told(people)
    assert (entry.actor, entry.target, entry.address) == ("", "ada", "10.6.6.6")
    assert entry.detail == {"why": "wrong credentials"}


async def test_failures_at_names_that_nobody_has_are_counted_and_told_together() -> None:
    """
    Names can be invented without end.
    """
    people = People()
    for number in range(900):
        people.failures.note(account=f"nobody{number}", address=f"10.0.{number % 40}.1", why="wrong credentials")
        if number % 100 == 99:
            await people.failures.flush()
    before = await told(people)
    people.clock.advance(TOLD_EVERY)

    await people.failures.flush()
    await people.failures.flush()

    assert before == []
    (entry,) = await told(people)
    assert entry.detail["others"] == 900
    assert len(entry.detail["some_addresses"]) == 10
    assert entry.target == ""


async def test_however_many_there_are_what_is_written_in_an_hour_is_bounded() -> None:
    people = People()
    await people.enter("ada")

    for _ in range(3600 // 60):
        for _ in range(MAX_WAITING + 20):
            people.failures.note(account="ada", address="10.6.6.6", why="wrong credentials")
        await people.failures.flush()
        people.clock.advance(60)

    single = [entry for entry in await told(people) if entry.target]
    together = [entry for entry in await told(people) if not entry.target]
    assert len(single) == MAX_AN_HOUR
    assert 1 <= len(together) <= 3600 / TOLD_EVERY

    people.failures.note(account="ada", address="10.6.6.6", why="wrong credentials")
    await people.failures.flush()
    assert len([entry for entry in await told(people) if entry.target]) == MAX_AN_HOUR + 1, "another hour"


async def test_attempts_that_were_not_even_judged_are_counted() -> None:
    people = People()
    for _ in range(3):
        await fail(people, "ada")
    with pytest.raises(TooManyAttempts):
        await fail(people, "ada")
    people.clock.advance(TOLD_EVERY)

    await people.failures.flush()

    (entry,) = await told(people)
    assert entry.detail["others"] == 4


async def test_what_could_not_be_written_is_written_later() -> None:
    people = People()
    await people.enter("ada")
    store = FlakyStore(people)
    failures = FailedSignIns(store=store, clock=people.clock)  # type: ignore[arg-type]  # as much of one as is needed
    failures.note(account="ada", address="10.6.6.6", why="wrong credentials")

    with pytest.raises(StoreAway):
        await failures.flush()
    await failures.flush()
    await failures.flush()

    assert len(await told(people)) == 1


class FlakyStore:
    """Away the first time."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._is_away = True

    def unit(self) -> object:
        if self._is_away:
            self._is_away = False
            raise StoreAway
        return self._people.store.unit()
