"""
At which origin what is: the hub, each user's servers, each service. Pure.

Without subdomains all of them share one origin, and what is made here are paths, as they always were. With
subdomains (`subdomain_host`) every user and every service has an origin of its own, and what is not below the hub's
prefix is a full URL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from perijove.config.settings import HubSettings
from perijove.config.urls import origin_of
from perijove.hub.domain.labels import IDNA, Hook, Kind, host_of, is_below
from perijove.hub.domain.urls import server_route, server_url, service_route, service_url

#: what a `Host` field may be here: a name in ASCII, perhaps with a port
_HOST: Final = re.compile(r"([A-Za-z0-9._-]{1,254})(?::([0-9]{1,5}))?")
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Which origin belongs to whom."""

    #: scheme, host and port of the hub; empty: not known
    hub: str = ""
    #: host name of the hub; empty: everything is at the hub's origin
    domain: str = ""
    hook: str | Hook = IDNA

    @property
    def are_many(self) -> bool:
        """Whether users and services have origins of their own."""
        return self.domain != ""

    @property
    def everybody(self) -> str:
        """All of theirs, as a source in a content policy (CSP 3, 2.3.1); empty: there are none."""
        return f"{self._scheme}://*.{self.hub.partition('://')[2]}" if self.domain else ""

    @property
    def _scheme(self) -> str:
        return self.hub.partition("://")[0]

    def of_user(self, name: str) -> str:
        """Origin of a user's servers; empty: the hub's."""
        return self.of(name, "user")

    def of_service(self, name: str) -> str:
        """Origin of a service; empty: the hub's."""
        return self.of(name, "service")

    def of(self, name: str, kind: Kind) -> str:
        """Origin of a user's servers or of a service; empty: the hub's."""
        if not self.domain:
            return ""
        return _origin(self._scheme, self.host_of(name, kind), urlsplit(self.hub).port)

    def host_of(self, name: str, kind: Kind) -> str:
        """Host name of a user or service, without a port; empty: any."""
        return host_of(name, self.domain, kind, self.hook) if self.domain else ""

    def server(self, base_url: str, user: str, server: str) -> str:
        """URL of a server (contract a, d): its path, with its origin if it has one."""
        return f"{self.of_user(user)}{server_url(base_url, user, server)}"

    def service(self, base_url: str, service: str) -> str:
        """URL of a service (contract g): its path, with its origin if it has one."""
        return f"{self.of_service(service)}{service_url(base_url, service)}"

    def server_route(self, base_url: str, user: str, server: str) -> str:
        """Path of its route, with the host in front if routes have one (contract h)."""
        return self._route(self.host_of(user, "user"), server_route(base_url, user, server))

    def service_route(self, base_url: str, service: str) -> str:
        """Path of its route, with the host in front if routes have one (contract h)."""
        return self._route(self.host_of(service, "service"), service_route(base_url, service))

    def _route(self, host: str, path: str) -> str:
        return f"/{host}{path}" if host else path

    def public(self, url: str) -> str:
        """*url*, made here, for others; empty if it is a path and nobody knows of which host."""
        return url if not url.startswith("/") else f"{self.hub}{url}" if self.hub else ""

    def is_at(self, host: str, name: str) -> bool:
        """Whether a request with this `Host` is for the host *name*."""
        return name != "" and _name_in(host) == name

    def is_elsewhere(self, host: str) -> bool:
        """Whether a request with this `Host` is for somebody's origin below the hub's, and not for the hub."""
        return self.domain != "" and is_below(_name_in(host), self.domain)

    def owns(self, scheme: str, netloc: str) -> bool:
        """Whether the origin of a full URL is the hub's or below it. Nothing but a plain name and a port is."""
        match = _HOST.fullmatch(netloc)
        if not self.domain or match is None or scheme != self._scheme:
            return False
        ours = urlsplit(self.hub)
        port = int(match[2]) if match[2] else _PORTS[scheme]
        name = match[1].lower()
        is_ours = name == self.domain or (is_below(name, self.domain) and ".." not in name and name[0] != ".")
        return is_ours and port == (ours.port or _PORTS[scheme])


#: Everything at one origin, which nobody knows.
ONE_ORIGIN: Final = Origins()


def origins_of(settings: HubSettings) -> Origins:
    """As configured; what cannot be has been refused (`config/subdomains.py`)."""
    if not settings.subdomain_host:
        return Origins(hub=origin_of(settings.public_url))
    parts = urlsplit(settings.subdomain_host)
    domain = parts.hostname or ""
    return Origins(hub=_origin(parts.scheme, domain, parts.port), domain=domain, hook=settings.subdomain_hook)


def _origin(scheme: str, host: str, port: int | None) -> str:
    return f"{scheme}://{host}" if port in {None, _PORTS.get(scheme)} else f"{scheme}://{host}:{port}"


def _name_in(host: str) -> str:
    """The name in a `Host` field, read as the proxy reads it: no port, no dot at the end, lower case."""
    return host.partition(":")[0].lower().removesuffix(".")
