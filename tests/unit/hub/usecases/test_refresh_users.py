from __future__ import annotations

import asyncio

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import NotAllowed, Unavailable
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.ports import Authenticated, RefreshRules
from perijove.hub.usecases.audit import Wanted
from perijove.hub.usecases.refresh_users import PAUSE
from perijove.hub.usecases.sign_in import SignedIn
from tests.unit.hub.usecases.people import People

AGE = 300.0
CLASS = {"name": "class-leaders", "groups": ["class"], "scopes": ["list:users"]}


def people_of(rules: RefreshRules | None = None, **made: object) -> People:
    people = People(**made)  # type: ignore[arg-type]  # of the caller's making
    people.method.refresh_rules = rules or RefreshRules(age=AGE)
    people.refresh.adopt(people.method, people.vouched)
    return people


async def come(people: People, signed_in: SignedIn) -> Principal | None:
    found = await people.identify.by_session(signed_in.secret)
    return found[1] if found else None


async def until_asked(people: People) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
        if people.method.asked:
            return
    raise AssertionError("nobody was asked about")


async def token_of(people: People, signed_in: SignedIn) -> str:
    _, text = await people.tokens.create(user=signed_in.user, maker=await people.principal(signed_in.user.name))
    return text


async def test_nobody_is_asked_about_before_their_time_and_everybody_once_after_it() -> None:
    people = people_of()
    ada = await people.enter()

    people.clock.advance(AGE - 1)
    assert await come(people, ada)
    assert people.method.asked == []
    people.clock.advance(2)
    for _ in range(3):
        assert await come(people, ada)
    assert [name for name, _ in people.method.asked] == ["ada"]


async def test_a_method_that_never_refreshes_is_never_asked() -> None:
    people = people_of(RefreshRules())
    ada = await people.enter()
    people.clock.advance(AGE * 10)

    assert await come(people, ada)
    assert people.method.asked == []


async def test_whoever_asks_at_once_waits_for_one_answer() -> None:
    people = people_of()
    ada = await people.enter()
    people.clock.advance(AGE)

    answers = await asyncio.gather(*(come(people, ada) for _ in range(20)))

    assert all(answers)
    assert len(people.method.asked) == 1


async def test_whoever_goes_away_leaves_the_question_to_the_others() -> None:
    people = people_of()
    ada = await people.enter()
    people.clock.advance(AGE)
    impatient = asyncio.ensure_future(come(people, ada))  # noqa: TID251  # a test's
    patient = asyncio.ensure_future(come(people, ada))  # noqa: TID251  # a test's
    await until_asked(people)
    impatient.cancel()

    assert await patient
    assert len(people.method.asked) == 1


async def test_who_must_sign_in_again_loses_the_session_with_all_that_it_opened() -> None:
    people = people_of()
    ada = await people.enter()
    people.method.standing = False
    people.clock.advance(AGE)

    assert await come(people, ada) is None

    async with people.store.unit() as unit:
        assert await unit.sessions.by_id(ada.session.id) is None
    assert [revocation.sid for revocation in people.proxy.revocations] == [ada.session.id]
    (entry,) = await people.audit.page(Wanted(action=Action.SESSION_ENDED), limit=10)
    assert (entry.actor, entry.target) == ("", "ada")


async def test_who_has_signed_in_again_is_welcome_at_once() -> None:
    people = people_of()
    before = await people.enter()
    people.method.standing = False
    people.clock.advance(AGE)
    assert await come(people, before) is None

    after = await people.enter()

    assert await come(people, after)


async def test_a_token_cannot_sign_in_so_it_goes_on() -> None:
    """
    As in JupyterHub: a grader must not stop because its owner has not opened a browser today.
    """
    people = people_of()
    text = await token_of(people, await people.enter())
    people.method.standing = False
    people.clock.advance(AGE)

    for _ in range(3):
        assert await people.identify.by_token(text)
    assert len(people.method.asked) == 1


async def test_strict_rules_refuse_tokens_too() -> None:
    people = people_of(RefreshRules(age=AGE, strict=True))
    text = await token_of(people, await people.enter())
    people.method.standing = False
    people.clock.advance(AGE)

    assert await people.identify.by_token(text) is None
    people.method.standing = True
    people.clock.advance(PAUSE)
    assert await people.identify.by_token(text)


async def test_services_are_nobody_to_ask_about() -> None:
    culler = {"name": "culler", "api_token": "token-of-the-culler"}
    people = people_of(RefreshRules(age=AGE, strict=True), services=[culler])
    people.method.standing = False

    assert await people.identify.by_token("token-of-the-culler")
    assert people.method.asked == []


@pytest.mark.parametrize("strict", [False, True])
async def test_a_method_that_cannot_judge_changes_nothing_unless_it_must(*, strict: bool) -> None:
    people = people_of(RefreshRules(age=AGE, strict=strict))
    ada = await people.enter()
    people.method.standing = Unavailable("The directory is away.")
    people.clock.advance(AGE)

    for _ in range(3):
        if strict:
            with pytest.raises(Unavailable):
                await come(people, ada)
        else:
            assert await come(people, ada)
    # It is not asked by everybody while it is away, and again soon.
    assert len(people.method.asked) == 1
    people.method.standing = True
    people.clock.advance(PAUSE)
    assert await come(people, ada)
    assert len(people.method.asked) == 2


async def test_what_has_changed_counts_for_the_very_request() -> None:
    people = people_of(roles=[CLASS])
    ada = await people.enter()
    people.method.standing = Authenticated(name="ada", admin=True, groups=("class",))
    people.clock.advance(AGE)

    principal = await come(people, ada)

    assert principal is not None
    assert principal.admin
    assert "admin:users" in principal.scopes
    async with people.store.unit() as unit:
        assert await unit.groups.of_users([ada.user.id]) == {ada.user.id: ["class"]}


async def test_a_group_that_is_lost_shuts_the_doors_that_it_opened() -> None:
    people = people_of(roles=[CLASS])
    people.method.groups = ("class", "others")
    ada = await people.enter()
    people.method.standing = Authenticated(name="ada", groups=("others",))
    people.clock.advance(AGE)

    principal = await come(people, ada)

    assert principal is not None
    assert "list:users" not in principal.scopes
    assert [revocation.user for revocation in people.proxy.revocations] == ["ada"]


async def test_a_state_that_is_not_mentioned_stays() -> None:
    people = people_of()
    people.method.auth_state = {"token": 1}
    ada = await people.enter()
    people.method.standing = Authenticated(name="ada", admin=False)
    people.clock.advance(AGE)
    await come(people, ada)
    assert people.method.asked == [("ada", {"token": 1})]

    people.method.standing = Authenticated(name="ada", auth_state={"token": 2})
    people.clock.advance(AGE)
    await come(people, ada)

    assert await people.auth_states.get(ada.user) == {"token": 2}


async def test_somebody_who_was_deleted_meanwhile_is_not_made_again() -> None:
    people = people_of()
    ada = await people.enter()
    people.method.standing = Authenticated(name="ada", admin=True)
    people.clock.advance(AGE)
    task = asyncio.ensure_future(come(people, ada))  # noqa: TID251  # a test's
    await until_asked(people)
    async with people.store.unit() as unit:
        await unit.users.delete(ada.user.id)

    assert await task is None
    async with people.store.unit() as unit:
        assert await unit.users.by_name("ada") is None


RULES = [
    pytest.param(RefreshRules(before_starts=True), "before_start", id="start"),
    pytest.param(RefreshRules(before_stops=True), "before_stop", id="stop"),
]


@pytest.mark.parametrize(("rules", "name"), RULES)
async def test_before_a_start_or_a_stop_it_is_asked_whatever_the_age(rules: RefreshRules, name: str) -> None:
    people = people_of(rules)
    ada = await people.enter()
    browser = await come(people, ada)
    ask = getattr(people.refresh, name)

    await ask(ada.user, browser)
    assert len(people.method.asked) == 1
    people.method.standing = False
    with pytest.raises(NotAllowed, match="sign in again"):
        await ask(ada.user, browser)


@pytest.mark.parametrize(("rules", "name"), RULES)
async def test_what_others_and_tokens_start_or_stop_is_not_held_up(rules: RefreshRules, name: str) -> None:
    people = people_of(rules)
    ada = await people.enter()
    root = Principal(kind=Kind.USER, name="root", scopes=frozenset(), user_id=99, session_id="s")
    by_token = await people.identify.by_token(await token_of(people, ada))
    people.method.standing = False

    for by in (root, by_token, None):
        await getattr(people.refresh, name)(ada.user, by)


@pytest.mark.parametrize("standing", [False, Unavailable("away")])
async def test_strict_rules_hold_everybody_up(standing: bool | Exception) -> None:  # noqa: FBT001  # an answer
    people = people_of(RefreshRules(before_starts=True, strict=True))
    ada = await people.enter()
    people.method.standing = standing

    with pytest.raises((NotAllowed, Unavailable)):
        await people.refresh.before_start(ada.user, None)


async def test_without_such_rules_starts_and_stops_ask_nobody() -> None:
    people = people_of()
    ada = await people.enter()
    people.method.standing = False

    await people.refresh.before_start(ada.user, await come(people, ada))
    await people.refresh.before_stop(ada.user, None)

    assert people.method.asked == []
