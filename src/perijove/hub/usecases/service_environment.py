"""
The environment of a service that the hub runs (contract g).

What the machine adds (HOME, PATH) is the launcher's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from perijove.config.settings import HubSettings
from perijove.hub.domain.audiences import service_audience
from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.domain.origins import origins_of
from perijove.hub.domain.roles import Service
from perijove.hub.domain.urls import service_url
from perijove.hub.oauth.clients import CALLBACK, SERVICE_PREFIX, client_of
from perijove.wire import environment as names


class ServiceEnvironment:
    """Makes the variables that tell a service who it is and where its hub is."""

    def __init__(self, settings: HubSettings, services: Iterable[Service] = ()) -> None:
        self._settings = settings
        services = tuple(services)
        self._origins = origins_of(settings)
        self._gated = frozenset(service.name for service in services if service.is_gated)
        self._clients = {
            service.name: client_of(service, settings.base_url, origins=self._origins) for service in services
        }

    def prefix(self, name: str) -> str:
        """Path below which the proxy sends requests to a service."""
        return service_url(self._settings.base_url, name)

    def make(self, service: ManagedService) -> dict[str, str]:
        """The variables of *service*; what its declaration says itself wins."""
        settings, name = self._settings, service.name
        prefix = self.prefix(name)
        url = self._origins.service(settings.base_url, name)
        client = self._clients.get(name)
        access = json.dumps(["access:services", f"access:services!service={name}"])
        variables = {
            names.SERVICE_NAME: name,
            names.SERVICE_PREFIX: prefix,
            names.API_TOKEN: service.token,
            names.LEGACY_API_TOKEN: service.token,
            names.API_URL: settings.api_url,
            names.BASE_URL: settings.base_url,
            names.HOST: self._origins.hub if self._origins.are_many else "",
            names.CLIENT_ID: client.id if client else f"{SERVICE_PREFIX}{name}",
            names.OAUTH_CALLBACK_URL: client.redirect_uri if client else f"{url}{CALLBACK}",
            names.OAUTH_ACCESS_SCOPES: access,
            names.OAUTH_LEGACY_SCOPES: access,
            names.OAUTH_ALLOWED_SCOPES: json.dumps(client.allowed_scopes if client else ()),
            names.COOKIE_PREFIX_ENABLED: "0",
            names.PUBLIC_URL: self._origins.public(url) if service.url else "",
            names.PUBLIC_HUB_URL: self._origins.public(settings.hub_prefix),
            names.USER: "",
            names.SERVER_NAME: "",
        }
        if service.url:
            variables[names.SERVICE_URL] = service.url
        if name in self._gated:
            variables[names.AUDIENCE] = service_audience(name)
            variables[names.IDENTITY_KEYS_URL] = f"{settings.api_url}/identity-keys"
        return {**variables, **service.environment}
