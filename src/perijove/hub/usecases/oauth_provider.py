"""
The OAuth 2 provider as one thing: its use cases, which must agree on who is a client.
"""

from __future__ import annotations

from dataclasses import dataclass

from perijove.config.settings import HubSettings
from perijove.hub.domain.origins import origins_of
from perijove.hub.ports import Store
from perijove.hub.usecases.identify import Identify
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.oauth_authorize import Authorize
from perijove.hub.usecases.oauth_clients import ClientScopes, OAuthClients
from perijove.hub.usecases.oauth_exchange import ExchangeCode
from perijove.hub.usecases.sign_out import Revocations
from perijove.kit.clock import Clock, Randomness


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthProvider:
    """Both ends of a flow."""

    authorize: Authorize
    exchange_code: ExchangeCode


def make_provider(
    *,
    store: Store,
    clock: Clock,
    randomness: Randomness,
    roles: RoleBook,
    scopes: ClientScopes,
    identify: Identify,
    revocations: Revocations,
    settings: HubSettings,
) -> OAuthProvider:
    """The provider of a deployment; *scopes* knows what servers may do for their visitors."""
    clients = OAuthClients(
        store=store, roles=roles, scopes=scopes, base_url=settings.base_url, origins=origins_of(settings)
    )
    return OAuthProvider(
        authorize=Authorize(
            store=store,
            clock=clock,
            randomness=randomness,
            roles=roles,
            clients=clients,
            require_pkce=settings.oauth_require_pkce,
        ),
        exchange_code=ExchangeCode(
            store=store,
            clock=clock,
            randomness=randomness,
            clients=clients,
            identify=identify,
            revocations=revocations,
            token_seconds=settings.oauth_token_expires_in,
        ),
    )
