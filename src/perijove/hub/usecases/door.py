"""
The door: who may pass to which server, as a signed statement (architecture, section 4; `wire/door.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from perijove.hub.domain.audiences import Place, audience_of, place_of
from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import NoSuchServer, NoSuchService, NotAllowed
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.urls import server_url, service_url
from perijove.hub.domain.user_info import shown
from perijove.hub.domain.users import User
from perijove.hub.ports import IdentitySigner, Store, Unit
from perijove.hub.scopes.decision import Denied, ServerResource, ServiceResource
from perijove.hub.scopes.rights import may_come_in, rights
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.identify import SERVICE_TOKEN, Identify
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.powers import Powers
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness
from perijove.wire.door import EXCHANGED_TOKEN_SECONDS, MAX_VISITS
from perijove.wire.identity import IdentityClaims

log = structlog.get_logger(__name__)

#: How long one visit is told of once: a browser's session, and a program, which comes every minute.
TOLD_AGAIN: Final = timedelta(hours=1)
PROGRAM_TOLD_AGAIN: Final = timedelta(days=1)
#: Entries about one visitor at one owner that are compared with.
_LOOKED_THROUGH: Final = 100
#: characters of a statement that a browser keeps for certain: 4096 with the cookie's name (RFC 6265, 6.1)
_MAX_COOKIE: Final = 4000
_TOKEN: Final = "token:"  # noqa: S105  # a mark, no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The cookie that lets a browser into one server or service."""

    cookie_value: str
    #: path of the cookie: the prefix of the server or service
    path: str
    #: seconds
    max_age: int
    #: where the server is
    server_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Somebody whom the proxy lets into a server at present."""

    sid: str
    user: str
    audience: str
    #: the rights that they were let in with; empty: the proxy does not say
    scope: tuple[str, ...] = ()


class Door:
    """Makes identity tokens, and judges them again later."""

    def __init__(
        self,
        *,
        store: Store,
        identify: Identify,
        roles: RoleBook,
        revocations: Revocations,
        signer: IdentitySigner,
        clock: Clock,
        randomness: Randomness,
        base_url: str,
    ) -> None:
        self._store = store
        self._revocations = revocations
        self._identify = identify
        self._powers = Powers(roles)
        self._signer = signer
        self._clock = clock
        self._randomness = randomness
        self._base_url = base_url

    @property
    def public_keys(self) -> Sequence[Mapping[str, Any]]:
        """What whoever is behind the door checks identity tokens with."""
        return self._signer.public_jwks

    async def enter(self, principal: Principal, audience: str, *, binding: str = "") -> Entry:
        """
        Let a signed-in browser into the server or service *audience*, for as long as its session lives.

        Args:
            principal: who is signed in.
            audience: the server.
            binding: what the statement is bound to (`wire.identity.binding_of`).

        Raises:
            NotAllowed: this visitor may not enter, or came without a session.
            NoSuchServer: there is none, as far as this visitor may know.
            NoSuchService: the same of a service; one that asks its visitors itself has no door.
        """
        place = place_of(audience)
        await self._let_revocations_pass(principal, audience)
        # Before anything is read: whatever is taken away after the reading is revoked with a later moment.
        now = self._clock.now()
        async with self._store.unit() as unit:
            found = await unit.sessions.by_id(principal.session_id) if principal.session_id else None
            path = await self._path_of(unit, place)
            scopes = await self._powers.of_person(unit, found[1]) if found is not None else frozenset()
            decision = may_come_in(_Holder(scopes), place)
            if path and decision and isinstance(place, ServerResource):
                await self._tell(unit, principal, place.user, place.server, now, again=TOLD_AGAIN)
        if found is None or found[0].expires_at <= now:
            raise NotAllowed("Sign in to open this server.")
        missing = NoSuchServer if isinstance(place, ServerResource) else NoSuchService
        if isinstance(decision, Denied):
            raise missing if decision.hidden else NotAllowed
        if not path:
            raise missing
        session, person = found
        signed = self._sign(
            replace(principal, scopes=scopes),
            person.user,
            audience_of(place),
            now,
            session.expires_at,
            binding,
        )
        return Entry(
            cookie_value=signed,
            path=path,
            max_age=int((session.expires_at - now).total_seconds()),
            server_path=path,
        )

    async def exchange(self, token: str, audience: str) -> tuple[str, int]:
        """
        A short-lived identity token for whoever holds the hub API token *token*, and its seconds.

        Raises:
            NotAllowed: no such token, or its holder may not enter *audience*.
        """
        now = self._clock.now()
        principal = await self._identify.by_token(token)
        if principal is not None and await self._let_revocations_pass(principal, audience):
            now = self._clock.now()
            principal = await self._identify.by_token(token)
        place = place_of(audience)
        if principal is None or not may_come_in(principal, place):
            raise NotAllowed
        if isinstance(place, ServerResource) and not _is_own(principal, place.user):
            async with self._store.unit() as unit:
                await self._tell(unit, principal, place.user, place.server, now, again=PROGRAM_TOLD_AGAIN)
        ends = now + timedelta(seconds=EXCHANGED_TOKEN_SECONDS)
        if principal.token_ends is not None:
            ends = min(ends, principal.token_ends)
        return self._sign(principal, principal.user, audience, now, ends), max(int((ends - now).total_seconds()), 0)

    async def _let_revocations_pass(self, principal: Principal, audience: str) -> bool:
        """Wait, less than a second, until a statement for *principal* is good; whether there was need to."""
        seconds = self._revocations.seconds_until_good(sid=principal.visit_id, user=principal.name, audience=audience)
        if seconds:
            await asyncio.sleep(seconds)
        return bool(seconds)

    async def recheck(self, visits: Sequence[Visit]) -> Sequence[Visit]:
        """Those of *visits* that would not be let in today. More than `MAX_VISITS` are not looked at: all refused."""
        if len(visits) > MAX_VISITS:
            return visits
        now = self._clock.now()
        scopes: dict[tuple[str, str], frozenset[str]] = {}
        async with self._store.unit() as unit:
            for sid, user in {(visit.sid, visit.user) for visit in visits}:
                scopes[sid, user] = await self._scopes_now(unit, sid, user, now)
        refused = [visit for visit in visits if not self._passes(scopes[visit.sid, visit.user], visit)]
        if refused:
            log.info("door.refused_again", visits=len(visits), refused=len(refused))
        return refused

    async def _path_of(self, unit: Unit, place: Place) -> str:
        """Where it is, if it is there and behind the door; else empty."""
        if isinstance(place, ServiceResource):
            service = await self._powers.service(unit, place.name)
            return service_url(self._base_url, place.name) if service is not None and service.is_gated else ""
        server = await unit.servers.by_key(place.user, place.server)
        return "" if server is None else server_url(self._base_url, place.user, place.server)

    async def _tell(
        self, unit: Unit, principal: Principal, owner: str, server: str, now: datetime, *, again: timedelta
    ) -> None:
        """Whoever enters somebody else's server is known to its owner: once, for as long as *again*."""
        if _is_own(principal, owner):
            return
        before = await unit.audit.page(
            limit=_LOOKED_THROUGH, actor=principal.name, target=owner, action=Action.SERVER_ENTERED, since=now - again
        )
        said = {(entry.actor_kind, entry.detail.get("server"), entry.detail.get("visit")) for entry in before}
        if (principal.kind.value, server, principal.visit_id) in said:
            return
        await record(
            unit,
            Action.SERVER_ENTERED,
            at=now,
            by=principal,
            target=owner,
            server=server,
            visit=principal.visit_id,
        )

    def _passes(self, scopes: frozenset[str], visit: Visit) -> bool:
        """Whether *scopes* give all that the visitor was let in with; they may come again with what is left."""
        given = rights(_Holder(scopes), place_of(visit.audience))
        return bool(given) and set(visit.scope) <= set(given)

    async def _scopes_now(self, unit: Unit, sid: str, user_name: str, now: datetime) -> frozenset[str]:
        if sid.startswith(_TOKEN):
            return await self._scopes_of_token(unit, sid.removeprefix(_TOKEN), user_name, now)
        found = await unit.sessions.by_id(sid)
        if found is None:
            return frozenset()
        session, person = found
        if session.expires_at <= now or person.user.name != user_name or self._identify.is_blocked(person.user):
            return frozenset()
        return await self._powers.of_person(unit, person)

    async def _scopes_of_token(self, unit: Unit, token_id: str, user_name: str, now: datetime) -> frozenset[str]:
        if token_id.startswith(SERVICE_TOKEN):
            name = token_id.removeprefix(SERVICE_TOKEN)
            return await self._powers.of_service(unit, name) if name == user_name else frozenset()
        digits = token_id.removeprefix("a")
        row = await unit.tokens.get(int(digits)) if digits.isdecimal() and digits.isascii() else None
        if row is None or self._identify.is_over(row, now):
            return frozenset()
        person = await unit.users.person(row.user_id)
        if person is None or person.user.name != user_name or self._identify.is_blocked(person.user):
            return frozenset()
        return (await self._identify.of_token(unit, row, person)).scopes

    def _sign(
        self,
        principal: Principal,
        user: User | None,
        audience: str,
        now: datetime,
        ends: datetime,
        binding: str = "",
    ) -> str:
        plain = IdentityClaims(
            sub=principal.name,
            sid=principal.visit_id,
            aud=audience,
            scope=rights(principal, place_of(audience)),
            name=principal.name,
            iat=int(now.timestamp()),
            exp=int(ends.timestamp()),
            jti=self._randomness.hex(16),
            binding=binding,
        )
        if user is None:
            return self._signer.sign(plain.to_claims())
        looks = shown(user)
        claims = replace(
            plain, name=looks.name, initials=looks.initials, avatar_url=looks.avatar_url, color=looks.color
        )
        signed = self._signer.sign(claims.to_claims())
        if len(signed) <= _MAX_COOKIE:
            return signed
        # With the longest names of a user and a server there is no room for more in a cookie.
        return self._signer.sign(replace(plain, name="").to_claims())


def _is_own(principal: Principal, owner: str) -> bool:
    return principal.kind is Kind.USER and principal.name == owner


@dataclass(frozen=True, slots=True)
class _Holder:
    scopes: frozenset[str]
