"""
Sharing a server with a user or a group, taking it back, leaving it, and seeing who shares what (contract d22, d23,
d31 to d35).

A share is never more than its giver may. Whoever may do less than before in a server is refused at the proxies' doors
until the hub has let them in anew, with what they may now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import InvalidRequest, InvalidScope, NoSuchServer, NoSuchShare, NoSuchUser, NotAllowed
from perijove.hub.domain.groups import Group
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.shares import Share
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.scopes.decision import GroupResource, ServerResource, UserResource, may
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.rights import rights_of
from perijove.hub.scopes.shareable import bare_scopes, not_held
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.share_visits import NOBODY, Visits, visits_of, visits_of_servers
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock
from perijove.wire.identity import WRITE

log = structlog.get_logger(__name__)

#: what is shared by somebody who does not say what (contract d33)
DEFAULT_SCOPES: Final = ("access:servers",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Somebody to share with; exactly one of the two is not empty."""

    user: str = ""
    group: str = ""

    def __post_init__(self) -> None:
        if bool(self.user) == bool(self.group):
            raise InvalidRequest("Specify exactly one of `user` or `group`")

    def __str__(self) -> str:
        return self.user or f"group {self.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A share with the server that it is of."""

    share: Share
    server: Server


def shareable_scopes(giver: Principal, scopes: Sequence[str] | None, server: ServerResource) -> tuple[str, ...]:
    """
    The bare scopes that *giver* may share of *server*; None or none is all access.

    Raises:
        InvalidScope: one of them does not exist, or cannot be shared.
        NotAllowed: *giver* has not got one of them.
    """
    try:
        bare = bare_scopes(scopes or DEFAULT_SCOPES, server)
    except BadScope as exc:
        raise InvalidScope(str(exc)) from exc
    missing = not_held(giver, bare, server)
    if missing:
        scope = f"{missing[0]}!server={server.user}/{server.server}"
        raise NotAllowed(f"Do not have permission to grant share with scope {scope}")
    return bare


async def server_to_share(unit: Unit, clock: Clock, owner: str, name: str) -> Server:
    """
    The server's row; the default server counts as there though it was never started, and is made.

    Raises:
        NoSuchServer: nobody has that name, or they have no such server.
    """
    server = await unit.servers.by_key(owner, name)
    user = await unit.users.by_name(owner) if server is None and not name else None
    if user is not None:
        server = await unit.servers.add(user_id=user.id, name=name, created=clock.now())
    if server is None:
        raise NoSuchServer(f"No such server: {owner}/{name}")
    return server


async def give(
    unit: Unit, clock: Clock, server: Server, to: User | Group, scopes: Iterable[str]
) -> tuple[Share, Visits]:
    """Add *scopes* to what *to* has of *server*, in *unit*; the share, and who has to come in anew."""
    whom = {"user_id": to.id} if isinstance(to, User) else {"group_id": to.id}
    before = await unit.shares.get(server.id, **whom)
    held = before.scopes if before is not None else ()
    wanted = tuple(sorted({*held, *scopes}))
    if before is not None and wanted == held:
        return before, NOBODY
    # Who had nothing has no identity token that would have to be made anew. Who may save already keeps theirs until
    # they come in from the hub again: what they have open and not saved yet must not be refused.
    shares = await unit.shares.of_servers([server.id])
    saving = await visits_of(unit, [other for other in shares if WRITE in rights_of(other.scopes)])
    looking = await visits_of(unit, shares) - saving
    share = await unit.shares.put(server.id, **whom, scopes=wanted, created=clock.now())
    return share, looking & await visits_of(unit, [share])


class Shares:
    """Shares of servers."""

    def __init__(self, *, store: Store, clock: Clock, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._revocations = revocations

    async def of_owner(self, owner: str) -> Sequence[Granted]:
        """All that *owner* shares, of whichever server. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            user = await unit.users.by_name(owner)
            if user is None:
                raise NoSuchUser(f"No such user: {owner}")
            rows = await unit.servers.of_users([user.id])
            return await _granted(unit, await unit.shares.of_servers([row.id for row in rows]))

    async def of_server(self, owner: str, name: str) -> Sequence[Granted]:
        """Everybody who has a share of one server. Raises NoSuchServer."""
        async with self._store.reading() as unit:
            server = await _find(unit, owner, name)
            return await _granted(unit, await unit.shares.of_servers([server.id] if server is not None else []))

    async def with_user(self, name: str) -> Sequence[Granted]:
        """All that others share with a user, also by way of groups. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            user = await unit.users.by_name(name)
            if user is None:
                raise NoSuchUser(f"No such user: {name}")
            return await _granted(unit, await unit.shares.with_user(user.id))

    async def with_group(self, name: str) -> Sequence[Granted]:
        """All that is shared with a group. Raises NoSuchShare."""
        async with self._store.reading() as unit:
            group = await unit.groups.by_name(name)
            if group is None:
                raise NoSuchShare(f"No such group: {name}")
            return await _granted(unit, await unit.shares.with_group(group.id))

    async def one(self, to: Recipient, owner: str, name: str) -> Granted:
        """What *to* itself has of one server. Raises NoSuchShare."""
        async with self._store.reading() as unit:
            return await _one(unit, to, owner, name)

    async def grant(
        self, giver: Principal, owner: str, name: str, to: Recipient, scopes: Sequence[str] | None = None
    ) -> Granted:
        """
        Share a server, or share more of it (contract d33).

        Raises:
            InvalidScope: a scope does not exist, or cannot be shared.
            NotAllowed: *giver* has not got one of them, or may not know the names of those to share with.
            NoSuchServer: there is no such server.
            InvalidRequest: nobody has that name, or it is the owner's.
        """
        wanted = shareable_scopes(giver, scopes, ServerResource(owner, name))
        _check_knows(giver, to)
        async with self._store.unit() as unit:
            await alone_with(unit, owner)
            server = await server_to_share(unit, self._clock, owner, name)
            recipient = await _recipient(unit, to)
            if recipient is None:
                raise InvalidRequest(f"No such {'user' if to.user else 'group'}: {to.user or to.group}")
            if to.user == owner:
                raise InvalidRequest("The owner of a server needs no share of it.")
            share, visits = await give(unit, self._clock, server, recipient, wanted)
            await record(
                unit,
                Action.SHARED,
                at=self._clock.now(),
                by=giver,
                target=owner,
                server=name,
                to=str(to),
                scopes=" ".join(wanted),
            )
        log.info("share.granted", server=server.key, to=str(to), scopes=wanted, by=giver.name)
        await self._revocations.revoke_visits(visits)
        return Granted(share=share, server=server)

    async def revoke(
        self, asker: Principal, owner: str, name: str, to: Recipient, scopes: Sequence[str] | None = None
    ) -> Granted | None:
        """
        Take *scopes* back, or all (contract d34); what is left, if anything is.

        What a scope that stays brings with it stays, too: who is to lose less than all is granted the smaller one.

        Raises:
            NoSuchServer: there is no such server.
            InvalidScope: a scope does not exist, or cannot be shared.
        """
        try:
            going = frozenset(bare_scopes(scopes or (), ServerResource(owner, name)))
        except BadScope as exc:
            raise InvalidScope(str(exc)) from exc
        async with self._store.unit() as unit:
            await alone_with(unit, owner)
            server = await _find(unit, owner, name)
            share = await _share_of(unit, server, to) if server is not None else None
            if server is None or share is None:
                return None
            left = tuple(scope for scope in share.scopes if going and scope not in going)
            if left == share.scopes:
                return Granted(share=share, server=server)
            visits = await visits_of(unit, [share])
            changed = await self._reduce(unit, share, to, left)
            await record(
                unit,
                Action.UNSHARED,
                at=self._clock.now(),
                by=asker,
                target=owner,
                server=name,
                to=str(to),
                left=" ".join(left),
            )
        log.info("share.revoked", server=server.key, to=str(to), left=left, by=asker.name)
        await self._revocations.revoke_visits(visits)
        return Granted(share=changed, server=server) if changed is not None else None

    async def set_to(self, giver: Principal, owner: str, name: str, to: Recipient, scopes: Sequence[str]) -> Granted:
        """
        Give exactly *scopes*, whether that is more or less than before.

        Raises:
            As `grant` does.
        """
        wanted = shareable_scopes(giver, scopes, ServerResource(owner, name))
        granted = await self.grant(giver, owner, name, to, wanted)
        surplus = [scope for scope in granted.share.scopes if scope not in wanted]
        if not surplus:
            return granted
        return await self.revoke(giver, owner, name, to, surplus) or granted

    async def revoke_all(self, asker: Principal, owner: str, name: str) -> None:
        """Take back all shares of one server (contract d35). Raises NoSuchServer."""
        async with self._store.unit() as unit:
            await alone_with(unit, owner)
            server = await _find(unit, owner, name)
            if server is None:
                return
            visits = await visits_of_servers(unit, [server.id])
            await unit.shares.delete_of_server(server.id)
            await record(
                unit, Action.UNSHARED, at=self._clock.now(), by=asker, target=owner, server=name, to="everybody"
            )
        log.info("shares.revoked", server=server.key, by=asker.name)
        await self._revocations.revoke_visits(visits)

    async def leave(self, asker: Principal, to: Recipient, owner: str, name: str) -> None:
        """Give back what *to* has of a server (contract d23 and d31). Raises NoSuchShare."""
        async with self._store.unit() as unit:
            await alone_with(unit, owner)
            granted = await _one(unit, to, owner, name)
            visits = await visits_of(unit, [granted.share])
            await unit.shares.delete(granted.share.id)
            await record(unit, Action.UNSHARED, at=self._clock.now(), by=asker, target=owner, server=name, to=str(to))
        log.info("share.left", server=granted.server.key, to=str(to), by=asker.name)
        await self._revocations.revoke_visits(visits)

    async def _reduce(self, unit: Unit, share: Share, to: Recipient, left: tuple[str, ...]) -> Share | None:
        if not left:
            await unit.shares.delete(share.id)
            return None
        recipient = await _recipient(unit, to)
        assert recipient is not None  # its share was just read
        whom = {"user_id": recipient.id} if isinstance(recipient, User) else {"group_id": recipient.id}
        return await unit.shares.put(share.server_id, **whom, scopes=left, created=share.created)


def _check_knows(giver: Principal, to: Recipient) -> None:
    """Before anything is looked up: who may not know names must not find out here which there are."""
    if to.user and not may(giver, "read:users:name", UserResource(to.user)):
        raise NotAllowed("Need scope 'read:users:name' to share with users by name")
    if to.group and not may(giver, "read:groups:name", GroupResource(to.group)):
        raise NotAllowed("Need scope 'read:groups:name' to share with groups by name")


async def _find(unit: Unit, owner: str, name: str) -> Server | None:
    """None for a default server that was never started: nothing of it can be shared."""
    server = await unit.servers.by_key(owner, name)
    if server is None and (name or await unit.users.by_name(owner) is None):
        raise NoSuchServer(f"No such server: {owner}/{name}")
    return server


async def _recipient(unit: Unit, to: Recipient) -> User | Group | None:
    return await (unit.users.by_name(to.user) if to.user else unit.groups.by_name(to.group))


async def _share_of(unit: Unit, server: Server, to: Recipient) -> Share | None:
    recipient = await _recipient(unit, to)
    if recipient is None:
        return None
    if isinstance(recipient, User):
        return await unit.shares.get(server.id, user_id=recipient.id)
    return await unit.shares.get(server.id, group_id=recipient.id)


async def _one(unit: Unit, to: Recipient, owner: str, name: str) -> Granted:
    server = await unit.servers.by_key(owner, name)
    share = await _share_of(unit, server, to) if server is not None else None
    if server is None or share is None:
        raise NoSuchShare(f"No such share for {to if to.group else f'user {to}'} on {owner}/{name}")
    return Granted(share=share, server=server)


async def _granted(unit: Unit, shares: Sequence[Share]) -> Sequence[Granted]:
    servers = {server_id: await unit.servers.by_id(server_id) for server_id in {share.server_id for share in shares}}
    return [Granted(share=share, server=server) for share in shares if (server := servers[share.server_id]) is not None]
