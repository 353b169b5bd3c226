from __future__ import annotations

import pytest

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import (
    InvalidRequest,
    InvalidScope,
    NoSuchServer,
    NoSuchShare,
    NoSuchUser,
    NotAllowed,
)
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.usecases.servers import RemoveServer
from perijove.hub.usecases.shares import Recipient, Shares
from perijove.hub.usecases.users import DeleteUser, PatchUser
from tests.unit.hub.usecases.people import People, service

#: what an administrator gives ordinary users who may share
SHARING = {"name": "user", "scopes": ["self", "shares!user", "read:users:name", "read:groups:name"]}
BOB = Recipient(user="bob")
LAB = Recipient(group="lab")
READ = "access:servers:read"
WRITE = "access:servers:write"
ALL = "access:servers"


class Sharing(People):
    """People who may share their servers."""

    def __init__(self) -> None:
        super().__init__(roles=[SHARING])
        self.shares = Shares(store=self.store, clock=self.clock, revocations=self.revocations)
        self.patch = PatchUser(
            store=self.store, clock=self.clock, revocations=self.revocations, auth_states=self.auth_states
        )

    async def with_server(self, name: str, server: str = "") -> Principal:
        """*name*, who has a server."""
        principal = await self.principal(name)
        async with self.store.unit() as unit:
            await unit.servers.add(user_id=principal.user_id, name=server, created=self.clock.now())
        return principal

    async def scopes_of(self, name: str) -> set[str]:
        """What *name* may do in servers of ada."""
        return {text for text in (await self.principal(name)).scopes if "!server=ada/" in text}

    def revoked(self) -> list[tuple[str, str]]:
        """Who was refused where, since this was asked last."""
        told = [(revocation.user, revocation.audience) for revocation in self.proxy.revocations]
        self.proxy.revocations.clear()
        return told

    async def group(self, name: str, *members: str) -> None:
        """A group with these members."""
        ids = [(await self.user(member)).id for member in members]
        async with self.store.unit() as unit:
            row = await unit.groups.put(name, properties={})
            await unit.groups.add_members(row.id, ids)


@pytest.fixture
def people() -> Sharing:
    return Sharing()


async def test_a_share_gives_all_access_unless_it_says_less(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")

    granted = await people.shares.grant(ada, "ada", "", BOB)

    assert granted.share.full_scopes == ("access:servers!server=ada/",)
    assert granted.server.key == "ada/"
    assert await people.scopes_of("bob") == {f"{scope}!server=ada/" for scope in (READ, WRITE, ALL)}


async def test_sharing_more_adds_to_what_is_shared(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB, ["read:servers!server=ada/"])

    granted = await people.shares.grant(ada, "ada", "", BOB, [READ])

    assert granted.share.scopes == (READ, "read:servers")
    assert len(await people.shares.of_server("ada", "")) == 1


async def test_who_may_do_more_or_less_than_before_comes_in_anew_and_nobody_else(people: Sharing) -> None:
    """
    Their identity token says what they may do, and lives as long as their session.
    """
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.enter("eve")
    await people.shares.grant(ada, "ada", "", Recipient(user="eve"), [READ])
    await people.shares.grant(ada, "ada", "", BOB, [READ])
    first = people.revoked()
    await people.shares.grant(ada, "ada", "", BOB, [READ])
    same = people.revoked()
    await people.shares.grant(ada, "ada", "", BOB, [WRITE])
    more = people.revoked()
    await people.shares.grant(ada, "ada", "", BOB, [ALL])
    most = people.revoked()
    await people.shares.revoke(ada, "ada", "", BOB, [ALL, WRITE])
    less = people.revoked()
    await people.shares.revoke(ada, "ada", "", BOB)
    none = people.revoked()

    # Who may save already may have something open that is not saved yet.
    assert (first, same, most) == ([], [], [])
    assert (more, less, none) == ([("bob", "ada/")], [("bob", "ada/")], [("bob", "ada/")])
    assert await people.scopes_of("bob") == set()


async def test_taking_back_some_leaves_the_rest(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB, [READ, "read:servers"])

    left = await people.shares.revoke(ada, "ada", "", BOB, ["read:servers!server=ada/"])
    untouched = await people.shares.revoke(ada, "ada", "", BOB, [WRITE])
    gone = await people.shares.revoke(ada, "ada", "", BOB, [READ])

    assert left is not None
    assert untouched is not None
    assert left.share.scopes == untouched.share.scopes == (READ,)
    assert gone is None
    assert await people.shares.of_server("ada", "") == []


async def test_taking_back_from_nobody_is_nothing(people: Sharing) -> None:
    ada = await people.with_server("ada")

    assert await people.shares.revoke(ada, "ada", "", Recipient(user="nobody")) is None
    assert await people.shares.revoke(ada, "ada", "", LAB) is None
    assert people.revoked() == []


async def test_somebody_is_given_exactly_a_level(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    for scope in (ALL, READ, WRITE):
        granted = await people.shares.set_to(ada, "ada", "", BOB, [scope])

        assert granted.share.scopes == (scope,)


async def test_a_group_shares_with_its_members_and_the_owner_loses_nothing(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.group("lab", "ada", "bob")

    await people.shares.grant(ada, "ada", "", LAB, [READ])
    in_the_group = await people.scopes_of("bob")
    await people.shares.revoke_all(ada, "ada", "")

    assert in_the_group == {f"{READ}!server=ada/"}
    assert people.revoked() == [("bob", "ada/")]
    assert await people.scopes_of("bob") == set()


async def test_what_is_shared_is_seen_from_both_sides(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.with_server("bob")
    await people.group("lab", "bob")
    direct = await people.shares.grant(ada, "ada", "", BOB, [READ])
    by_group = await people.shares.grant(ada, "ada", "", LAB, [WRITE])

    assert await people.shares.of_owner("ada") == await people.shares.of_server("ada", "") == [direct, by_group]
    assert await people.shares.with_user("bob") == [direct, by_group]
    assert await people.shares.with_group("lab") == [by_group]
    assert await people.shares.one(BOB, "ada", "") == direct
    assert await people.shares.one(LAB, "ada", "") == by_group
    assert await people.shares.of_owner("bob") == []


async def test_a_share_is_left(people: Sharing) -> None:
    ada = await people.with_server("ada")
    bob = await people.principal("bob")
    await people.shares.grant(ada, "ada", "", BOB)

    await people.shares.leave(bob, BOB, "ada", "")

    assert people.revoked() == [("bob", "ada/")]
    with pytest.raises(NoSuchShare):
        await people.shares.leave(bob, BOB, "ada", "")
    with pytest.raises(NoSuchShare):
        await people.shares.one(BOB, "ada", "")


async def test_what_is_not_there_is_said_to_be_so(people: Sharing) -> None:
    ada = await people.with_server("ada")
    for error, call in (
        (NoSuchUser, people.shares.of_owner("nobody")),
        (NoSuchUser, people.shares.with_user("nobody")),
        (NoSuchShare, people.shares.with_group("nobody")),
        (NoSuchServer, people.shares.of_server("ada", "work")),
        (NoSuchServer, people.shares.of_server("nobody", "")),
        (NoSuchServer, people.shares.grant(ada, "ada", "work", BOB)),
        (NoSuchServer, people.shares.revoke_all(ada, "ada", "work")),
        (NoSuchShare, people.shares.one(BOB, "ada", "")),
        (NoSuchShare, people.shares.one(BOB, "ada", "work")),
    ):
        with pytest.raises(error):
            await call


async def test_a_default_server_that_was_never_started_can_be_shared(people: Sharing) -> None:
    ada = await people.principal("ada")
    await people.enter("bob")
    before = await people.shares.of_server("ada", "")
    await people.shares.revoke_all(ada, "ada", "")

    await people.shares.grant(ada, "ada", "", BOB)

    assert before == []
    assert [granted.share.user for granted in await people.shares.of_server("ada", "")] == ["bob"]


async def test_who_shared_what_with_whom_is_in_the_audit_log(people: Sharing) -> None:
    ada = await people.with_server("ada")
    bob = await people.principal("bob")
    await people.shares.grant(ada, "ada", "", BOB, [READ])
    await people.shares.leave(bob, BOB, "ada", "")

    async with people.store.reading() as unit:
        left, given = [e for e in await unit.audit.page(limit=9, target="ada") if "to" in e.detail]

    assert (given.action, given.actor, given.detail["to"], given.detail["scopes"]) == (
        Action.SHARED,
        "ada",
        "bob",
        READ,
    )
    assert (left.action, left.actor) == (Action.UNSHARED, "bob")


# -- what must not be ------------------------------------------------------------------------------------------------


async def test_nobody_shares_what_they_have_not(people: Sharing) -> None:
    """
    Neither more than their token may, nor another's server, nor what comes with something that they have not.
    """
    ada = await people.with_server("ada")
    await people.with_server("eve")
    await people.enter("bob")
    narrow = service("script", "shares!server=ada/", f"{READ}!server=ada/", "read:users:name")
    for giver, owner, scope in (
        (narrow, "ada", WRITE),
        (narrow, "ada", ALL),
        (narrow, "ada", "shares"),
        (ada, "ada", "admin:server_state"),
        (ada, "ada", "admin:servers"),
        (ada, "eve", READ),
    ):
        with pytest.raises(NotAllowed, match=f"grant share with scope {scope}!server={owner}/"):
            await people.shares.grant(giver, owner, "", BOB, [scope])
    await people.shares.grant(narrow, "ada", "", BOB, [READ])

    assert await people.scopes_of("bob") == {f"{READ}!server=ada/"}


@pytest.mark.parametrize(
    "scope",
    [
        "self",
        "inherit",
        "no:such:scope",
        f"{ALL}!user=ada",
        f"{ALL}!server=eve/",
        f"{ALL}!server=ada/work",
        f"{ALL}!server",
        f"{ALL}!group=lab",
        "read:users",
    ],
)
async def test_what_cannot_be_narrowed_to_the_server_is_refused(people: Sharing, scope: str) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")

    with pytest.raises(InvalidScope):
        await people.shares.grant(ada, "ada", "", BOB, [scope])
    with pytest.raises(InvalidScope):
        await people.shares.revoke(ada, "ada", "", BOB, [scope])


async def test_names_are_not_found_out_by_sharing(people: Sharing) -> None:
    await people.with_server("ada")
    await people.enter("bob")
    await people.group("lab")
    quiet = service("script", *expand(["shares!server=ada/", "read:users:name!user=bob"], Holder()))

    for to in (Recipient(user="eve"), Recipient(user="nobody"), LAB, Recipient(group="none")):
        with pytest.raises(NotAllowed, match="Need scope"):
            await people.shares.grant(quiet, "ada", "", to)
    await people.shares.grant(quiet, "ada", "", BOB)


async def test_there_must_be_somebody_to_share_with_who_is_not_the_owner(people: Sharing) -> None:
    ada = await people.with_server("ada")

    for to in (Recipient(user="nobody"), Recipient(group="nobody"), Recipient(user="ada")):
        with pytest.raises(InvalidRequest):
            await people.shares.grant(ada, "ada", "", to)
    for user, group in (("", ""), ("bob", "lab")):
        with pytest.raises(InvalidRequest):
            Recipient(user=user, group=group)


async def test_nothing_of_a_removed_server_is_left_for_the_next_of_its_name(people: Sharing) -> None:
    ada = await people.with_server("ada", "work")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "work", BOB)
    user = await people.user("ada")

    await RemoveServer(store=people.store, revocations=people.revocations)(user, "work")
    refused = people.revoked()
    await people.with_server("ada", "work")

    assert refused == [("bob", "ada/work")]
    assert await people.scopes_of("bob") == set()
    assert await people.shares.of_server("ada", "work") == []


async def test_a_share_follows_a_renamed_owner_and_leaves_the_old_name_alone(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB)
    root = await people.principal("root")

    await people.patch("ada", root, new_name="grace")
    refused = people.revoked()
    await people.with_server("ada")

    assert ("bob", "ada/") in refused
    assert await people.scopes_of("bob") == set()
    assert "access:servers!server=grace/" in (await people.principal("bob")).scopes


async def test_a_renamed_recipient_keeps_the_share_and_the_old_name_has_none(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB)
    root = await people.principal("root")

    await people.patch("bob", root, new_name="rob")
    await people.enter("bob")

    assert await people.scopes_of("bob") == set()
    assert f"{ALL}!server=ada/" in await people.scopes_of("rob")


async def test_who_comes_after_a_deleted_owner_shares_nothing(people: Sharing) -> None:
    ada = await people.with_server("ada")
    await people.enter("bob")
    await people.shares.grant(ada, "ada", "", BOB)
    delete = DeleteUser(
        store=people.store,
        clock=people.clock,
        stop_server=Stopped(people),  # type: ignore[arg-type]  # nothing runs
        revocations=people.revocations,
        stop_timeout=1,
    )

    await delete("ada", await people.principal("root"))
    refused = people.revoked()
    await people.with_server("ada")

    assert ("bob", "ada/") in refused
    assert await people.scopes_of("bob") == set()


class Stopped:
    """Stops servers that do not run."""

    def __init__(self, people: Sharing) -> None:
        self._people = people

    async def and_wait(self, user: User, name: str, **_asked: object) -> Server | None:
        """The row as it is."""
        async with self._people.store.reading() as unit:
            return await unit.servers.get(user.id, name)
