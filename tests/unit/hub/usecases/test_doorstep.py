"""
A code lets one browser into one server at one host, once, for some seconds, while its session lives.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from perijove.hub.domain.errors import NoSuchServer, NotAllowed
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.door import Entry
from perijove.hub.usecases.doorstep import CODE_SECONDS, Doorstep
from perijove.wire.identity import BROWSER_COOKIES, IdentityClaims
from tests.unit.hub.usecases.people import People

ORIGINS = Origins(hub="https://hub.example", domain="hub.example")
HOST = "ada.hub.example"
_, COOKIE = BROWSER_COOKIES


def doorstep_of(people: People) -> Doorstep:
    return Doorstep(
        store=people.store,
        identify=people.identify,
        door=people.door,
        signer=people.signer,
        clock=people.clock,
        randomness=people.randomness,
        origins=ORIGINS,
        hub_prefix="/hub/",
    )


class World:
    """Ada, signed in, with a server; bob may enter it, too."""

    def __init__(self) -> None:
        self.people = People(
            roles=[
                {"name": "guest", "users": ["bob"], "scopes": ["access:servers!server=ada/", "access:servers!user=bob"]}
            ]
        )
        self.doorstep = doorstep_of(self.people)

    async def begin(self) -> Principal:
        ada = await self.people.principal("ada")
        for name in ("ada", "bob"):
            user = (await self.people.enter(name)).user
            async with self.people.store.unit() as unit:
                await unit.servers.add(user_id=user.id, name="", created=self.people.clock.now())
        return ada

    async def code(self, principal: Principal, verifier: str = "", audience: str = "ada/") -> tuple[str, str]:
        """A code and what the browser keeps."""
        kept, challenge = self.doorstep.set_out(verifier)
        return await self.doorstep.hand_over(principal, audience, challenge), kept

    async def take(self, code: str, verifier: str, *, host: str = HOST) -> Entry:
        return await self.doorstep.take(code, host=host, cookie=COOKIE, verifier=verifier, address="10.0.0.1")


async def test_a_code_lets_in_who_set_out() -> None:
    world = World()
    ada = await world.begin()
    code, kept = await world.code(ada)

    entry = await world.take(code, kept)

    claims = IdentityClaims.from_claims(world.people.signer.signed[-1])
    assert entry.path == "/user/ada/"
    assert (claims.sub, claims.sid, claims.aud) == ("ada", ada.session_id, "ada/")
    assert claims.binding == f"{COOKIE}:{world.doorstep.set_out(kept)[1]}"


async def test_the_address_is_at_the_server_s_own_host() -> None:
    assert World().doorstep.address("ada/work") == "https://ada.hub.example/hub/doorstep"


async def test_any_hub_takes_a_code() -> None:
    world = World()
    code, kept = await world.code(await world.begin())
    other = doorstep_of(world.people)

    entry = await other.take(code, host=HOST, cookie=COOKIE, verifier=kept, address="")

    assert entry.path == "/user/ada/"


async def test_a_code_is_good_once() -> None:
    world = World()
    code, kept = await world.code(await world.begin())
    await world.take(code, kept)

    with pytest.raises(NotAllowed):
        await world.take(code, kept)


async def test_a_code_that_was_refused_is_spent() -> None:
    """
    Whoever has stolen it gets no second try.
    """
    world = World()
    code, kept = await world.code(await world.begin())

    with pytest.raises(NotAllowed):
        await world.take(code, "f" * 43)
    with pytest.raises(NotAllowed):
        await world.take(code, kept)


async def test_a_code_is_good_for_a_redirect_and_no_longer() -> None:
    world = World()
    ada = await world.begin()
    early, late = await world.code(ada), await world.code(ada)
    world.people.clock.advance(CODE_SECONDS - 1)
    await world.take(*early)
    world.people.clock.advance(1)

    with pytest.raises(NotAllowed):
        await world.take(*late)


@pytest.mark.parametrize("verifier", ["", "short", "f" * 43, "ü" * 43])
async def test_another_browser_gets_nothing_for_a_code(verifier: str) -> None:
    """
    A code in a link: who follows it neither gets in nor becomes whoever made the link.
    """
    world = World()
    code, _ = await world.code(await world.begin())

    with pytest.raises(NotAllowed):
        await world.take(code, verifier)
    assert world.people.signer.signed == []


@pytest.mark.parametrize("host", ["bob.hub.example", "hub.example", "ada.hub.example.evil.example", ""])
async def test_a_code_is_good_at_one_host(host: str) -> None:
    world = World()
    code, kept = await world.code(await world.begin())

    with pytest.raises(NotAllowed):
        await world.take(code, kept, host=host)


async def test_a_code_ends_with_its_session() -> None:
    world = World()
    ada = await world.begin()
    code, kept = await world.code(ada)
    await world.people.own_sessions.end(await world.people.user("ada"), ada.session_id, by=ada)

    with pytest.raises(NotAllowed):
        await world.take(code, kept)


async def test_what_was_taken_back_meanwhile_is_not_entered() -> None:
    """
    The door decides when the code is spent, not only when it is made.
    """
    world = World()
    ada = await world.begin()
    code, kept = await world.code(ada, audience="bob/")

    with pytest.raises(NoSuchServer):
        await world.take(code, kept, host="bob.hub.example")


async def test_a_code_of_an_oauth_client_opens_no_door() -> None:
    world = World()
    ada = await world.begin()
    kept, challenge = world.doorstep.set_out("")
    async with world.people.store.unit() as unit:
        await unit.oauth_codes.add(
            OAuthCode(
                code_hash=hash_secret("the-code"),
                client_id="jupyterhub-user-ada",
                user_id=ada.user_id,
                session_id=ada.session_id,
                redirect_uri=world.doorstep.address("ada/"),
                scopes=(),
                challenge=challenge,
                challenge_method="S256",
                expires_at=world.people.clock.now().replace(year=2100),
            )
        )

    with pytest.raises(NotAllowed):
        await world.take("the-code", kept)


@pytest.mark.parametrize("challenge", ["", "short", "x" * 200, "a b" * 15])
async def test_no_code_is_made_for_who_did_not_set_out(challenge: str) -> None:
    world = World()
    ada = await world.begin()

    with pytest.raises(NotAllowed):
        await world.doorstep.hand_over(ada, "ada/", challenge)


async def test_no_code_is_made_without_a_session() -> None:
    """
    A token is no browser.
    """
    world = World()
    ada = await world.begin()
    _, challenge = world.doorstep.set_out("")

    with pytest.raises(NotAllowed):
        await world.doorstep.hand_over(replace(ada, session_id=""), "ada/", challenge)


@pytest.mark.parametrize("code", ["", "made up", "x" * 10_000])
async def test_what_is_no_code_is_refused(code: str) -> None:
    world = World()
    await world.begin()

    with pytest.raises(NotAllowed):
        await world.take(code, "f" * 43)


async def test_only_hashes_of_codes_are_kept() -> None:
    world = World()
    store = world.people.store
    code, _ = await world.code(await world.begin())

    assert isinstance(store, MemoryStore)
    async with store.unit() as unit:
        row = await unit.oauth_codes.take(hash_secret(code))
    assert row is not None
    assert code not in str(row)


def test_a_browser_that_set_out_in_one_tab_is_the_same_in_another() -> None:
    doorstep = World().doorstep
    kept, challenge = doorstep.set_out("")

    assert doorstep.set_out(kept) == (kept, challenge)


@pytest.mark.parametrize("planted", ["short", "a b" * 15, "ü" * 43])
def test_what_has_not_the_form_of_it_is_replaced(planted: str) -> None:
    kept, _ = World().doorstep.set_out(planted)

    assert kept != planted


@pytest.mark.parametrize(
    ("host", "audience", "expected"),
    [(HOST, "ada/", True), ("ADA.hub.example.:443", "ada/work", True), (HOST, "bob/", False), (HOST, "", False),
     ("hub.example", "ada/", False)],
)  # fmt: skip
def test_the_doorstep_of_a_server_is_at_its_own_host(host: str, audience: str, *, expected: bool) -> None:
    assert World().doorstep.is_at(host, audience) is expected
