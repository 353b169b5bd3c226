"""
Codes that make shares: who has one may take a share of one server, until it ends (contract d36 to d38).

A code is shown once and kept as a hash. It may be taken any number of times; how often is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import InvalidRequest, NoSuchServer, NoSuchShareCode, NoSuchUser, NotAllowed
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.servers import Server
from perijove.hub.domain.shares import ShareCode
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.scopes.decision import ServerResource
from perijove.hub.usecases.alone import alone_with
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.shares import Granted, give, server_to_share, shareable_scopes
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: random bytes of a code: 43 characters, as contract d has it
CODE_BYTES: Final = 32
#: longest text that is looked at
MAX_CODE: Final = 256
#: seconds for which a code is good (contract d37)
SHORTEST: Final = 60
LONGEST: Final = 31_536_000
USUAL: Final = 86_400
#: codes of one server at a time: more than anybody keeps in mind
MAX_CODES: Final = 100
_PUBLIC_ID: Final = re.compile(r"sc_([0-9]{1,18})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A code with the server that it is of."""

    code: ShareCode
    server: Server


class OwnServer(NotAllowed):
    """You can't share with yourself!"""


class ShareCodes:
    """Codes that make shares."""

    def __init__(self, *, store: Store, clock: Clock, randomness: Randomness, revocations: Revocations) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._revocations = revocations

    async def of_owner(self, owner: str) -> Sequence[Offer]:
        """Codes of all of *owner*'s servers that have not ended. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            user = await unit.users.by_name(owner)
            if user is None:
                raise NoSuchUser(f"No such user: {owner}")
            return await self._offers(unit, await unit.servers.of_users([user.id]))

    async def of_server(self, owner: str, name: str) -> Sequence[Offer]:
        """Codes of one server that have not ended. Raises NoSuchServer."""
        async with self._store.reading() as unit:
            server = await _find(unit, owner, name)
            return await self._offers(unit, [server] if server is not None else [])

    async def create(
        self,
        giver: Principal,
        owner: str,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        seconds: int | None = None,
    ) -> tuple[Offer, str]:
        """
        A new code, whose text is shown here once.

        Args:
            giver: who makes it.
            owner: whose server it is of.
            name: of the server.
            scopes: what it gives; None or none is all access.
            seconds: for which it is good.

        Raises:
            InvalidScope: a scope does not exist, or cannot be shared.
            NotAllowed: *giver* has not got one of them.
            InvalidRequest: *seconds* are too few or too many, or there are too many codes.
            NoSuchServer: there is no such server.
        """
        wanted = shareable_scopes(giver, scopes, ServerResource(owner, name))
        good_for = USUAL if seconds is None else seconds
        if not SHORTEST <= good_for <= LONGEST:
            raise InvalidRequest(f"expires_in must be from {SHORTEST} to {LONGEST} seconds.")
        text, now = self._randomness.token(CODE_BYTES), self._clock.now()
        async with self._store.unit() as unit:
            await alone_with(unit, owner)
            server = await server_to_share(unit, self._clock, owner, name)
            if len(await self._offers(unit, [server])) >= MAX_CODES:
                raise InvalidRequest(f"A server has at most {MAX_CODES} codes at a time: take some back.")
            code = await unit.share_codes.add(
                server_id=server.id,
                code_hash=hash_secret(text),
                scopes=wanted,
                created=now,
                expires_at=now + timedelta(seconds=good_for),
            )
            await record(
                unit, Action.SHARE_CODE_MADE, at=now, by=giver, target=owner, server=name, scopes=" ".join(wanted)
            )
        log.info("share_code.made", server=server.key, code_id=code.public_id, scopes=wanted, by=giver.name)
        return Offer(code=code, server=server), text

    async def revoke(self, asker: Principal, owner: str, name: str, *, text: str = "", public_id: str = "") -> None:
        """
        Forget one code, by its text or its id, or all of a server; shares that were made with it stay.

        Raises:
            NoSuchServer: there is no such server.
            NoSuchShareCode: it has no such code.
        """
        async with self._store.unit() as unit:
            server = await _find(unit, owner, name)
            codes = await unit.share_codes.of_servers([server.id]) if server is not None else []
            going = [code for code in codes if _is_meant(code, text, public_id)]
            if (text or public_id) and not going:
                raise NoSuchShareCode(
                    f"No code found matching id={public_id}" if not text else "No matching code found"
                )
            for code in going:
                await unit.share_codes.delete(code.id)
        log.info("share_code.revoked", server=f"{owner}/{name}", codes=len(going), by=asker.name)

    async def look_at(self, text: str, user: User) -> Offer:
        """
        What *user* would get by taking the code.

        Raises:
            NoSuchShareCode: it does not exist, or not any more.
            OwnServer: it is of their own server.
        """
        async with self._store.reading() as unit:
            return await self._find_offer(unit, text, user)

    async def take(self, text: str, user: User, *, by: Principal | None = None) -> Granted:
        """
        Make *user* the share that the code is for, or add to the one that they have; *by*: they, as they came.

        Raises:
            NoSuchShareCode: it does not exist, or not any more.
            OwnServer: it is of their own server.
        """
        async with self._store.unit() as unit:
            await alone_with(unit, (await self._find_offer(unit, text, user)).server.user_name)
            # Anew: it may have been taken back before this unit was alone.
            offer = await self._find_offer(unit, text, user)
            share, visits = await give(unit, self._clock, offer.server, user, offer.code.scopes)
            await unit.share_codes.note_exchange(offer.code.id, self._clock.now())
            server = offer.server
            await record(
                unit,
                Action.SHARED,
                at=self._clock.now(),
                by=by,
                target=server.user_name,
                server=server.name,
                to=user.name,
                scopes=" ".join(offer.code.scopes),
            )
        log.info("share_code.taken", server=offer.server.key, code_id=offer.code.public_id, by=user.name)
        await self._revocations.revoke_visits(visits)
        return Granted(share=share, server=offer.server)

    async def _find_offer(self, unit: Unit, text: str, user: User) -> Offer:
        code = await unit.share_codes.by_hash(hash_secret(text)) if 0 < len(text) <= MAX_CODE else None
        if code is None or code.expires_at <= self._clock.now():
            raise NoSuchShareCode
        server = await unit.servers.by_id(code.server_id)
        if server is None:
            raise NoSuchShareCode
        if server.user_id == user.id:
            raise OwnServer
        return Offer(code=code, server=server)

    async def _offers(self, unit: Unit, servers: Sequence[Server]) -> Sequence[Offer]:
        by_id, now = {server.id: server for server in servers}, self._clock.now()
        codes = await unit.share_codes.of_servers(by_id)
        return [Offer(code=code, server=by_id[code.server_id]) for code in codes if code.expires_at > now]


def _is_meant(code: ShareCode, text: str, public_id: str) -> bool:
    if text:
        return code.code_hash == hash_secret(text)
    return not public_id or (_PUBLIC_ID.fullmatch(public_id) is not None and code.public_id == public_id)


async def _find(unit: Unit, owner: str, name: str) -> Server | None:
    """None for a default server that was never started."""
    server = await unit.servers.by_key(owner, name)
    if server is None and (name or await unit.users.by_name(owner) is None):
        raise NoSuchServer(f"No such server: {owner}/{name}")
    return server
