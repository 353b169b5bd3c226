"""
The environment of a server: JupyterHub's variables (contract a) and perijove's own.

What the machine adds (HOME, PATH, a TCP port) is the spawner's and the launcher's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from perijove.config.settings import HubSettings
from perijove.hub.domain.origins import origins_of
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.users import User
from perijove.hub.oauth.clients import server_client_id, server_redirect_uri
from perijove.hub.ports import IdentitySigner
from perijove.wire import environment as names


class ServerEnvironment:
    """Makes the variables that tell a server who it is and where its hub is."""

    def __init__(self, *, settings: HubSettings, signer: IdentitySigner, lab_assets_url: str = "") -> None:
        self._settings = settings
        self._origins = origins_of(settings)
        self._signer = signer
        self._lab_assets_url = lab_assets_url

    def make(self, user: User, server: Server, token: str, client_scopes: Sequence[str]) -> dict[str, str]:
        """
        The variables of a server.

        Args:
            user: whose it is.
            server: which.
            token: its own.
            client_scopes: what tokens that its visitors give it may do besides letting them in.
        """
        return {
            **self._about_the_hub(),
            **self._about_the_server(user, server, token),
            **self._about_visitors(user, server, client_scopes),
            **self._about_the_door(server),
        }

    def _about_the_hub(self) -> dict[str, str]:
        settings = self._settings
        return {
            names.API_URL: settings.api_url,
            names.BASE_URL: settings.base_url,
            names.HOST: self._origins.hub if self._origins.are_many else "",
            names.PUBLIC_HUB_URL: self._origins.public(settings.hub_prefix),
            names.COOKIE_PREFIX_ENABLED: "0",
        }

    def _about_the_server(self, user: User, server: Server, token: str) -> dict[str, str]:
        settings = self._settings
        prefix = server_url(settings.base_url, user.name, server.name)
        url = self._origins.server(settings.base_url, user.name, server.name)
        variables = {
            names.API_TOKEN: token,
            names.LEGACY_API_TOKEN: token,
            names.USER: user.name,
            names.SERVER_NAME: server.name,
            names.SERVICE_PREFIX: prefix,
            names.ACTIVITY_INTERVAL: f"{settings.servers.activity_seconds:g}",
            names.ACTIVITY_URL: f"{settings.api_url}/users/{quote(user.name, safe='@~')}/activity",
            names.PUBLIC_URL: self._origins.public(url),
        }
        if settings.servers.default_url:
            variables[names.DEFAULT_URL] = settings.servers.default_url
        return variables

    def _about_visitors(self, user: User, server: Server, client_scopes: Sequence[str]) -> dict[str, str]:
        access = json.dumps([f"access:servers!server={server.key}", f"access:servers!user={user.name}"])
        return {
            names.CLIENT_ID: server_client_id(user.name, server.name),
            names.OAUTH_CALLBACK_URL: server_redirect_uri(
                self._settings.base_url, user.name, server.name, origins=self._origins
            ),
            names.OAUTH_ACCESS_SCOPES: access,
            names.OAUTH_LEGACY_SCOPES: access,
            names.OAUTH_ALLOWED_SCOPES: json.dumps(list(client_scopes)),
        }

    def _about_the_door(self, server: Server) -> dict[str, str]:
        return {
            names.AUDIENCE: server.key,
            names.IDENTITY_KEYS: json.dumps([dict(jwk) for jwk in self._signer.public_jwks]),
            names.LAB_ASSETS_URL: self._lab_assets_url,
        }
