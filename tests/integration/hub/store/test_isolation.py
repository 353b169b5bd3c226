"""
Two hubs at once over one database: whatever reads and then writes is alone with what it read.

The first of two is held just before it commits. The other then either ends, or waits for the first; only when one
of the two has happened is the first let go. So each test is one order of events, not a matter of luck.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from perijove.config.settings import ServerPolicy
from perijove.hub.domain.accounts import AccountState
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import HubError
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.notices import Notice
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.store.sql import SqlStore
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.audit_chain import AuditChain, verify
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.servers import CreateServer
from perijove.hub.usecases.testing import START, FakeClock, FakeRandomness
from perijove.hub.usecases.users import CreateUsers, DeleteUser, PatchUser
from perijove.kit.tasks import TaskGroup
from tests.support.databases import Databases
from tests.support.site import eventually
from tests.unit.hub.usecases.people import PASSWORD, People
from tests.unit.hub.usecases.world import Hub, World

pytestmark = pytest.mark.timeout(200)
ROOT = Principal(kind=Kind.USER, name="root", scopes=frozenset(), admin=True)
#: seconds in which anything here is done, also on a busy machine
PATIENCE = 60


class HeldStore:
    """A store of which one unit waits before it commits: the first, or the first that was alone with something."""

    def __init__(self, inner: Store, alone: str) -> None:
        self._inner = inner
        self._alone = alone
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    @asynccontextmanager
    async def unit(self) -> AsyncIterator[Unit]:
        said: set[str] = set()
        async with self._inner.unit() as unit:
            yield cast("Unit", ListeningUnit(unit, said))
            if not self.reached.is_set() and (not self._alone or self._alone in said):
                self.reached.set()
                await asyncio.wait_for(self.go.wait(), PATIENCE)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Unit]:
        async with self._inner.reading() as unit:
            yield unit

    def notices(self) -> AsyncGenerator[Notice, None]:
        return self._inner.notices()

    async def ping(self) -> None:
        await self._inner.ping()


class ListeningUnit:
    """A unit that keeps what it was alone with."""

    def __init__(self, unit: Unit, said: set[str]) -> None:
        self._unit = unit
        self._said = said

    def __getattr__(self, name: str) -> Any:
        return getattr(self._unit, name)

    async def alone(self, what: str) -> None:
        await self._unit.alone(what)
        self._said.add(what)


@dataclass
class Two:
    """Two hubs' ways to one PostgreSQL."""

    one: Store
    other: Store
    is_waiting: Callable[[], bool]
    randomness: FakeRandomness

    def people(self, store: Store) -> People:
        return People(store=store, randomness=self.randomness)

    async def overlap(
        self, first: Callable[[Store], Awaitable[Any]], second: Callable[[Store], Awaitable[Any]], *, alone: str = ""
    ) -> list[Any]:
        """What came of both; *first* is held before the commit of its unit that is *alone* with that."""
        held = HeldStore(self.one, alone)
        async with TaskGroup("two") as tasks:
            one = tasks.start("first", settle(first(held)))
            reached = tasks.start("reached", held.reached.wait())
            await asyncio.wait({one, reached}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            assert reached.done(), "it ended before it could be held"
            other = tasks.start("second", settle(second(self.other)))
            await asyncio.to_thread(eventually, lambda: other.done() or self.is_waiting(), within=PATIENCE)
            held.go.set()
            async with asyncio.timeout(PATIENCE):
                return [await one, await other]


async def settle(work: Awaitable[Any]) -> Any:
    """What it answers, or how it is refused."""
    try:
        return await work
    except HubError as exc:
        return exc


def refusals(results: list[Any]) -> list[str]:
    return [type(result).__name__ for result in results if isinstance(result, HubError)]


@pytest.fixture
async def two(databases: Databases) -> AsyncIterator[Two]:
    with databases.fresh("postgresql") as db_url:
        name = db_url.split("@/")[1].split("?")[0]

        def is_waiting() -> bool:
            with databases.postgres.connect(name) as connection:
                found = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock'", (name,)
                )
                row = found.fetchone()
            assert row is not None
            return bool(row[0])

        async with AsyncExitStack() as stack:
            one = await stack.enter_async_context(SqlStore(db_url))
            other = await stack.enter_async_context(SqlStore(db_url))
            for store in (one, other):
                # With the first connection SQLAlchemy learns of the server; cancelled in that, as a hub that ends
                # cancels its loops, it leaves closing to Python.
                await store.ping()
            yield Two(one, other, is_waiting, FakeRandomness())


async def start(world: World, store: Store, user: User, policy: ServerPolicy | None = None) -> Server:
    async with hub_over(world, store, policy) as hub:
        return await hub.start(user, "")


@asynccontextmanager
async def hub_over(world: World, store: Store, policy: ServerPolicy | None = None) -> AsyncIterator[Hub]:
    before, world.store = world.store, store
    async with world.hub(policy=policy) as hub:
        world.store = before
        yield hub


async def test_two_browsers_that_come_with_the_same_new_name_both_get_in(two: Two) -> None:
    async def enter(store: Store) -> str:
        return (await two.people(store).enter("ada")).user.name

    assert await two.overlap(enter, enter) == ["ada", "ada"]


async def test_one_invitation_that_is_accepted_twice_makes_one_account(two: Two) -> None:
    _, code = await two.people(two.one).invitations.invite(ROOT)

    def accept(name: str) -> Callable[[Store], Awaitable[Any]]:
        return lambda store: two.people(store).invitations.accept(
            code, name=name, password=PASSWORD, address="", user_agent=""
        )

    results = await two.overlap(accept("ada"), accept("bob"), alone="user ada")

    assert refusals(results) == ["NoSuchInvitation"]
    async with two.one.unit() as unit:
        assert [await unit.users.by_name(name) is not None for name in ("ada", "bob")] == [True, False]


async def test_of_two_invitations_to_one_name_the_second_takes_nothing_over(two: Two) -> None:
    """
    Else whoever came second would have the account of whoever came first, with a password of their own.
    """
    invitations = two.people(two.one).invitations
    codes = [(await invitations.invite(ROOT, name="ada"))[1] for _ in range(2)]

    def accept(code: str, password: str) -> Callable[[Store], Awaitable[Any]]:
        return lambda store: two.people(store).invitations.accept(
            code, name="", password=password, address="", user_agent=""
        )

    results = await two.overlap(accept(codes[0], PASSWORD), accept(codes[1], "another password"), alone="user ada")

    assert refusals(results) == ["AlreadyExists"]
    async with two.one.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert account.password_hash == f"hash of {PASSWORD}"


async def test_a_stranger_who_signs_up_does_not_replace_an_account_made_in_that_moment(two: Two) -> None:
    _, code = await two.people(two.one).invitations.invite(ROOT)

    def accept(store: Store) -> Awaitable[Any]:
        return two.people(store).invitations.accept(code, name="ada", password=PASSWORD, address="", user_agent="")

    def sign_up(store: Store) -> Awaitable[Any]:
        return two.people(store).sign_up(name="ada", password="the stranger's password", address="10.0.0.9")

    await two.overlap(accept, sign_up, alone="user ada")

    async with two.one.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert account.state is AccountState.ACTIVE
    assert account.password_hash == f"hash of {PASSWORD}"


async def test_two_links_for_the_first_administrator_do_not_stay_valid_together(two: Two) -> None:
    results = await two.overlap(
        lambda store: two.people(store).first_admin.link_code(),
        lambda store: two.people(store).first_admin.link_code(),
    )

    assert len(set(results)) == 2
    async with two.one.unit() as unit:
        assert len(await unit.accounts.invitations()) == 1


async def test_somebody_who_is_approved_and_refused_at_once_is_one_of_the_two(two: Two) -> None:
    people = two.people(two.one)
    await people.sign_up(name="ada", password=PASSWORD, address="")

    results = await two.overlap(
        lambda store: two.people(store).sign_up.approve(ROOT, "ada"),
        lambda store: two.people(store).sign_up.refuse(ROOT, "ada"),
    )

    assert refusals(results) == ["NoSuchUser"]
    async with two.one.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert account.state is AccountState.ACTIVE


def delete_user(hub: Hub, store: Store) -> DeleteUser:
    return DeleteUser(
        store=store, clock=FakeClock(), stop_server=hub.stop, revocations=hub.revocations, stop_timeout=PATIENCE
    )


async def test_a_server_is_not_started_for_a_user_who_is_being_deleted(two: Two) -> None:
    """
    Else its row would go, and its process stay.
    """
    world = World(two.one)
    ada = await world.add_user()

    async def delete(store: Store) -> None:
        async with hub_over(world, store) as hub:
            await delete_user(hub, store)("ada", ROOT)

    results = await two.overlap(delete, lambda store: start(world, store, ada), alone="user ada")

    assert len(refusals(results)) == 1
    assert isinstance(results[1], HubError)
    async with two.one.unit() as unit:
        assert await unit.users.by_name("ada") is None
    assert world.spawners.running() == []


async def test_a_user_whose_server_starts_in_that_moment_is_not_deleted(two: Two) -> None:
    world = World(two.one)
    ada = await world.add_user()

    async def delete(store: Store) -> None:
        async with hub_over(world, store) as hub:
            await delete_user(hub, store)("ada", ROOT)

    results = await two.overlap(lambda store: start(world, store, ada), delete, alone="user ada")

    assert refusals(results) == ["InvalidRequest"]
    async with two.one.unit() as unit:
        server = await unit.servers.by_key("ada", "")
    assert server is not None
    assert server.state is not State.STOPPED


async def test_a_server_that_is_asked_for_twice_is_started_once(two: Two) -> None:
    world = World(two.one)
    ada = await world.add_user()

    one, other = await two.overlap(
        lambda store: start(world, store, ada), lambda store: start(world, store, ada), alone="user ada"
    )

    assert one.generation == other.generation
    assert one.id == other.id


async def test_the_limit_of_named_servers_holds_for_two_that_are_made_at_once(two: Two) -> None:
    world = World(two.one)
    ada = await world.add_user()
    policy = ServerPolicy(allow_named_servers=True, named_server_limit_per_user=1)

    def create(name: str) -> Callable[[Store], Awaitable[Any]]:
        return lambda store: CreateServer(store=store, clock=world.clock, policy=policy)(ada, name)

    results = await two.overlap(create("a"), create("b"))

    assert refusals(results) == ["InvalidRequest"]


async def test_the_limit_of_active_servers_holds_for_two_that_start_at_once(two: Two) -> None:
    world = World(two.one)
    ada, bob = [await world.add_user(name) for name in ("ada", "bob")]
    policy = ServerPolicy(active_server_limit=1)

    results = await two.overlap(
        lambda store: start(world, store, ada, policy),
        lambda store: start(world, store, bob, policy),
        alone="active servers",
    )

    assert refusals(results) == ["TooManyServers"]


async def test_of_two_renamings_to_one_name_one_is_refused(two: Two) -> None:
    world = World(two.one)
    for name in ("ada", "bob"):
        await world.add_user(name)
    revocations = two.people(two.one).revocations

    def patch(store: Store) -> PatchUser:
        states = AuthStateBook(store=store, vault=None)
        return PatchUser(store=store, clock=FakeClock(), revocations=revocations, auth_states=states)

    def rename(name: str) -> Callable[[Store], Awaitable[Any]]:
        return lambda store: patch(store)(name, ROOT, new_name="eve")

    results = await two.overlap(rename("ada"), rename("bob"))

    assert refusals(results) == ["InvalidRequest"]


async def test_lists_of_new_users_that_overlap_are_both_added(two: Two) -> None:
    def create(*names: str) -> Callable[[Store], Awaitable[Any]]:
        return lambda store: CreateUsers(store=store, clock=two.people(store).clock)(names, admin=False, asker=ROOT)

    one, other = await two.overlap(create("ada", "bob"), create("bob", "ada", "eve"))

    assert [[user.name for user in users] for users in (one, other)] == [["ada", "bob"], ["eve"]]


async def test_a_list_of_new_users_goes_on_when_one_of_them_is_added_in_that_moment(two: Two) -> None:
    def create(store: Store) -> CreateUsers:
        return CreateUsers(store=store, clock=two.people(store).clock)

    one, other = await two.overlap(
        lambda store: create(store).one("ada", admin=False, asker=ROOT),
        lambda store: create(store)(["ada", "bob"], admin=False, asker=ROOT),
    )

    assert one.name == "ada"
    assert [user.name for user in other] == ["bob"]


async def test_a_password_that_is_changed_while_the_account_goes_does_not_bring_it_back(two: Two) -> None:
    people = two.people(two.one)
    _, code = await people.invitations.invite(ROOT)
    signed_in = await people.invitations.accept(code, name="ada", password=PASSWORD, address="", user_agent="")
    world = World(two.one)

    async def delete(store: Store) -> None:
        async with hub_over(world, store) as hub:
            await delete_user(hub, store)("ada", ROOT)

    results = await two.overlap(
        delete,
        lambda store: two.people(store).change_password(signed_in.user, old=PASSWORD, new="a newer password"),
        alone="user ada",
    )

    assert refusals(results) == ["Conflict"]
    async with two.one.unit() as unit:
        account = await unit.accounts.get("ada")
    assert account is not None
    assert account.state is AccountState.RETIRED


async def test_of_two_swaps_of_one_row_the_second_is_stale(two: Two) -> None:
    world = World(two.one)
    ada = await world.add_user()
    async with two.one.unit() as unit:
        row = await unit.servers.add(user_id=ada.id, name="", created=START)

    async def take(store: Store) -> Server:
        async with store.unit() as unit:
            return await unit.servers.swap(row, replace(row, generation=row.generation + 1))

    assert refusals(await two.overlap(take, take)) == ["StaleGeneration"]


async def test_what_hubs_put_at_once_is_one_of_the_two_and_nobody_fails(two: Two) -> None:
    async def put(store: Store) -> int:
        async with store.unit() as unit:
            hub = await unit.hubs.register("host", version="1", now=START, until=START + timedelta(seconds=10))
            await unit.facts.put("colour", "blue")
            await unit.attempts.put({"bob": [START], "ada": [START]})
            group = await unit.groups.put("students", properties={})
            await unit.groups.add_members(group.id, [])
            return hub.incarnation

    assert await two.overlap(put, put) == [1, 2]


async def test_a_reading_unit_waits_for_no_writer_and_sees_one_moment(two: Two) -> None:
    async def add(store: Store) -> None:
        async with store.unit() as unit:
            await unit.users.add(name="ada", admin=False, created=START)

    async def look(store: Store) -> int:
        async with store.reading() as unit:
            before = (await unit.users.page(offset=0, limit=10))[1]
            await add(store)
            return before + (await unit.users.page(offset=0, limit=10))[1]

    async def look_only(store: Store) -> int:
        async with store.reading() as unit:
            return (await unit.users.page(offset=0, limit=10))[1]

    assert await two.overlap(add, look_only) == [None, 0]
    async with two.one.unit() as unit:
        await unit.users.rename(1, "bob")
    assert await look(two.other) == 2


async def test_a_reading_unit_cannot_write(two: Two) -> None:
    with pytest.raises(HubError):
        async with two.one.reading() as unit:
            await unit.users.add(name="ada", admin=False, created=START)


async def test_two_hubs_that_seal_the_audit_log_make_one_chain(two: Two) -> None:
    async def tell(count: int) -> None:
        async with two.one.unit() as unit:
            for number in range(count):
                await record(unit, Action.SHARED, at=START, by=ROOT, target=f"user{number}")

    def seal(store: Store) -> Awaitable[int]:
        return AuditChain(store=store, clock=FakeClock()).seal()

    await tell(3)
    first = await two.overlap(seal, seal)
    await tell(2)
    await seal(two.other)

    verifier = await verify(two.one)
    assert first == [3, 0]
    assert (verifier.count, verifier.faults()) == (5, [])
