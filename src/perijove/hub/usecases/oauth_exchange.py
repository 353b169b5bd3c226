"""
The exchange: a client comes with its secret and a code, and gets a token of the person who agreed (contract b, 5).

The token ends with the browser session in which it was agreed to, or before. A code that comes a second time was
stolen, by who came first or who comes now: the token that it gave ends, too (RFC 6749, 4.1.2). For that nothing is
kept of a code: the first characters of a token follow from the code that it was given for, and it is by these that
tokens are found.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import structlog

from perijove.hub.domain.audit import Action
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.principals import themselves
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import PREFIX_LENGTH, ApiToken
from perijove.hub.domain.users import User
from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import ErrorCode, TokenRefused
from perijove.hub.oauth.parameters import Parameters
from perijove.hub.oauth.token_request import IssuedToken, TokenRequest, check_code, read_token_request
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.audit import record
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.oauth_clients import OAuthClients
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: random bytes of a token, besides the characters that follow from its code: 30 characters together
TOKEN_BYTES: Final = 16


class ExchangeCode:
    """Gives tokens for codes."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        clients: OAuthClients,
        identify: Identify,
        revocations: Revocations,
        token_seconds: int = 0,
    ) -> None:
        """
        Args:
            store: where codes and tokens are.
            clock: the time.
            randomness: what tokens are made of.
            clients: who may come.
            identify: knows whom the configuration shuts out.
            revocations: ends the visits of a token that was stolen.
            token_seconds: longest life of a token; 0: that of the session.
        """
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._clients = clients
        self._identify = identify
        self._revocations = revocations
        self._token_seconds = token_seconds

    async def __call__(self, parameters: Parameters) -> IssuedToken:
        """
        The token for a request.

        Raises:
            TokenRefused: the client is told why.
        """
        request = read_token_request(parameters)
        async with self._store.unit() as unit:
            answer = await self._answer(unit, request)
        if isinstance(answer, IssuedToken):
            return answer
        refusal, revoked = answer
        for token in revoked:
            log.warning("oauth.code_used_twice", client=request.client_id, token_id=token.public_id)
            await self._revocations.revoke(sid=f"token:{token.public_id}")
        raise refusal

    async def _answer(
        self, unit: Unit, request: TokenRequest
    ) -> IssuedToken | tuple[TokenRefused, tuple[ApiToken, ...]]:
        """A refusal is no error here: what was taken stays taken, and what was revoked stays revoked."""
        now = self._clock.now()
        client = await self._clients.by_secret(unit, request.client_id, request.client_secret, now)
        if client is None:
            return TokenRefused(ErrorCode.INVALID_CLIENT), ()
        code = await unit.oauth_codes.take(hash_secret(request.code))
        if code is None:
            return TokenRefused(ErrorCode.INVALID_GRANT), await _revoke_token_of(unit, request, now)
        try:
            check_code(code, request, client, now=now)
            session, user = await self._session(unit, code, now)
        except TokenRefused as refusal:
            return refusal, ()
        return await self._issue(unit, request, code, client, (session, user))

    async def _session(self, unit: Unit, code: OAuthCode, now: datetime) -> tuple[Session, User]:
        """The browser session in which the code was given, which has to go on, and whose it is."""
        found = await unit.sessions.by_id(code.session_id)
        if found is None:
            raise TokenRefused(ErrorCode.INVALID_GRANT)
        session, person = found
        if session.expires_at <= now or session.user_id != code.user_id or self._identify.is_blocked(person.user):
            raise TokenRefused(ErrorCode.INVALID_GRANT)
        return session, person.user

    async def _issue(
        self, unit: Unit, request: TokenRequest, code: OAuthCode, client: OAuthClient, given_in: tuple[Session, User]
    ) -> IssuedToken:
        session, user = given_in
        now = self._clock.now()
        text = f"{prefix_of(request.code)}{self._randomness.token(TOKEN_BYTES)}"
        ends = session.expires_at
        if self._token_seconds:
            ends = min(ends, now + timedelta(seconds=self._token_seconds))
        token = await unit.tokens.add(
            user_id=user.id,
            prefix=text[:PREFIX_LENGTH],
            token_hash=hash_secret(text),
            scopes=code.scopes,
            # What asked for it, for people who look at their tokens later: the client itself may be gone by then.
            note=client.description,
            created=now,
            expires_at=ends,
            session_id=session.id,
            client_id=client.id,
        )
        await record(
            unit,
            Action.TOKEN_MADE,
            at=now,
            by=themselves(user, session.address),
            target=user.name,
            token=token.public_id,
            note=token.note,
            scopes=" ".join(token.scopes),
            client=client.id,
        )
        log.info("oauth.token_given", user=user.name, client=client.id)
        return IssuedToken(text=text, expires_in=int((ends - now).total_seconds()), scopes=code.scopes)


def prefix_of(code: str) -> str:
    """The first characters of the token that *code* gives."""
    return hash_secret(f"token of {code}")[:PREFIX_LENGTH]


async def _revoke_token_of(unit: Unit, request: TokenRequest, now: datetime) -> tuple[ApiToken, ...]:
    """End the token that a used code gave, if this client had it."""
    rows = await unit.tokens.by_prefix(prefix_of(request.code))
    revoked = [(row, person.user) for row, person in rows if row.client_id == request.client_id]
    for row, user in revoked:
        await unit.tokens.delete(row.id)
        about = {"token": row.public_id, "note": row.note, "because": "its code was used twice"}
        await record(unit, Action.TOKEN_REVOKED, at=now, by=None, target=user.name, **about)
    return tuple(row for row, _ in revoked)
