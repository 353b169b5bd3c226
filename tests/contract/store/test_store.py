from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.accounts import Account, AccountState, Invitation, InvitationKind
from perijove.hub.domain.errors import AlreadyExists, StaleGeneration
from perijove.hub.domain.groups import Group
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.domain.queue import Entry
from perijove.hub.domain.servers import Server, first_generation
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Store, Unit

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


async def add_user(unit: Unit, name: str = "ada", *, admin: bool = False) -> User:
    return await unit.users.add(name=name, admin=admin, created=NOW)


async def add_server(store: Store, name: str = "") -> Server:
    async with store.unit() as unit:
        user = await unit.users.by_name("ada") or await add_user(unit)
        return await unit.servers.add(user_id=user.id, name=name, created=NOW)


async def add_session(unit: Unit, user: User, session_id: str = "s1", *, expires_at: datetime = LATER) -> Session:
    session = Session(
        id=session_id,
        user_id=user.id,
        secret_hash=f"hash of {session_id}",
        created=NOW,
        last_seen=NOW,
        expires_at=expires_at,
        address="127.0.0.1",
        user_agent="a browser",
    )
    await unit.sessions.add(session)
    return session


async def add_token(
    unit: Unit,
    user: User,
    prefix: str = "abcdefgh",
    *,
    expires_at: datetime | None = None,
    session_id: str = "",
    server: str = "",
) -> ApiToken:
    return await unit.tokens.add(
        user_id=user.id,
        prefix=prefix,
        token_hash="0" * 64,
        scopes=["read:users!user=ada", "self"],
        note="a note",
        created=NOW,
        expires_at=expires_at,
        session_id=session_id,
        server=server,
    )


def invitation(code_hash: str = "c", *, expires_at: datetime = LATER) -> Invitation:
    return Invitation(
        id=0,
        kind=InvitationKind.USER,
        code_hash=code_hash,
        name="bob",
        created=NOW,
        expires_at=expires_at,
        created_by="ada",
    )


def account(name: str = "ada", state: AccountState = AccountState.ACTIVE, created: datetime = NOW) -> Account:
    return Account(name=name, password_hash="$argon2id$", state=state, created=created)


# -- units -------------------------------------------------------------------------------------------------------


async def test_what_ends_well_is_kept(store: Store) -> None:
    async with store.unit() as unit:
        added = await add_user(unit)

    async with store.unit() as unit:
        assert await unit.users.by_name("ada") == added
        assert await unit.users.by_id(added.id) == added


async def test_what_ends_badly_never_happened(store: Store) -> None:
    async def fail() -> None:
        async with store.unit() as unit:
            await add_user(unit)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with store.unit() as unit:
        assert await unit.users.by_name("ada") is None


async def test_a_cancelled_unit_never_happened_and_the_next_one_works(store: Store) -> None:
    """
    A browser that goes away cancels its request anywhere.
    """
    added = asyncio.Event()

    async def slow() -> None:
        async with store.unit() as unit:
            await add_user(unit)
            added.set()
            await asyncio.sleep(60)

    task = asyncio.ensure_future(slow())  # noqa: TID251  # the test's own task
    await added.wait()
    task.cancel()
    await asyncio.wait({task})

    async with store.unit() as unit:
        assert await unit.users.by_name("ada") is None
        await add_user(unit)


async def test_units_at_once_do_not_see_each_other_half_done(store: Store) -> None:
    async def add_pair(name: str) -> None:
        async with store.unit() as unit:
            await add_user(unit, f"{name}-1")
            await asyncio.sleep(0)
            await add_user(unit, f"{name}-2")

    async def count() -> int:
        async with store.unit() as unit:
            return (await unit.users.page(offset=0, limit=100))[1]

    counts = await asyncio.gather(*(add_pair(f"user{n}") for n in range(5)), *(count() for _ in range(5)))

    assert all(n % 2 == 0 for n in counts[5:] if n is not None)
    assert await count() == 10


async def test_ping_of_a_store_that_is_there_is_silent(store: Store) -> None:
    await store.ping()


# -- users -------------------------------------------------------------------------------------------------------


async def test_two_users_cannot_have_one_name(store: Store) -> None:
    async with store.unit() as unit:
        await add_user(unit)
        bob = await add_user(unit, "bob")

    with pytest.raises(AlreadyExists):
        async with store.unit() as unit:
            await add_user(unit)
    with pytest.raises(AlreadyExists):
        async with store.unit() as unit:
            await unit.users.rename(bob.id, "ada")


async def test_pages_are_sorted_filtered_and_counted(store: Store) -> None:
    async with store.unit() as unit:
        for name in ("eve", "ada", "bob", "adam"):
            await add_user(unit, name)
        await unit.users.touch({"bob": NOW, "ada": LATER})

    async with store.unit() as unit:

        async def names(**query: object) -> tuple[list[str], int]:
            rows, total = await unit.users.page(**{"offset": 0, "limit": 10, **query})  # type: ignore[arg-type]
            return [row.name for row in rows], total

        assert await names() == (["eve", "ada", "bob", "adam"], 4)
        assert await names(sort="name", offset=1, limit=2) == (["adam", "bob"], 4)
        assert await names(sort="-name", limit=1) == (["eve"], 4)
        assert await names(sort="-id") == (["adam", "bob", "ada", "eve"], 4)
        assert await names(sort="last_activity") == (["eve", "adam", "bob", "ada"], 4)
        assert await names(sort="-last_activity") == (["ada", "bob", "eve", "adam"], 4)
        assert await names(name_filter="AD") == (["ada", "adam"], 2)
        assert await names(name_filter="%") == ([], 0)
        assert await names(names=["bob", "nobody"]) == (["bob"], 1)
        assert await names(names=[]) == ([], 0)


async def test_pages_by_activity_of_servers(store: Store) -> None:
    async with store.unit() as unit:
        for name, state in (("ada", State.READY), ("bob", State.LAUNCHING), ("eve", State.STOPPED)):
            user = await add_user(unit, name)
            row = await unit.servers.add(user_id=user.id, name="", created=NOW)
            await unit.servers.swap(row, replace(row, state=state))
        await add_user(unit, "idle")

    async with store.unit() as unit:

        async def names(state: str) -> list[str]:
            rows, _ = await unit.users.page(offset=0, limit=10, state=state)  # type: ignore[arg-type]
            return [row.name for row in rows]

        assert await names("ready") == ["ada"]
        assert await names("active") == ["ada", "bob"]
        assert await names("inactive") == ["eve", "idle"]


async def test_administrators_come_and_go(store: Store) -> None:
    async with store.unit() as unit:
        user = await add_user(unit)
        before = await unit.users.has_admin()
        await unit.users.set_admin(user.id, admin=True)
        during = await unit.users.has_admin()
        await unit.users.set_admin(user.id, admin=False)

        assert (before, during, await unit.users.has_admin()) == (False, True, False)


async def test_what_others_see_of_somebody_comes_with_them(store: Store) -> None:
    told = {"display_name": "Ada Lovelace \U0001f600", "color": "#c0ffee", "x": {"deep": [1, None, 0.5]}}
    async with store.unit() as unit:
        ada, bob = await add_user(unit), await add_user(unit, "bob")
        await add_session(unit, ada)
        await unit.users.set_user_info(ada.id, {"display_name": "?"})
        await unit.users.set_user_info(ada.id, told)
    async with store.reading() as unit:
        found = await unit.users.by_name("ada")
        with_session = await unit.sessions.by_id("s1")
        page, _ = await unit.users.page(offset=0, limit=9)

    assert ada.user_info is None
    assert found == replace(ada, user_info=told)
    assert with_session is not None
    assert with_session[1].user == found
    assert page == [found, bob]


async def test_roles_that_the_sign_in_method_gave_come_with_whoever_has_them(store: Store) -> None:
    reading = ManagedRole(name="reading", scopes=("read:users!group=10%_\u00e9",))
    async with store.unit() as unit:
        ada, bob, eve = [await add_user(unit, name) for name in ("ada", "bob", "eve")]
        await unit.users.set_managed_roles(ada.id, (ManagedRole(name="user"), reading))
        await unit.users.set_managed_roles(bob.id, ())
    async with store.reading() as unit:
        person = await unit.users.person(ada.id)
        all_, rest = [await unit.users.with_managed_roles(after=after, limit=9) for after in (0, ada.id)]
        one = await unit.users.with_managed_roles(after=0, limit=1)
        named = [
            [user.name for user in await unit.users.with_managed_roles(after=0, limit=9, mentioning=text)]
            for text in ("reading", "!group=10%_\u00e9", "!group=10", "!group=1%", "bob")
        ]

    assert person is not None
    assert person.user.managed_roles == (ManagedRole(name="user"), reading)
    assert eve.managed_roles is None
    assert [user.name for user in all_] == ["ada", "bob"]
    assert rest == [replace(bob, managed_roles=())]
    assert [user.name for user in one] == ["ada"]
    assert named == [["ada"], ["ada"], ["ada"], [], []]


async def test_activity_only_grows(store: Store) -> None:
    async with store.unit() as unit:
        await add_user(unit)
        await unit.users.touch({"ada": LATER, "nobody": LATER})
        await unit.users.touch({"ada": NOW})
        await unit.users.touch({})
        found = await unit.users.by_name("ada")

    assert found is not None
    assert found.last_activity == LATER


async def test_a_deleted_user_leaves_nothing(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit), await add_user(unit, "bob")
        for user in (ada, bob):
            await unit.servers.add(user_id=user.id, name="", created=NOW)
            await add_session(unit, user, f"of {user.name}")
            await add_token(unit, user)
            await unit.accounts.put(account(user.name))
        await unit.users.delete(ada.id)

    async with store.unit() as unit:
        assert await unit.users.by_id(ada.id) is None
        assert await unit.servers.of_users([ada.id]) == []
        assert await unit.sessions.by_id("of ada") is None
        assert [owner.user.name for _, owner in await unit.tokens.by_prefix("abcdefgh")] == ["bob"]
        assert await unit.accounts.get("ada") is None
        assert await unit.accounts.get("bob") is not None


async def test_a_renamed_user_keeps_servers_and_account(store: Store) -> None:
    server = await add_server(store)
    async with store.unit() as unit:
        await unit.accounts.put(account())
        await unit.users.rename(server.user_id, "grace")
        await unit.accounts.rename("ada", "grace")

    async with store.unit() as unit:
        found = await unit.servers.by_key("grace", "")
        renamed = await unit.accounts.get("grace")

    assert found == replace(server, user_name="grace")
    assert renamed == account("grace")


# -- servers -----------------------------------------------------------------------------------------------------


async def test_a_new_server_is_stopped_and_of_the_first_generation(store: Store) -> None:
    server = await add_server(store)

    assert (server.state, server.user_name, server.key) == (State.STOPPED, "ada", "ada/")
    assert server.generation == first_generation(server.created)
    async with store.unit() as unit:
        assert await unit.servers.get(server.user_id, "") == server
        assert await unit.servers.by_id(server.id) == server
        assert await unit.servers.by_key("ada", "") == server
        assert await unit.servers.get(server.user_id, "other") is None


async def test_two_servers_of_a_user_cannot_have_one_name(store: Store) -> None:
    await add_server(store)

    with pytest.raises(AlreadyExists):
        await add_server(store)


async def test_a_swap_stores_every_field_that_changed(store: Store) -> None:
    server = await add_server(store)
    new = replace(
        server,
        state=State.READY,
        generation=3,
        display_name="Work ☕",
        handle={"pid": 7, "nested": {"a": [1, None]}},
        target="http+unix://%2Frun%2Fx",
        started_at=NOW,
        last_activity=LATER,
        user_options={"memory": 2},
        failure="it broke",
        failure_log=("line 1", "line 2"),
        lease_holder="hub-1",
        lease_until=LATER,
    )

    async with store.unit() as unit:
        await unit.servers.swap(server, new)

    async with store.unit() as unit:
        assert await unit.servers.by_id(server.id) == new


@pytest.mark.parametrize(
    "moved", [{"state": State.LAUNCHING}, {"generation": 1}, {"lease_holder": "another"}], ids=lambda moved: str(*moved)
)
async def test_a_swap_on_a_row_that_moved_on_is_refused(store: Store, moved: dict[str, object]) -> None:
    """
    State and generation fence off what is out of date; the lease's holder decides between two hubs.
    """
    server = await add_server(store)
    async with store.unit() as unit:
        await unit.servers.swap(server, replace(server, **moved))  # type: ignore[arg-type]

    with pytest.raises(StaleGeneration):
        async with store.unit() as unit:
            await unit.servers.swap(server, replace(server, failure="mine"))

    async with store.unit() as unit:
        row = await unit.servers.by_id(server.id)
        assert row is not None
        assert row.failure == ""


async def test_a_swap_does_not_undo_what_was_touched_meanwhile(store: Store) -> None:
    server = await add_server(store)
    async with store.unit() as unit:
        await unit.servers.touch({server.id: LATER})
        await unit.servers.swap(server, replace(server, state=State.LAUNCHING))
        row = await unit.servers.by_id(server.id)

    assert row is not None
    assert row.last_activity == LATER


async def test_what_a_server_said_last_counts_whatever_the_order_of_writing(store: Store) -> None:
    """
    Of two hubs each writes what it heard, when it gets to it.
    """
    server = await add_server(store)
    spans = [timedelta(minutes=minutes) for minutes in range(4)]
    words = {
        "busy at 0": (NOW + spans[2], NOW + spans[2]),
        "idle at 1": (NOW + spans[1], NOW + spans[3]),
        "busy at 1": (NOW + spans[3], NOW + spans[3]),
        "idle at 0": (NOW, NOW + spans[2]),
    }

    async def after(*said: str) -> datetime | None:
        async with store.unit() as unit:
            row = await unit.servers.by_id(server.id)
            assert row is not None
            await unit.servers.swap(row, replace(row, busy_until=None))
            for word in said:
                await unit.servers.note_busy({server.id: words[word]})
            await unit.servers.note_busy({})
            row = await unit.servers.by_id(server.id)
        return row.busy_until if row else None

    assert await after("busy at 0") == NOW + spans[2]
    assert await after("busy at 0", "idle at 1") == NOW + spans[1]
    assert await after("idle at 0", "busy at 1") == NOW + spans[3]
    assert await after("busy at 1", "idle at 0") == NOW + spans[3]


async def test_servers_that_were_last_used_before_a_time_or_run_since_before_one(store: Store) -> None:
    async with store.unit() as unit:
        user = await add_user(unit)
        for name, used, started, state in (
            ("used", LATER, LATER, State.READY),
            ("unused", NOW, LATER, State.READY),
            ("never", None, LATER, State.READY),
            ("old", LATER, NOW, State.READY),
            ("stopped", NOW, NOW, State.STOPPED),
        ):
            row = await unit.servers.add(user_id=user.id, name=name, created=NOW)
            await unit.servers.swap(row, replace(row, state=state, last_activity=used, started_at=started))

    async with store.reading() as unit:
        both = await unit.servers.last_used(before=NOW, or_started=NOW)
        unused = await unit.servers.last_used(before=NOW, or_started=datetime.min.replace(tzinfo=UTC))

    assert sorted(row.name for row in both) == ["never", "old", "unused"]
    assert sorted(row.name for row in unused) == ["never", "unused"]


async def test_a_swap_of_a_deleted_server_is_refused(store: Store) -> None:
    server = await add_server(store)
    async with store.unit() as unit:
        await unit.servers.delete(server.id)

    with pytest.raises(StaleGeneration):
        async with store.unit() as unit:
            await unit.servers.swap(server, server)


async def test_servers_are_found_by_state_and_owner(store: Store) -> None:
    first, second = await add_server(store), await add_server(store, "work")
    async with store.unit() as unit:
        ready = await unit.servers.swap(first, replace(first, state=State.READY))
        stopping = await unit.servers.swap(second, replace(second, state=State.STOPPING))

        assert await unit.servers.in_states([State.READY]) == [ready]
        assert await unit.servers.in_states([State.READY, State.STOPPING]) == [ready, stopping]
        assert await unit.servers.in_states([]) == []
        assert await unit.servers.ids_in_states([State.READY, State.STOPPING]) == [ready.id, stopping.id]
        assert await unit.servers.ids_in_states([State.STOPPING]) == [stopping.id]
        assert await unit.servers.ids_in_states([]) == []
        assert await unit.servers.by_ids([stopping.id, ready.id, 999]) == [ready, stopping]
        assert await unit.servers.by_ids([*range(10**6, 10**6 + 300), stopping.id]) == [stopping]
        assert await unit.servers.by_ids([]) == []
        assert await unit.servers.of_users([first.user_id, 999]) == [ready, stopping]
        assert await unit.servers.count_active() == 2


async def test_leases_are_renewed_by_their_holder_only(store: Store) -> None:
    first, second = await add_server(store), await add_server(store, "work")
    async with store.unit() as unit:
        await unit.servers.swap(first, replace(first, lease_holder="one", lease_until=NOW))
        await unit.servers.swap(second, replace(second, lease_holder="two", lease_until=NOW))
        await unit.servers.renew_leases("one", LATER)
        rows = await unit.servers.of_users([first.user_id])

    assert [row.lease_until for row in rows] == [LATER, NOW]


# -- sessions ----------------------------------------------------------------------------------------------------


async def test_a_session_is_found_by_secret_and_by_id_with_its_user(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        session = await add_session(unit, ada)

        assert await unit.sessions.by_secret_hash(session.secret_hash) == (session, Person(user=ada))
        assert await unit.sessions.by_id(session.id) == (session, Person(user=ada))
        assert await unit.sessions.by_id("other") is None
        assert await unit.sessions.of_user(ada.id) == [session]


async def test_the_end_of_a_session_ends_the_tokens_bound_to_it(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        session = await add_session(unit, ada)
        await add_token(unit, ada, session_id=session.id)
        free = await add_token(unit, ada)
        await unit.sessions.delete(session.id)

        assert await unit.sessions.by_id(session.id) is None
        assert await unit.tokens.of_user(ada.id) == [free]


async def test_sessions_that_have_ended_are_swept_with_their_tokens(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        old = await add_session(unit, ada, "old", expires_at=NOW)
        new = await add_session(unit, ada, "new")
        await add_token(unit, ada, session_id=old.id)
        kept = await add_token(unit, ada, session_id=new.id)

        assert await unit.sessions.delete_expired(NOW) == 1
        assert await unit.sessions.of_user(ada.id) == [new]
        assert await unit.tokens.of_user(ada.id) == [kept]


async def test_the_last_use_of_sessions_and_tokens_only_grows(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        session, token = await add_session(unit, ada), await add_token(unit, ada)
        for at in (LATER, NOW):
            await unit.sessions.touch({session.id: at})
            await unit.tokens.touch({token.id: at})
        await unit.sessions.touch({})
        await unit.tokens.touch({})
        found, touched = await unit.sessions.by_id(session.id), await unit.tokens.get(token.id)

    assert found is not None
    assert touched is not None
    assert (found[0].last_seen, touched.last_activity) == (LATER, LATER)


# -- tokens ------------------------------------------------------------------------------------------------------


async def test_tokens_are_found_by_prefix_with_their_owner(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        one, two = await add_token(unit, ada), await add_token(unit, ada, expires_at=LATER, server="ada/")
        await add_token(unit, ada, "another-")

        assert sorted(await unit.tokens.by_prefix("abcdefgh"), key=lambda found: found[0].id) == [
            (one, Person(user=ada)),
            (two, Person(user=ada)),
        ]
        assert await unit.tokens.by_prefix("unknown-") == []
        assert await unit.tokens.get(two.id) == two


async def test_ids_of_deleted_tokens_are_not_given_again(store: Store) -> None:
    """
    A visit through the door is known by its token's id: a new token must not inherit one.
    """
    async with store.unit() as unit:
        ada = await add_user(unit)
        first = await add_token(unit, ada)
        await unit.tokens.delete(first.id)
        second = await add_token(unit, ada)

    assert second.id > first.id


async def test_tokens_end_with_their_server_or_their_time(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)
        kept = await add_token(unit, ada, expires_at=LATER)
        await add_token(unit, ada, server="ada/")
        await add_token(unit, ada, expires_at=NOW)
        await unit.tokens.delete_of_server("ada/")

        assert await unit.tokens.delete_expired(NOW) == 1
        assert await unit.tokens.of_user(ada.id) == [kept]


# -- accounts and invitations ------------------------------------------------------------------------------------


async def test_accounts_are_put_replaced_and_listed_by_state(store: Store) -> None:
    async with store.unit() as unit:
        await unit.accounts.put(account("bob", AccountState.WAITING, LATER))
        await unit.accounts.put(account("ada", AccountState.WAITING))
        waiting = await unit.accounts.in_state(AccountState.WAITING)
        await unit.accounts.put(account("ada"))

        assert [row.name for row in waiting] == ["ada", "bob"]
        assert await unit.accounts.get("ada") == account("ada")
        assert await unit.accounts.in_state(AccountState.ACTIVE) == [account("ada")]


async def test_renaming_an_account_that_is_not_there_is_fine(store: Store) -> None:
    async with store.unit() as unit:
        await unit.accounts.rename("nobody", "somebody")
        await unit.accounts.delete("nobody")

        assert await unit.accounts.get("somebody") is None


async def test_an_invitation_can_be_taken_once(store: Store) -> None:
    async with store.unit() as unit:
        kept = await unit.accounts.add_invitation(invitation())
        assert await unit.accounts.invitation("c") == kept

    async def take() -> Invitation | None:
        async with store.unit() as unit:
            return await unit.accounts.take_invitation("c")

    taken = await asyncio.gather(take(), take(), take())
    assert [row for row in taken if row is not None] == [kept]


async def test_invitations_are_listed_withdrawn_and_swept(store: Store) -> None:
    async with store.unit() as unit:
        rows = [await unit.accounts.add_invitation(invitation(code)) for code in ("a", "b")]
        await unit.accounts.add_invitation(invitation("old", expires_at=NOW))

        assert await unit.accounts.delete_expired_invitations(NOW) == 1
        assert await unit.accounts.invitations() == rows
        await unit.accounts.delete_invitation(rows[0].id)
        assert await unit.accounts.invitations() == rows[1:]


async def test_the_newest_time_is_that_of_whatever_happened_last(store: Store) -> None:
    async with store.unit() as unit:
        empty = await unit.newest()
        user = await add_user(unit)
        after_user = await unit.newest()
        await add_session(unit, user)
        await unit.sessions.touch({"s1": LATER})

        assert (empty, after_user, await unit.newest()) == (None, NOW, LATER)


# -- groups ------------------------------------------------------------------------------------------------------


async def test_groups_are_put_found_and_deleted_with_their_members(store: Store) -> None:
    async with store.unit() as unit:
        ada, bob = await add_user(unit), await add_user(unit, "bob")
        first = await unit.groups.put("class", properties={"room": 1})
        again = await unit.groups.put("class", properties={"room": 2})
        other = await unit.groups.put("art", properties={})
        await unit.groups.add_members(first.id, [bob.id, ada.id])
        await unit.groups.add_members(first.id, [ada.id])
        await unit.groups.add_members(other.id, [ada.id])

        assert again == await unit.groups.by_name("class") == Group(id=first.id, name="class", properties={"room": 2})
        assert await unit.groups.members(first.id) == ["ada", "bob"]
        assert await unit.groups.of_users([ada.id, bob.id, 999]) == {ada.id: ["art", "class"], bob.id: ["class"]}
        await unit.groups.remove_members(first.id, [ada.id])
        await unit.groups.delete(other.id)
        assert await unit.groups.of_users([ada.id]) == {}
        await unit.users.delete(bob.id)
        assert await unit.groups.members(first.id) == []
        assert await unit.groups.by_name("art") is None


# -- what hubs share ---------------------------------------------------------------------------------------------


async def test_a_newer_incarnation_of_a_hub_takes_its_name_for_good(store: Store) -> None:
    async with store.unit() as unit:
        old = await unit.hubs.register("one", version="1", now=NOW, until=NOW)
        new = await unit.hubs.register("one", version="2", now=LATER, until=LATER)

        assert (old.incarnation, new.incarnation) == (1, 2)
        assert not await unit.hubs.renew(old, LATER)
        assert await unit.hubs.renew(new, LATER)
        await unit.hubs.leave(old)
        assert await unit.hubs.all() == [new]
        await unit.hubs.leave(new)
        assert await unit.hubs.all() == []


async def test_what_was_counted_by_key_is_replaced_and_forgotten(store: Store) -> None:
    async with store.unit() as unit:
        await unit.attempts.put({"a": [NOW, LATER], "b": [NOW]})
        await unit.attempts.put({"c": [NOW], "b": []})

        assert await unit.attempts.times(["a", "b", "c", "d"]) == {"a": (NOW, LATER), "c": (NOW,)}
        assert await unit.attempts.delete_older(LATER) == 1
        assert await unit.attempts.times(["a", "c"]) == {"a": (NOW, LATER)}


async def test_the_queue_needs_little_of_a_server(store: Store) -> None:
    server = await add_server(store)
    async with store.unit() as unit:
        queued = await unit.servers.swap(server, replace(server, state=State.QUEUED, queued_at=LATER))
        entry = Entry(server_id=server.id, user_id=server.user_id, queued_at=LATER)

        assert await unit.servers.entries([State.QUEUED]) == [entry]
        assert await unit.servers.entries([State.READY]) == []
        await unit.servers.swap(queued, replace(queued, state=State.READY, started_at=LATER, queued_at=None))
        assert await unit.servers.entries([State.READY]) == [replace(entry, queued_at=NOW, began=LATER)]
        assert await unit.servers.entries([State.READY], since=LATER + timedelta(seconds=1)) == []
        assert (await unit.servers.count_in([State.READY]), await unit.servers.count_in([State.QUEUED])) == (1, 0)


async def test_a_fact_is_the_one_that_was_put_last(store: Store) -> None:
    async with store.unit() as unit:
        assert await unit.facts.get("key") is None
        await unit.facts.put("key", "one")
        await unit.facts.put("key", "two")

        assert await unit.facts.get("key") == "two"


async def test_a_notice_is_told_once_its_unit_is_committed_and_never_otherwise(store: Store) -> None:
    heard = store.notices()
    assert await anext(heard) == Notice(Kind.LOST)

    async def fail() -> None:
        async with store.unit() as unit:
            unit.notify(Notice(Kind.SERVER, 1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with store.unit() as unit:
        unit.notify(Notice(Kind.SERVER, 2))
        unit.notify(Notice(Kind.PROGRESS, 2, "half"))

    async with asyncio.timeout(10):
        assert [await anext(heard), await anext(heard)] == [Notice(Kind.SERVER, 2), Notice(Kind.PROGRESS, 2, "half")]


async def test_a_reading_unit_sees_what_was_committed(store: Store) -> None:
    async with store.unit() as unit:
        ada = await add_user(unit)

    async with store.reading() as unit:
        assert await unit.users.by_name("ada") == ada
