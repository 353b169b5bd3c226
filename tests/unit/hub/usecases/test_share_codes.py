from __future__ import annotations

import pytest

from perijove.hub.domain.errors import (
    InvalidRequest,
    InvalidScope,
    NoSuchServer,
    NoSuchShareCode,
    NoSuchUser,
    NotAllowed,
)
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.usecases.audit_chain import AuditChain
from perijove.hub.usecases.housekeeping import Housekeeping
from perijove.hub.usecases.servers import RemoveServer
from perijove.hub.usecases.share_codes import LONGEST, MAX_CODES, SHORTEST, USUAL, OwnServer, ShareCodes
from tests.unit.hub.usecases.people import service
from tests.unit.hub.usecases.test_shares import ALL, BOB, READ, WRITE, Sharing


class Offering(Sharing):
    """People who may also make codes."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = ShareCodes(
            store=self.store, clock=self.clock, randomness=self.randomness, revocations=self.revocations
        )

    async def code(self, ada: Principal, *scopes: str, server: str = "") -> str:
        """A new code of a server of ada's."""
        _, text = await self.codes.create(ada, "ada", server, scopes=scopes)
        return text


@pytest.fixture
def people() -> Offering:
    return Offering()


async def test_a_code_makes_a_share_for_everybody_who_takes_it(people: Offering) -> None:
    ada = await people.with_server("ada")
    for name in ("bob", "eve"):
        await people.enter(name)
    offer, text = await people.codes.create(ada, "ada", "", scopes=[READ])

    for name in ("bob", "eve", "bob"):
        granted = await people.codes.take(text, await people.user(name))
        assert (granted.share.user, granted.share.scopes, granted.server.key) == (name, (READ,), "ada/")

    (listed,) = await people.codes.of_server("ada", "")
    assert len(text) == 43
    assert (offer.code.exchange_count, listed.code.exchange_count) == (0, 3)
    assert listed.code.last_exchanged_at == people.clock.now()
    assert listed.code.code_hash == hash_secret(text)
    assert len(await people.shares.of_server("ada", "")) == 2


async def test_taking_a_code_adds_to_a_share_and_lets_in_anew(people: Offering) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB, [READ])

    granted = await people.codes.take(await people.code(ada, WRITE), await people.user("bob"))

    assert granted.share.scopes == (READ, WRITE)
    assert people.revoked() == [("bob", "ada/")]


async def test_looking_at_a_code_changes_nothing(people: Offering) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    text = await people.code(ada)

    offer = await people.codes.look_at(text, await people.user("bob"))

    assert offer.code.scopes == (ALL,)
    assert await people.shares.of_server("ada", "") == []


async def test_a_code_ends(people: Offering) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    _, text = await people.codes.create(ada, "ada", "", seconds=SHORTEST)
    people.clock.advance(SHORTEST)

    for call in (people.codes.look_at, people.codes.take):
        with pytest.raises(NoSuchShareCode):
            await call(text, await people.user("bob"))
    assert await people.codes.of_owner("ada") == []
    async with people.store.unit() as unit:
        assert await unit.share_codes.by_hash(hash_secret(text)) is not None
    chores = Housekeeping(
        store=people.store,
        activity=people.activity,
        clock=people.clock,
        limiter=people.limiter,
        audit=AuditChain(store=people.store, clock=people.clock, retention_days=10),
        failures=people.failures,
        auth_states=people.auth_states,
    )
    await chores.sweep()
    async with people.store.unit() as unit:
        assert await unit.share_codes.by_hash(hash_secret(text)) is None


@pytest.mark.parametrize("text", ["", "nonsense", "x" * 1000, "0" * 43])
async def test_what_is_no_code_makes_no_share(people: Offering, text: str) -> None:
    await people.code(await people.with_server("ada"))
    await people.enter("bob")

    with pytest.raises(NoSuchShareCode):
        await people.codes.take(text, await people.user("bob"))


async def test_ones_own_code_is_of_no_use(people: Offering) -> None:
    ada = await people.with_server("ada")
    text = await people.code(ada)

    for call in (people.codes.look_at, people.codes.take):
        with pytest.raises(OwnServer):
            await call(text, await people.user("ada"))


async def test_codes_are_taken_back_by_text_by_id_or_all(people: Offering) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    texts = [await people.code(ada) for _ in range(4)]
    offers = await people.codes.of_server("ada", "")
    await people.codes.take(texts[0], await people.user("bob"))

    await people.codes.revoke(ada, "ada", "", text=texts[0])
    await people.codes.revoke(ada, "ada", "", public_id=offers[1].code.public_id)
    left = await people.codes.of_owner("ada")
    for wrong in ({"text": texts[0]}, {"public_id": "sc_999"}, {"public_id": "nonsense"}, {"text": "nonsense"}):
        with pytest.raises(NoSuchShareCode):
            await people.codes.revoke(ada, "ada", "", **wrong)
    await people.codes.revoke(ada, "ada", "")

    assert [offer.code.id for offer in left] == [offer.code.id for offer in offers[2:]]
    assert await people.codes.of_owner("ada") == []
    assert len(await people.shares.of_server("ada", "")) == 1


async def test_a_code_of_another_server_cannot_be_taken_back_here(people: Offering) -> None:
    ada = await people.with_server("ada")
    await people.with_server("ada", "work")
    offer, text = await people.codes.create(ada, "ada", "work")

    for which in ({"text": text}, {"public_id": offer.code.public_id}):
        with pytest.raises(NoSuchShareCode):
            await people.codes.revoke(ada, "ada", "", **which)


async def test_nobody_offers_what_they_have_not(people: Offering) -> None:
    ada = await people.with_server("ada")
    narrow = service("script", "shares!server=ada/", f"{READ}!server=ada/")

    for giver, owner, scope in ((narrow, "ada", WRITE), (ada, "eve", READ), (ada, "ada", "admin:servers")):
        with pytest.raises(NotAllowed):
            await people.codes.create(giver, owner, "", scopes=[scope])
    with pytest.raises(InvalidScope):
        await people.codes.create(ada, "ada", "", scopes=["inherit"])


@pytest.mark.parametrize("seconds", [0, -1, SHORTEST - 1, LONGEST + 1])
async def test_a_code_is_good_for_a_minute_to_a_year(people: Offering, seconds: int) -> None:
    ada = await people.with_server("ada")

    with pytest.raises(InvalidRequest, match="from 60 to 31536000"):
        await people.codes.create(ada, "ada", "", seconds=seconds)
    usual, _ = await people.codes.create(ada, "ada", "")
    longest, _ = await people.codes.create(ada, "ada", "", seconds=LONGEST)

    assert (usual.code.expires_at - usual.code.created).total_seconds() == USUAL
    assert (longest.code.expires_at - longest.code.created).total_seconds() == LONGEST


async def test_a_server_has_only_so_many_codes(people: Offering) -> None:
    ada = await people.with_server("ada")
    for _ in range(MAX_CODES):
        await people.code(ada)

    with pytest.raises(InvalidRequest, match="at most"):
        await people.code(ada)


async def test_a_code_of_a_removed_server_makes_no_share_of_the_next_of_its_name(people: Offering) -> None:
    ada = await people.with_server("ada", "work")
    await people.enter("bob")
    text = await people.code(ada, server="work")

    await RemoveServer(store=people.store, revocations=people.revocations)(await people.user("ada"), "work")
    await people.with_server("ada", "work")

    with pytest.raises(NoSuchShareCode):
        await people.codes.take(text, await people.user("bob"))


async def test_there_are_no_codes_where_there_is_no_server(people: Offering) -> None:
    ada = await people.principal("ada")

    assert await people.codes.of_server("ada", "") == []
    await people.codes.revoke(ada, "ada", "")
    for error, call in (
        (NoSuchServer, people.codes.of_server("ada", "work")),
        (NoSuchServer, people.codes.create(ada, "ada", "work")),
        (NoSuchServer, people.codes.revoke(ada, "ada", "work")),
        (NoSuchUser, people.codes.of_owner("nobody")),
    ):
        with pytest.raises(error):
            await call
