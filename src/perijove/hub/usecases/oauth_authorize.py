"""
Authorization: a client asks, the person agrees or need not be asked, a code is made (contract b, 2 and 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from perijove.hub.domain.errors import NotAllowed
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.oauth.authorize import AuthorizationRequest, granted_url, read_client, read_request
from perijove.hub.oauth.clients import OAuthClient
from perijove.hub.oauth.errors import ErrorCode, ScopeNotAllowed
from perijove.hub.oauth.parameters import Parameters
from perijove.hub.oauth.scopes import negotiate, required_scopes
from perijove.hub.ports import Store
from perijove.hub.scopes.catalog import INHERIT
from perijove.hub.scopes.decision import may
from perijove.hub.scopes.expansion import expand
from perijove.hub.scopes.intersection import intersect
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.oauth_clients import OAuthClients
from perijove.kit.clock import Clock, Randomness

log = structlog.get_logger(__name__)

#: how long a code is good for (contract b)
CODE_SECONDS: Final = 300
#: random bytes of a code: 30 characters
CODE_BYTES: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client asks of a person, all of it in order."""

    request: AuthorizationRequest
    #: what the token would have
    scopes: tuple[str, ...]
    #: whether the person must be asked
    needs_consent: bool

    @property
    def client(self) -> OAuthClient:
        """Who asks."""
        return self.request.client


class Authorize:
    """Judges authorization requests of people who are signed in, and makes codes."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        randomness: Randomness,
        roles: RoleBook,
        clients: OAuthClients,
        require_pkce: bool = False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._roles = roles
        self._clients = clients
        self._require_pkce = require_pkce

    async def ask(self, principal: Principal, parameters: Parameters) -> Asked:
        """
        What *parameters* ask of *principal*, who has a browser session.

        Raises:
            BadClient: the client or its redirection URI is not known.
            AuthorizationRefused: the client is told that it asks wrongly.
            NotAllowed: this person may not enter there at all.
        """
        client = await self._clients.find(*read_client(parameters))
        request = read_request(parameters, client, require_pkce=self._require_pkce)
        if not may(principal, client.access, client.resource):
            raise NotAllowed(f"{client.description} is not open to you. If it should be, ask who it belongs to.")
        try:
            scopes = negotiate(
                client,
                request.scopes,
                user=principal.name,
                owned=principal.scopes,
                scopes_of_role=self._scopes_of_role,
                expand=self._roles.expand,
            )
        except ScopeNotAllowed as exc:
            raise request.refused(ErrorCode.INVALID_SCOPE, str(exc)) from exc
        return Asked(request=request, scopes=scopes, needs_consent=await self._needs_consent(principal, client, scopes))

    async def agree(self, principal: Principal, asked: Asked, chosen: Sequence[str] | None = None) -> str:
        """
        Where the browser goes with the code.

        Args:
            principal: who agrees.
            asked: to what.
            chosen: of that, what the form said; None: all. What every token has is always in it.

        Raises:
            AuthorizationRefused: *chosen* goes beyond what was asked.
        """
        granted = asked.scopes
        if chosen is not None:
            if not set(chosen) <= set(asked.scopes):
                raise asked.request.refused(ErrorCode.INVALID_SCOPE, "More was agreed to than was asked for.")
            kept = {*chosen, *required_scopes(asked.client)}
            granted = tuple(scope for scope in asked.scopes if scope in kept)
        return granted_url(asked.request, await self._make_code(principal, asked.request, granted))

    async def _make_code(self, principal: Principal, request: AuthorizationRequest, scopes: tuple[str, ...]) -> str:
        text = self._randomness.token(CODE_BYTES)
        challenge = request.challenge
        async with self._store.unit() as unit:
            await unit.oauth_codes.add(
                OAuthCode(
                    code_hash=hash_secret(text),
                    client_id=request.client.id,
                    user_id=principal.user_id,
                    session_id=principal.session_id,
                    redirect_uri=request.client.redirect_uri,
                    scopes=scopes,
                    challenge=challenge.text if challenge else "",
                    challenge_method=challenge.method.value if challenge else "",
                    expires_at=self._clock.now() + timedelta(seconds=CODE_SECONDS),
                )
            )
        log.info("oauth.code_made", user=principal.name, client=request.client.id)
        return text

    async def _needs_consent(self, principal: Principal, client: OAuthClient, scopes: tuple[str, ...]) -> bool:
        if client.is_trusted or (client.owner_id and client.owner_id == principal.user_id):
            return False
        async with self._store.reading() as unit:
            tokens = await unit.tokens.of_user(principal.user_id)
        holder, now = client.holder(principal.name), self._clock.now()
        before = {scope for token in tokens if _is_live(token, client, now) for scope in token.scopes}
        given = self._roles.custom.widen(expand(before, holder))
        wanted = self._roles.expand(scopes, holder)
        return INHERIT not in given and (INHERIT in wanted or intersect(wanted, given) != wanted)

    def _scopes_of_role(self, name: str) -> Sequence[str] | None:
        role = self._roles.role(name)
        return None if role is None else role.scopes


def _is_live(token: ApiToken, client: OAuthClient, now: datetime) -> bool:
    return token.client_id == client.id and (token.expires_at is None or token.expires_at > now)
