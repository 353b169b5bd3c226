"""
The environment of a server: JupyterHub's variables (contract a) and perijove's own.

What the machine adds (HOME, PATH, a TCP port) is the spawner's and the launcher's.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote, urlsplit

from perijove.config.settings import HubSettings
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.users import User
from perijove.hub.ports import IdentitySigner
from perijove.wire import environment as names

#: variables of contract a that only servers which do OAuth with the hub read
_CALLBACK_URL: Final = "JUPYTERHUB_OAUTH_CALLBACK_URL"
_ACCESS_SCOPES: Final = "JUPYTERHUB_OAUTH_ACCESS_SCOPES"
_LEGACY_SCOPES: Final = "JUPYTERHUB_OAUTH_SCOPES"
_ALLOWED_SCOPES: Final = "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES"
_COOKIE_PREFIX: Final = "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"
_PUBLIC_URL: Final = "JUPYTERHUB_PUBLIC_URL"
_PUBLIC_HUB_URL: Final = "JUPYTERHUB_PUBLIC_HUB_URL"


class ServerEnvironment:
    """Makes the variables that tell a server who it is and where its hub is."""

    def __init__(self, *, settings: HubSettings, signer: IdentitySigner, lab_assets_url: str = "") -> None:
        self._settings = settings
        self._signer = signer
        self._lab_assets_url = lab_assets_url

    def make(self, user: User, server: Server, token: str) -> dict[str, str]:
        """The variables of *server*, which belongs to *user* and gets *token*."""
        return {
            **self._about_the_hub(),
            **self._about_the_server(user, server, token),
            **self._about_the_door(user, server),
        }

    def _about_the_hub(self) -> dict[str, str]:
        settings = self._settings
        public = urlsplit(settings.public_url)
        origin = f"{public.scheme}://{public.netloc}" if public.netloc else ""
        return {
            names.API_URL: settings.api_url,
            names.BASE_URL: settings.base_url,
            names.HOST: "",
            _PUBLIC_HUB_URL: f"{origin}{settings.hub_prefix}" if origin else "",
            _COOKIE_PREFIX: "0",
        }

    def _about_the_server(self, user: User, server: Server, token: str) -> dict[str, str]:
        settings = self._settings
        prefix = server_url(settings.base_url, user.name, server.name)
        client = "-".join(("jupyterhub-user", quote(user.name), *([quote(server.name)] if server.name else [])))
        public = urlsplit(settings.public_url)
        variables = {
            names.API_TOKEN: token,
            names.LEGACY_API_TOKEN: token,
            names.CLIENT_ID: client,
            names.USER: user.name,
            names.SERVER_NAME: server.name,
            names.SERVICE_PREFIX: prefix,
            names.ACTIVITY_INTERVAL: f"{settings.servers.activity_seconds:g}",
            names.ACTIVITY_URL: f"{settings.api_url}/users/{quote(user.name, safe='@~')}/activity",
            _CALLBACK_URL: f"{prefix}oauth_callback",
            _PUBLIC_URL: f"{public.scheme}://{public.netloc}{prefix}" if public.netloc else "",
        }
        if settings.servers.default_url:
            variables[names.DEFAULT_URL] = settings.servers.default_url
        return variables

    def _about_the_door(self, user: User, server: Server) -> dict[str, str]:
        access = json.dumps([f"access:servers!server={server.key}", f"access:servers!user={user.name}"])
        return {
            _ACCESS_SCOPES: access,
            _LEGACY_SCOPES: access,
            _ALLOWED_SCOPES: "[]",
            names.AUDIENCE: server.key,
            names.IDENTITY_KEYS: json.dumps([dict(jwk) for jwk in self._signer.public_jwks]),
            names.LAB_ASSETS_URL: self._lab_assets_url,
        }
