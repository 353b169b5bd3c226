"""
Finds OAuth clients and knows them by their secrets. There is no table: a client is a server that runs, or a service.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.servers import Server
from perijove.hub.domain.tokens import PREFIX_LENGTH
from perijove.hub.oauth.clients import (
    SERVER_PREFIX,
    OAuthClient,
    client_of,
    client_of_server,
    client_of_service,
    possible_servers,
    server_redirect_uri,
)
from perijove.hub.oauth.errors import BadClient
from perijove.hub.ports import Store, Unit
from perijove.hub.usecases.load_roles import RoleBook


class ClientScopes(Protocol):
    """Knows what tokens of a server's visitors may do besides letting them in."""

    async def client_scopes(self, server: Server) -> Sequence[str]:
        """As the configuration has them; nothing if it fails."""
        ...


class OAuthClients:
    """All clients there are right now."""

    def __init__(
        self, *, store: Store, roles: RoleBook, scopes: ClientScopes, base_url: str, origins: Origins = ONE_ORIGIN
    ) -> None:
        self._store = store
        self._roles = roles
        self._scopes = scopes
        self._base_url = base_url
        self._origins = origins

    async def find(self, client_id: str, redirect_uri: str) -> OAuthClient:
        """
        The client of that id that takes its answers at *redirect_uri*, exactly.

        Raises:
            BadClient: there is none.
        """
        if client_id.startswith(SERVER_PREFIX):
            async with self._store.reading() as unit:
                server = await self._server(unit, client_id, redirect_uri)
            if server is None:
                raise BadClient
            return self._of_server(server, await self._scopes.client_scopes(server))
        async with self._store.reading() as unit:
            services = await unit.services.all()
        for client, _ in self._of_services(services):
            if (client.id, client.redirect_uri) == (client_id, redirect_uri):
                return client
        raise BadClient

    async def by_secret(self, unit: Unit, client_id: str, secret: str, now: datetime) -> OAuthClient | None:
        """The client of that id whose secret that is; None if there is none."""
        secret_hash = hash_secret(secret)
        if not client_id.startswith(SERVER_PREFIX):
            found = self._of_services(await unit.services.all())
            return next(
                (client for client, its in found if client.id == client_id and hmac.compare_digest(its, secret_hash)),
                None,
            )
        for user, name in possible_servers(client_id):
            server = await unit.servers.by_key(user, name)
            if server is not None and await _is_token_of(unit, server, secret, secret_hash, now):
                return self._of_server(server, ())
        return None

    async def _server(self, unit: Unit, client_id: str, redirect_uri: str) -> Server | None:
        """The server that is that client. One that is stopped has no token, so no secret, and is none."""
        for user, name in possible_servers(client_id):
            if server_redirect_uri(self._base_url, user, name, origins=self._origins) == redirect_uri:
                server = await unit.servers.by_key(user, name)
                return server if server is not None and server.is_active else None
        return None

    def _of_server(self, server: Server, scopes: Sequence[str]) -> OAuthClient:
        return client_of_server(
            base_url=self._base_url,
            owner_id=server.user_id,
            user=server.user_name,
            server=server.name,
            allowed_scopes=scopes,
            origins=self._origins,
        )

    def _of_services(self, added: Iterable[RuntimeService]) -> Sequence[tuple[OAuthClient, str]]:
        """
        Clients of services with the hashes of their secrets. Of several that claim one id it is the first one's, and
        the configuration's come first: nobody may come for the codes of another.
        """
        declared = [
            (client_of(each, self._base_url, origins=self._origins), each.api_token_hash)
            for each in self._roles.services
        ]
        later = [(self._of_row(row), row.token_hash) for row in added if self._roles.service(row.name) is None]
        found: dict[str, tuple[OAuthClient, str]] = {}
        for client, token_hash in (*declared, *later):
            if client is not None and token_hash:
                found.setdefault(client.id, (client, token_hash))
        return list(found.values())

    def _of_row(self, row: RuntimeService) -> OAuthClient | None:
        declared = row.declaration
        return client_of_service(
            base_url=self._base_url,
            name=row.name,
            url=str(declared.get("url", "")),
            client_id=str(declared.get("oauth_client_id", "")),
            redirect_uri=str(declared.get("oauth_redirect_uri", "")),
            allowed_scopes=[str(scope) for scope in declared.get("oauth_client_allowed_scopes", ())],
            is_trusted=declared.get("oauth_no_confirm") is True,
            origins=self._origins,
        )


async def _is_token_of(unit: Unit, server: Server, secret: str, secret_hash: str, now: datetime) -> bool:
    """Whether *secret* is a token that this very server was started with."""
    for row, _ in await unit.tokens.by_prefix(secret[:PREFIX_LENGTH]):
        is_it = hmac.compare_digest(row.token_hash, secret_hash)
        is_alive = row.expires_at is None or row.expires_at > now
        if is_it and is_alive and row.user_id == server.user_id and row.server == server.key:
            return True
    return False
