"""
Who is asking: from a session's secret or an API token to a principal with the scopes that count.

Uses are noted in memory and written by `activity.py` in one statement per tick.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.roles import Service
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import PREFIX_LENGTH, SERVERS_DUTY, ApiToken, with_identity
from perijove.hub.domain.users import Person, User
from perijove.hub.ports import Standing, Store, Unit
from perijove.hub.scopes.custom import CustomScopes
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.intersection import intersect
from perijove.hub.usecases.activity import Activity
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.powers import Powers
from perijove.kit.clock import Clock

#: Longest token and longest cookie secret that is looked at; ours are far shorter (contract d: at most 64).
MAX_SECRET: Final = 256
#: `token_id` of a service's principal begins with this; tokens of users are `a<N>`
SERVICE_TOKEN: Final = "s-"  # noqa: S105  # a mark, no secret

#: Tokens whose scopes are remembered as they come to: of all servers that a hub hears of; about a kilobyte each.
_REMEMBERED: Final = 8192


class Refreshes(Protocol):
    """Asks the sign-in method again about people who are signed in."""

    async def standing_of(self, user: User, session: Session | None) -> Standing:
        """Whether *user* may go on: not if STALE. Without a session it is a token that asks."""
        ...


class Identify:
    """Finds out who a cookie or a token belongs to."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        roles: RoleBook,
        activity: Activity,
        blocked_users: frozenset[str] = frozenset(),
        refresh: Refreshes | None = None,
    ) -> None:
        """
        Args:
            store: where sessions and tokens are.
            clock: the time.
            roles: what people and services may do.
            activity: where uses are noted.
            blocked_users: names that are nobody's, whatever cookies and tokens they still have.
            refresh: asks the sign-in method again; None: it never is.
        """
        self._refresh = refresh
        self._blocked_users = blocked_users
        self._store = store
        self._clock = clock
        self._roles = roles
        self._powers = Powers(roles)
        self._activity = activity

    async def by_session(self, secret: str) -> tuple[Session, Principal] | None:
        """
        The session whose cookie holds *secret*, and its user; None if there is none or it has ended.

        Raises:
            Unavailable: whether the user may still be here must be told, and cannot be.
        """
        if not secret or len(secret) > MAX_SECRET:
            return None
        found = await self._by_session(secret)
        if found is None or self._refresh is None or found[1].user is None:
            return found
        standing = await self._refresh.standing_of(found[1].user, found[0])
        if standing is Standing.STALE:
            return None
        return await self._by_session(secret) if standing is Standing.CHANGED else found

    async def _by_session(self, secret: str) -> tuple[Session, Principal] | None:
        async with self._store.reading() as unit:
            found = await self._in_session(unit, await unit.sessions.by_secret_hash(hash_secret(secret)))
        if found is not None:
            now = self._clock.now()
            self._activity.note_session(found[0].id, now)
            self._activity.note_user(found[1].name, now)
        return found

    async def by_session_id(self, session_id: str) -> Principal | None:
        """
        The user of a session, for who knows that the session's own browser asks; None if it has ended.

        Its id is no secret.
        """
        async with self._store.reading() as unit:
            found = await self._in_session(unit, await unit.sessions.by_id(session_id))
        return None if found is None else found[1]

    async def by_token(self, token: str) -> Principal | None:
        """
        The user or service that *token* belongs to; None if there is none or it has ended.

        Raises:
            Unavailable: whether its owner may still be here must be told, and cannot be.
        """
        if not token or len(token) > MAX_SECRET:
            return None
        principal = await self._by_token(token)
        if principal is None or self._refresh is None or principal.user is None:
            return principal
        standing = await self._refresh.standing_of(principal.user, None)
        if standing is Standing.STALE:
            return None
        return await self._by_token(token) if standing is Standing.CHANGED else principal

    async def _by_token(self, token: str) -> Principal | None:
        token_hash = hash_secret(token)
        service = self._roles.service_by_token_hash(token_hash)
        async with self._store.reading() as unit:
            if service is not None:
                return self._service(service, await self._powers.of_service(unit, service.name))
            found = await self._row(unit, token, token_hash)
            if found is None:
                return await self._added_service(unit, token, token_hash)
            principal = await self.of_token(unit, *found)
        self._activity.note_token(found[0].id, self._clock.now())
        return principal

    async def of_user(self, user: User) -> Principal | None:
        """The principal that *user* is who has just proved who they are; None if they are gone or shut out."""
        async with self._store.reading() as unit:
            person = await unit.users.person(user.id)
            if person is None or self.is_blocked(person.user):
                return None
            return self._user(person, await self._powers.of_person(unit, person))

    async def of_token(self, unit: Unit, row: ApiToken, person: Person) -> Principal:
        """The principal that a token's row stands for: no more than its owner, and no more than the token."""
        owners = await self._powers.of_person(unit, person)
        expanded = _expanded(row.scopes, person.user.name, row.server, self._roles.custom)
        scopes = _narrowed(await self._powers.reaching(unit, expanded), person.user.name, row.server, owners)
        return self._user(person, scopes, token_id=row.public_id, token_ends=row.expires_at, given_in=row.session_id)

    def is_blocked(self, user: User) -> bool:
        """Whether the configuration shuts *user* out."""
        return user.name in self._blocked_users

    def is_over(self, row: ApiToken, now: datetime) -> bool:
        """Whether a token has ended."""
        return row.expires_at is not None and row.expires_at <= now

    async def _in_session(self, unit: Unit, found: tuple[Session, Person] | None) -> tuple[Session, Principal] | None:
        if found is None:
            return None
        session, person = found
        if session.expires_at <= self._clock.now() or self.is_blocked(person.user):
            return None
        scopes = await self._powers.of_person(unit, person)
        return session, self._user(person, scopes, session_id=session.id)

    async def _row(self, unit: Unit, token: str, token_hash: str) -> tuple[ApiToken, Person] | None:
        candidates = await unit.tokens.by_prefix(token[:PREFIX_LENGTH])
        now = self._clock.now()
        for row, person in candidates:
            is_it = hmac.compare_digest(row.token_hash, token_hash)
            if is_it and not self.is_over(row, now) and not self.is_blocked(person.user):
                return row, person
        return None

    async def _added_service(self, unit: Unit, token: str, token_hash: str) -> Principal | None:
        """The service that was added while the hub runs and has that token."""
        for row in await unit.services.by_prefix(token[:PREFIX_LENGTH]):
            # One that the configuration declares under the same name has taken its place.
            if hmac.compare_digest(row.token_hash, token_hash) and self._roles.service(row.name) is None:
                return self._service(row.service, await self._powers.of_service(unit, row.name))
        return None

    def _user(
        self,
        person: Person,
        scopes: frozenset[str],
        *,
        session_id: str = "",
        token_id: str = "",
        token_ends: datetime | None = None,
        given_in: str = "",
    ) -> Principal:
        user = person.user
        return Principal(
            kind=Kind.USER,
            name=user.name,
            scopes=scopes,
            user_id=user.id,
            admin=user.admin,
            session_id=session_id,
            token_id=token_id,
            token_ends=token_ends,
            given_in=given_in,
            user=user,
            groups=person.groups,
        )

    def _service(self, service: Service, scopes: frozenset[str]) -> Principal:
        return Principal(
            kind=Kind.SERVICE,
            name=service.name,
            scopes=scopes,
            admin=service.admin,
            token_id=f"{SERVICE_TOKEN}{service.name}",
        )


@lru_cache(maxsize=_REMEMBERED)
def _expanded(scopes: tuple[str, ...], user: str, server: str, custom: CustomScopes) -> frozenset[str]:
    """What a token with *scopes* asks for; whose it is, every one may tell."""
    return custom.widen(expand(with_identity(scopes), Holder(user=user, server=server)))


@lru_cache(maxsize=_REMEMBERED)
def _narrowed(asked: frozenset[str], user: str, server: str, owners: frozenset[str]) -> frozenset[str]:
    """
    What a token comes to that asks for these scopes, and whose owner has the scopes *owners*.

    Remembered: it follows from these arguments and nothing else, all of which are read anew for each request.
    """
    # A server reports its own activity whatever the configuration leaves of the role `user`.
    own = expand((SERVERS_DUTY,), Holder(user=user)) if server else frozenset()
    return intersect(asked, owners | own)
