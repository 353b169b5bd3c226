"""
API tokens of users: make, list, read, revoke (contract d17 to d20).

A token never allows more than its owner may, nor, when somebody makes one for themselves with another token,
more than that token did.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.errors import InvalidRequest, InvalidScope, NoSuchToken, NoSuchUser
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.tokens import PREFIX_LENGTH, ApiToken, with_identity
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.hub.scopes.catalog import INHERIT
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.intersection import intersect
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.powers import Powers
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: Random bytes of a token: 32 hex characters, as clients expect.
TOKEN_BYTES: Final = 16
MAX_NOTE: Final = 1000
#: longest life that can be asked for
MAX_SECONDS: Final = 100 * 365 * 86400
_PUBLIC_ID: Final = re.compile(r"a([0-9]{1,18})")
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A server or service that a user has let act for them."""

    client_id: str
    #: what it called itself
    description: str
    #: of the first token it has
    created: datetime
    last_activity: datetime | None
    scopes: tuple[str, ...]

    @classmethod
    def of(cls, tokens: Sequence[ApiToken]) -> Self:
        """What its tokens, the most recently used first, tell of it."""
        newest = tokens[0]
        return cls(
            client_id=newest.client_id,
            description=newest.note,
            created=min(token.created for token in tokens),
            last_activity=newest.last_activity,
            scopes=tuple(dict.fromkeys(scope for token in tokens for scope in token.scopes)),
        )


class Tokens:
    """The tokens of users."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        roles: RoleBook,
        revocations: Revocations,
        max_seconds: int = 0,
    ) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._roles = roles
        self._powers = Powers(roles)
        self._revocations = revocations
        self._max_seconds = max_seconds or MAX_SECONDS
        self._must_expire = max_seconds > 0

    async def create(
        self,
        *,
        user: User,
        maker: Principal,
        note: str = "",
        expires_in: int | None = None,
        scopes: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
    ) -> tuple[ApiToken, str]:
        """
        A new token of *user*; its text is shown here once.

        Raises:
            InvalidScope: a scope or role does not exist.
            InvalidRequest: both scopes and roles are given, the life is none, or it would exceed its owner.
        """
        granted = self._granted(user, maker, await self.owned(user), scopes, roles)
        now = self._clock.now()
        expires_at = self._expiry(now, expires_in)
        text = self._randomness.hex(TOKEN_BYTES)
        async with self._store.unit() as unit:
            token = await unit.tokens.add(
                user_id=user.id,
                prefix=text[:PREFIX_LENGTH],
                token_hash=hash_secret(text),
                scopes=granted,
                note=self._note(note, user, maker),
                created=now,
                expires_at=expires_at,
            )
            await record(
                unit,
                Action.TOKEN_MADE,
                at=now,
                by=maker,
                target=user.name,
                token=token.public_id,
                note=token.note,
                scopes=" ".join(token.scopes),
            )
        log.info("token.made", user=user.name, by=maker.name, token_id=token.public_id)
        return token, text

    async def list(self, user: User) -> Sequence[ApiToken]:
        """All tokens of *user* that have not ended, the most recently used first."""
        now = self._clock.now()
        async with self._store.reading() as unit:
            rows = await unit.tokens.of_user(user.id)
        valid = [row for row in rows if row.expires_at is None or row.expires_at > now]
        return sorted(valid, key=lambda row: row.last_activity or _NEVER, reverse=True)

    async def get(self, user: User, public_id: str) -> ApiToken:
        """One token of *user*. Raises NoSuchToken."""
        async with self._store.reading() as unit:
            return await self._find(unit, user, public_id)

    async def revoke(self, user: User, public_id: str, *, by: Principal | None = None) -> None:
        """
        End a token of *user*, and the visits it opened. Of one that an application was given all go that this user
        gave it (contract d20). *by*: who asks, None the hub. Raises NoSuchToken.
        """
        async with self._store.unit() as unit:
            token = await self._find(unit, user, public_id)
            gone: Sequence[ApiToken] = [token]
            if token.client_id:
                gone = await unit.tokens.delete_of_client(token.client_id, user_id=user.id)
            else:
                await unit.tokens.delete(token.id)
            await self._record_end(unit, user, gone, by)
        await self._end_visits(user, gone)

    async def revoke_application(self, user: User, client_id: str, *, by: Principal | None = None) -> None:
        """End all tokens that *user* gave an application. It may have none."""
        if not client_id:
            return
        async with self._store.unit() as unit:
            gone = await unit.tokens.delete_of_client(client_id, user_id=user.id)
            await self._record_end(unit, user, gone, by)
        await self._end_visits(user, gone)

    async def applications(self, user: User) -> Sequence[Application]:
        """Applications that have tokens of *user*, the most recently used first."""
        given: dict[str, list[ApiToken]] = {}
        for token in await self.list(user):
            if token.client_id:
                given.setdefault(token.client_id, []).append(token)
        return [Application.of(tokens) for tokens in given.values()]

    async def _record_end(self, unit: Unit, user: User, tokens: Sequence[ApiToken], by: Principal | None) -> None:
        now = self._clock.now()
        for token in tokens:
            about = {"token": token.public_id, "note": token.note}
            await record(unit, Action.TOKEN_REVOKED, at=now, by=by, target=user.name, **about)

    async def _end_visits(self, user: User, tokens: Sequence[ApiToken]) -> None:
        log.info("token.revoked", user=user.name, tokens=[token.public_id for token in tokens])
        await self._revocations.revoke_all([f"token:{token.public_id}" for token in tokens])

    async def owned(self, user: User) -> frozenset[str]:
        """All that *user* may do: no token of theirs does more. Raises NoSuchUser."""
        async with self._store.reading() as unit:
            person = await unit.users.person(user.id)
            if person is None:
                raise NoSuchUser
            return await self._powers.of_person(unit, person)

    def expanded_scopes(self, token: ApiToken, user: User, owned: frozenset[str]) -> frozenset[str]:
        """What *token* comes to, as the REST API shows it; *owned* is all that its owner may do."""
        # What a client is given says in full which server or service it is about (`oauth/scopes.py`).
        holder = Holder(user=user.name, server=token.server)
        if INHERIT in token.scopes:
            return self._roles.custom.widen(expand(token.scopes, holder))
        return intersect(self._roles.custom.widen(expand(with_identity(token.scopes), holder)), owned)

    async def _find(self, unit: Unit, user: User, public_id: str) -> ApiToken:
        match = _PUBLIC_ID.fullmatch(public_id)
        token = await unit.tokens.get(int(match[1])) if match else None
        now = self._clock.now()
        if token is None or token.user_id != user.id or (token.expires_at is not None and token.expires_at <= now):
            raise NoSuchToken
        return token

    def _granted(
        self,
        user: User,
        maker: Principal,
        owned: frozenset[str],
        scopes: Sequence[str] | None,
        roles: Sequence[str] | None,
    ) -> Sequence[str]:
        if scopes is not None and roles is not None:
            raise InvalidRequest("Give scopes or roles, not both.")
        asked = self._roles.new_token_scopes if scopes is None else scopes
        if roles is not None:
            asked = [scope for name in roles for scope in self._scopes_of_role(name)]
        try:
            held = self._roles.expand(asked, Holder(user=user.name))
        except BadScope as exc:
            raise InvalidScope(str(exc)) from exc
        limit = _limit(user, maker, owned)
        if INHERIT in held:
            return (INHERIT,) if limit == owned else sorted(limit)
        if intersect(held, limit) != held:
            beyond = min(held - intersect(held, limit))
            raise InvalidRequest(f"The token may not have the scope {beyond}: its owner or its maker has not.")
        return tuple(asked)

    def _scopes_of_role(self, name: str) -> Sequence[str]:
        role = self._roles.role(name)
        if role is None:
            raise InvalidScope(f"There is no role {name!r}.")
        return role.scopes

    def _expiry(self, now: datetime, seconds: int | None) -> datetime | None:
        if seconds is None:
            return now + timedelta(seconds=self._max_seconds) if self._must_expire else None
        if not 0 < seconds <= self._max_seconds:
            raise InvalidRequest(f"expires_in must be more than 0 and at most {self._max_seconds} seconds.")
        return now + timedelta(seconds=seconds)

    def _note(self, note: str, user: User, maker: Principal) -> str:
        if note:
            return note[:MAX_NOTE]
        by = "" if maker.name == user.name else f" by {maker.kind.value} {maker.name}"
        return f"Requested via api{by}"


def _limit(user: User, maker: Principal, owned: frozenset[str]) -> frozenset[str]:
    """A token made with a narrow token of the same person must not be wider than that one."""
    return intersect(owned, maker.scopes) if maker.kind is Kind.USER and maker.user_id == user.id else owned
