"""
What tests of the OAuth provider need: people with sessions, servers that run with tokens, services.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.servers import Server
from perijove.hub.domain.tokens import PREFIX_LENGTH
from perijove.hub.oauth.parameters import Parameters
from perijove.hub.oauth.token_request import IssuedToken
from perijove.hub.ports import Store
from perijove.hub.usecases.oauth_authorize import Authorize
from perijove.hub.usecases.oauth_clients import OAuthClients
from perijove.hub.usecases.oauth_exchange import ExchangeCode
from perijove.hub.usecases.testing import FakeSpawners
from tests.unit.hub.usecases.people import People

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
SERVICE_SECRET = "secret-of-grades"
GRADES = {"name": "grades", "api_token": SERVICE_SECRET, "url": "http://127.0.0.1:9"}
OPEN_SERVICES = {"name": "user", "scopes": ["self", "access:services"]}


def challenge_of(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def request_of(client_id: str, redirect_uri: str, **more: str) -> Parameters:
    parameters = {"client_id": client_id, "redirect_uri": redirect_uri, "response_type": "code", "state": "st"} | more
    return {name: [value] for name, value in parameters.items()}


class OAuthWorld:
    """The provider over a store in memory."""

    def __init__(
        self,
        *,
        services: Sequence[Mapping[str, Any]] = (GRADES,),
        roles: Sequence[Mapping[str, Any]] = (OPEN_SERVICES,),
        blocked_users: Sequence[str] = (),
        require_pkce: bool = False,
        token_seconds: int = 0,
        store: Store | None = None,
    ) -> None:
        self.people = People(services=services, roles=roles, blocked_users=blocked_users, store=store)
        self.spawners = FakeSpawners()
        people = self.people
        self.clients = OAuthClients(store=people.store, roles=people.roles, scopes=self.spawners, base_url="/")
        self.authorize = Authorize(
            store=people.store,
            clock=people.clock,
            randomness=people.randomness,
            roles=people.roles,
            clients=self.clients,
            require_pkce=require_pkce,
        )
        self.exchange = ExchangeCode(
            store=people.store,
            clock=people.clock,
            randomness=people.randomness,
            clients=self.clients,
            identify=people.identify,
            revocations=people.revocations,
            token_seconds=token_seconds,
        )

    async def server(self, owner: str, name: str = "", *, secret: str = "", state: State = State.READY) -> Server:
        """A server of *owner*, who signs in, with *secret* as its token."""
        user = (await self.people.enter(owner)).user
        async with self.people.store.unit() as unit:
            row = await unit.servers.add(user_id=user.id, name=name, created=self.people.clock.now())
            row = await unit.servers.swap(row, replace(row, state=state))
            if secret:
                await unit.tokens.add(
                    user_id=user.id,
                    prefix=secret[:PREFIX_LENGTH],
                    token_hash=hash_secret(secret),
                    scopes=(),
                    note="",
                    created=self.people.clock.now(),
                    server=row.key,
                )
        return row

    async def runtime_service(self, name: str, secret: str, **declaration: Any) -> None:
        """A service that was added through the API."""
        async with self.people.store.unit() as unit:
            await unit.services.add(
                RuntimeService(
                    name=name,
                    prefix=secret[:PREFIX_LENGTH],
                    token_hash=hash_secret(secret),
                    declaration=declaration,
                    created=self.people.clock.now(),
                )
            )

    async def code(self, principal: Principal, parameters: Parameters, chosen: Sequence[str] | None = None) -> str:
        """The code that *principal* gives, whether or not they must be asked."""
        asked = await self.authorize.ask(principal, parameters)
        url = await self.authorize.agree(principal, asked, chosen)
        return parse_qs(urlsplit(url).query)["code"][0]

    async def token(self, **form: str) -> IssuedToken:
        """What a client gets for a form."""
        fields = {"grant_type": "authorization_code"} | form
        return await self.exchange({name: [value] for name, value in fields.items() if value})

    def now(self) -> datetime:
        return self.people.clock.now()
