from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.errors import AlreadyExists
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Store, Unit

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ACCESS = ("access:servers", "read:servers")


async def add_user(unit: Unit, name: str) -> User:
    return await unit.users.add(name=name, admin=False, created=NOW)


async def add_server(unit: Unit, owner: User, name: str = "") -> Server:
    return await unit.servers.add(user_id=owner.id, name=name, created=NOW)


async def person(unit: Unit, user: User) -> Person:
    found = await unit.users.person(user.id)
    assert found is not None
    return found


# -- what somebody may do ----------------------------------------------------------------------------------------


async def test_a_person_comes_with_their_groups_and_what_is_shared_with_them(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        lab, physics = await unit.groups.put("lab", properties={}), await unit.groups.put("physics", properties={})
        await unit.groups.add_members(physics.id, [bob.id])
        await unit.groups.add_members(lab.id, [bob.id])
        mine, named = await add_server(unit, ada), await add_server(unit, ada, "gpu")
        await unit.shares.put(mine.id, user_id=bob.id, scopes=ACCESS, created=NOW)
        await unit.shares.put(named.id, group_id=lab.id, scopes=ACCESS[:1], created=NOW)

    async with store.reading() as unit:
        assert await person(unit, ada) == Person(user=ada)
        assert await person(unit, bob) == Person(
            user=bob,
            groups=("lab", "physics"),
            shared=("access:servers!server=ada/", "access:servers!server=ada/gpu", "read:servers!server=ada/"),
        )
        assert await unit.users.person(bob.id + 1000) is None


async def test_sessions_and_tokens_come_with_the_person(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        await unit.shares.put((await add_server(unit, ada)).id, user_id=bob.id, scopes=ACCESS[:1], created=NOW)
        session = Session(
            id="s1",
            user_id=bob.id,
            secret_hash="hash",
            created=NOW,
            last_seen=NOW,
            expires_at=LATER,
        )
        await unit.sessions.add(session)
        token = await unit.tokens.add(
            user_id=bob.id, prefix="abcdefgh", token_hash="0", scopes=[], note="", created=NOW, client_id="service-x"
        )

    bobs = Person(user=bob, shared=("access:servers!server=ada/",))
    async with store.reading() as unit:
        assert await unit.sessions.by_secret_hash("hash") == (session, bobs)
        assert await unit.sessions.by_id("s1") == (session, bobs)
        assert await unit.tokens.by_prefix("abcdefgh") == [(token, bobs)]
    assert token.client_id == "service-x"


# -- shares ------------------------------------------------------------------------------------------------------


async def test_a_share_given_again_has_the_new_scopes_and_is_the_same_share(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        server = await add_server(unit, ada)
        first = await unit.shares.put(server.id, user_id=bob.id, scopes=ACCESS, created=NOW)
        again = await unit.shares.put(server.id, user_id=bob.id, scopes=ACCESS[:1], created=LATER)

        assert (first.owner, first.server_name, first.user, first.group, first.scopes) == ("ada", "", "bob", "", ACCESS)
        assert again == replace(first, scopes=ACCESS[:1])
        assert await unit.shares.get(server.id, user_id=bob.id) == again
        assert await unit.shares.get(server.id, user_id=ada.id) is None


async def test_shares_are_listed_by_server_by_user_and_by_group(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        lab = await unit.groups.put("lab", properties={})
        await unit.groups.add_members(lab.id, [bob.id])
        one, two = await add_server(unit, ada), await add_server(unit, ada, "gpu")
        to_bob = await unit.shares.put(one.id, user_id=bob.id, scopes=ACCESS, created=NOW)
        to_lab = await unit.shares.put(two.id, group_id=lab.id, scopes=ACCESS, created=NOW)

        assert await unit.shares.of_servers([one.id, two.id]) == [to_bob, to_lab]
        assert await unit.shares.of_servers([]) == []
        assert await unit.shares.with_user(bob.id) == [to_bob, to_lab]
        assert await unit.shares.with_user(ada.id) == []
        assert await unit.shares.with_group(lab.id) == [to_lab]
        assert await unit.shares.get(two.id, group_id=lab.id) == to_lab
        assert (to_lab.user, to_lab.group) == ("", "lab")

        await unit.shares.delete(to_bob.id)
        await unit.shares.delete_of_server(two.id)
        assert await unit.shares.of_servers([one.id, two.id]) == []


async def test_shares_follow_a_renamed_owner_and_a_reused_name_gets_none(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        await unit.shares.put((await add_server(unit, ada)).id, user_id=bob.id, scopes=ACCESS[:1], created=NOW)
        await unit.users.rename(ada.id, "lovelace")
        await add_server(unit, await add_user(unit, "ada"))

        assert (await person(unit, bob)).shared == ("access:servers!server=lovelace/",)


@pytest.mark.parametrize("what", ["server", "owner", "user", "group"])
async def test_a_share_goes_with_whatever_it_is_about(store: Store, what: str) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        lab = await unit.groups.put("lab", properties={})
        server = await add_server(unit, ada)
        await unit.shares.put(server.id, user_id=bob.id, scopes=ACCESS, created=NOW)
        await unit.shares.put(server.id, group_id=lab.id, scopes=ACCESS, created=NOW)

    async with store.unit() as unit:
        match what:
            case "server":
                await unit.servers.delete(server.id)
            case "owner":
                await unit.users.delete(ada.id)
            case "user":
                await unit.users.delete(bob.id)
            case "group":
                await unit.groups.delete(lab.id)

    async with store.reading() as unit:
        left = [(share.user, share.group) for share in await unit.shares.of_servers([server.id])]
    assert left == {"server": [], "owner": [], "user": [("", "lab")], "group": [("bob", "")]}[what]


async def test_a_share_code_counts_its_exchanges_and_ends(store: Store) -> None:
    async with store.unit() as unit:
        server = await add_server(unit, await add_user(unit, "ada"), "gpu")
        words: dict[str, Any] = {"server_id": server.id, "scopes": ACCESS[:1], "created": NOW}
        code = await unit.share_codes.add(**words, code_hash="one", expires_at=LATER)
        other = await unit.share_codes.add(**words, code_hash="two", expires_at=LATER + timedelta(hours=1))

        assert code.full_scopes == ("access:servers!server=ada/gpu",)
        assert await unit.share_codes.by_hash("one") == code
        assert await unit.share_codes.by_hash("three") is None
        assert await unit.share_codes.of_servers([server.id]) == [code, other]

        await unit.share_codes.note_exchange(code.id, LATER)
        used = await unit.share_codes.by_hash("one")
        assert used == replace(code, exchange_count=1, last_exchanged_at=LATER)

        assert await unit.share_codes.delete_expired(LATER) == 1
        assert await unit.share_codes.of_servers([server.id]) == [other]
        await unit.share_codes.delete(other.id)
        assert await unit.share_codes.of_servers([server.id]) == []


async def test_share_codes_of_a_server_go_together_and_with_it(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit, "ada")
        server, other = await add_server(unit, ada), await add_server(unit, ada, "gpu")
        for row, code_hash in ((server, "one"), (server, "two"), (other, "three")):
            await unit.share_codes.add(
                server_id=row.id, code_hash=code_hash, scopes=ACCESS, created=NOW, expires_at=LATER
            )
        await unit.share_codes.delete_of_server(server.id)
        assert [code.code_hash for code in await unit.share_codes.of_servers([server.id, other.id])] == ["three"]
        await unit.servers.delete(other.id)
        assert await unit.share_codes.by_hash("three") is None


# -- OAuth -------------------------------------------------------------------------------------------------------


def code_of(user: User, code_hash: str = "c", *, expires_at: datetime = LATER) -> OAuthCode:
    return OAuthCode(
        code_hash=code_hash,
        client_id="service-x",
        user_id=user.id,
        session_id="s1",
        redirect_uri="/services/x/oauth_callback",
        scopes=("access:services!service=x", "read:users:name!user=ada"),
        challenge="abc",
        challenge_method="S256",
        expires_at=expires_at,
    )


async def test_a_code_is_taken_once(store: Store) -> None:
    async with store.unit() as unit:
        code = code_of(await add_user(unit, "ada"))
        await unit.oauth_codes.add(code)

    async def take() -> OAuthCode | None:
        async with store.unit() as unit:
            return await unit.oauth_codes.take("c")

    found = await asyncio.gather(*(take() for _ in range(4)))

    assert [each for each in found if each is not None] == [code]


async def test_codes_end_and_go_with_their_user(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        await unit.oauth_codes.add(code_of(ada, "old", expires_at=NOW))
        await unit.oauth_codes.add(code_of(ada, "new"))
        await unit.oauth_codes.add(code_of(bob, "bobs"))
        assert await unit.oauth_codes.delete_expired(NOW) == 1
        await unit.users.delete(bob.id)

        assert await unit.oauth_codes.take("old") is None
        assert await unit.oauth_codes.take("bobs") is None
        assert await unit.oauth_codes.take("new") == code_of(ada, "new")


async def test_codes_of_a_client_go_together(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit, "ada")
        await unit.oauth_codes.add(replace(code_of(ada, "one"), client_id="service-a"))
        await unit.oauth_codes.add(replace(code_of(ada, "two"), client_id="service-b"))
        await unit.oauth_codes.delete_of_client("service-a")

        assert await unit.oauth_codes.take("one") is None
        assert await unit.oauth_codes.take("two") is not None


async def test_tokens_of_a_client_go_together_or_for_one_user(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        words: dict[str, Any] = {
            "prefix": "abcdefgh",
            "token_hash": "0",
            "scopes": ["inherit"],
            "note": "",
            "created": NOW,
        }
        of_ada = await unit.tokens.add(user_id=ada.id, **words, client_id="service-x")
        of_bob = await unit.tokens.add(user_id=bob.id, **words, client_id="service-x")
        other = await unit.tokens.add(user_id=ada.id, **words, client_id="service-y")
        plain = await unit.tokens.add(user_id=ada.id, **words)

        assert await unit.tokens.delete_of_client("service-x", user_id=ada.id) == [of_ada]
        assert await unit.tokens.of_user(ada.id) == [other, plain]
        assert await unit.tokens.delete_of_client("service-x") == [of_bob]


# -- services, auth states ---------------------------------------------------------------------------------------


async def test_services_of_run_time_are_kept_by_name_and_found_by_prefix(store: Store) -> None:
    service = RuntimeService(
        name="grader", prefix="abcdefgh", token_hash="0", declaration={"url": "http://127.0.0.1:1"}, created=NOW
    )
    quiet = RuntimeService(name="board", created=NOW)
    async with store.unit() as unit:
        await unit.services.add(service)
        await unit.services.add(quiet)

    with pytest.raises(AlreadyExists):
        async with store.unit() as unit:
            await unit.services.add(service)

    async with store.unit() as unit:
        assert await unit.services.all() == [quiet, service]
        assert await unit.services.by_name("grader") == service
        assert await unit.services.by_prefix("abcdefgh") == [service]
        await unit.services.delete("grader")
        assert await unit.services.by_name("grader") is None


async def test_auth_states_are_replaced_forgotten_and_go_with_their_user(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        await unit.auth_states.put(ada.id, "first")
        await unit.auth_states.put(ada.id, "second")
        await unit.auth_states.put(bob.id, "bobs")
        assert await unit.auth_states.page(after=0, limit=9) == [(ada.id, "second"), (bob.id, "bobs")]
        assert await unit.auth_states.page(after=0, limit=1) == [(ada.id, "second")]
        assert await unit.auth_states.page(after=ada.id, limit=9) == [(bob.id, "bobs")]
        await unit.auth_states.swap(bob.id, "another", "third")
        assert await unit.auth_states.get(bob.id) == "bobs"
        await unit.auth_states.swap(bob.id, "bobs", "third")
        assert await unit.auth_states.get(bob.id) == "third"
        assert await unit.auth_states.get(ada.id) == "second"
        await unit.auth_states.put(ada.id, None)
        assert await unit.auth_states.get(ada.id) is None
        await unit.users.delete(bob.id)
        assert await unit.auth_states.get(bob.id) is None


# -- groups ------------------------------------------------------------------------------------------------------


async def test_groups_come_in_pages_and_with_their_members(store: Store) -> None:
    async with store.unit() as unit:
        groups = [await unit.groups.put(name, properties={"n": name}) for name in ("c", "a", "b")]
        ada, bob = await add_user(unit, "ada"), await add_user(unit, "bob")
        await unit.groups.add_members(groups[0].id, [bob.id, ada.id])

        assert await unit.groups.page(offset=1, limit=5) == (groups[1:], 3)
        assert await unit.groups.page(offset=0, limit=5, names=["b", "c", "none"]) == ([groups[0], groups[2]], 2)
        assert await unit.groups.page(offset=0, limit=5, names=[]) == ([], 0)
        assert await unit.groups.members_of([group.id for group in groups]) == {groups[0].id: ["ada", "bob"]}
        by_name = await unit.groups.members_by_name([*(group.name for group in groups), "nobody knows"])
        assert by_name == {groups[0].name: ["ada", "bob"]}


# -- audit -------------------------------------------------------------------------------------------------------


def entry(action: Action = Action.SIGNED_IN, *, at: datetime = NOW, actor: str = "ada", target: str = "") -> AuditEntry:
    return AuditEntry(
        at=at, action=action, actor=actor, actor_kind="user", target=target, detail={"n": [1, "x"]}, address="::1"
    )


async def test_the_audit_log_is_read_newest_first_and_filtered(store: Store) -> None:
    async with store.unit() as unit:
        await unit.audit.add(entry())
        await unit.audit.add(entry(Action.SHARED, at=LATER, target="bob"))
        await unit.audit.add(entry(Action.SIGNED_IN, at=LATER, actor="bob"))
        found = await unit.audit.page(limit=10)

        assert [(row.action, row.actor, row.detail, row.address) for row in found] == [
            (Action.SIGNED_IN, "bob", {"n": [1, "x"]}, "::1"),
            (Action.SHARED, "ada", {"n": [1, "x"]}, "::1"),
            (Action.SIGNED_IN, "ada", {"n": [1, "x"]}, "::1"),
        ]
        assert await unit.audit.page(limit=1) == found[:1]
        assert await unit.audit.page(limit=10, before_id=found[0].id) == found[1:]
        assert await unit.audit.page(limit=10, before_id=10**30) == found
        assert await unit.audit.page(limit=10, actor="ada") == found[1:]
        assert await unit.audit.page(limit=10, target="bob") == found[1:2]
        assert await unit.audit.page(limit=10, action=Action.SIGNED_IN) == [found[0], found[2]]
        assert await unit.audit.page(limit=10, since=LATER) == found[:2]
        assert await unit.audit.page(limit=10, until=LATER) == found[2:]


async def test_entries_are_sealed_in_a_chain(store: Store) -> None:
    async with store.unit() as unit:
        for actor in ("ada", "bob", "eve"):
            await unit.audit.add(entry(actor=actor))
        assert await unit.audit.last_sealed() is None
        first, second, third = await unit.audit.unsealed(10)
        assert (first.sequence, first.sealed_hash) == (0, "")
        await unit.audit.seal(second.id, sequence=1, sealed_hash="h1")
        await unit.audit.seal(first.id, sequence=2, sealed_hash="h2")

        assert await unit.audit.unsealed(10) == [third]
        chain = await unit.audit.sealed(after=0, limit=10)
        assert [(row.actor, row.sequence, row.sealed_hash) for row in chain] == [("bob", 1, "h1"), ("ada", 2, "h2")]
        assert await unit.audit.sealed(after=1, limit=10) == chain[1:]
        assert await unit.audit.last_sealed() == chain[1]


async def test_what_concerns_somebody_is_what_was_done_to_them_and_what_they_did(store: Store) -> None:
    async with store.unit() as unit:
        await unit.audit.add(entry(actor="root", target="ada"))
        await unit.audit.add(entry(actor="ada", target="bob"))
        await unit.audit.add(entry(actor="root", target="bob"))
        await unit.audit.add(replace(entry(actor="ada"), actor_kind="service"))

        found = await unit.audit.page(limit=10, concerning="ada")
        assert [(row.actor, row.target) for row in found] == [("ada", "bob"), ("root", "ada")]
        assert await unit.audit.page(limit=10, concerning="ada", actor="root") == found[1:]


async def test_only_the_beginning_of_the_chain_is_forgotten(store: Store) -> None:
    async with store.unit() as unit:
        for actor in ("ada", "bob", "eve", "kim"):
            await unit.audit.add(entry(actor=actor))
        rows = await unit.audit.unsealed(3)
        for sequence, row in enumerate(rows, start=1):
            await unit.audit.seal(row.id, sequence=sequence, sealed_hash=f"h{sequence}")

        assert await unit.audit.forget(up_to=2) == 2
        assert [row.actor for row in await unit.audit.page(limit=10)] == ["kim", "eve"]
        assert await unit.audit.forget(up_to=2) == 0


async def test_the_audit_log_survives_those_it_tells_of(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit, "ada")
        await unit.audit.add(entry())
        await unit.users.delete(ada.id)

        assert [row.actor for row in await unit.audit.page(limit=10)] == ["ada"]
