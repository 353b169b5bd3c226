"""
OAuth clients (RFC 6749, section 2): every server and every service that has an address is one.

There is no table of them. The client of a server follows from its row, that of a service from its declaration; the
secret is the API token that either has anyway. A redirection URI may be a bare path of this host, and is compared
character by character (RFC 6749, 3.1.2.3; RFC 9700, 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from perijove.hub.domain.errors import InvalidServerName
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.roles import Service
from perijove.hub.domain.servers import check_server_name
from perijove.hub.domain.urls import is_redirect_uri, server_url
from perijove.hub.scopes.decision import Resource, ServerResource, ServiceResource
from perijove.hub.scopes.expansion import Holder

#: client ids of servers begin so (contract a), those of services so (contract g)
SERVER_PREFIX: Final = "jupyterhub-user-"
SERVICE_PREFIX: Final = "service-"
#: longest client id looked at: the longest name of a user and of a server, percent-encoded
MAX_CLIENT_ID: Final = 1200
#: where clients on this host take their answers, below their own prefix
CALLBACK: Final = "oauth_callback"


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthClient:
    """A program that may sign people in with the hub."""

    id: str
    #: for people: what asks
    description: str
    #: where answers go, exactly; a path of this host or a full URL
    redirect_uri: str
    #: what a visitor must hold to be let in, and what every token for this client has
    access_scope: str
    #: further scopes that it may have, as declared; also what it gets if it asks for none
    allowed_scopes: tuple[str, ...] = ()
    #: `owner/name` if it is a server; else empty
    server: str = ""
    #: name if it is a service; else empty
    service: str = ""
    #: id of the user whose server it is; 0 for services
    owner_id: int = 0
    #: whether nobody is asked: an administrator has said so
    is_trusted: bool = False

    @property
    def resource(self) -> Resource:
        """What a visitor must be allowed to enter."""
        if self.service:
            return ServiceResource(self.service)
        owner, _, name = self.server.partition("/")
        return ServerResource(owner, name)

    @property
    def access(self) -> str:
        """Name of the scope that lets visitors in."""
        return self.access_scope.partition("!")[0]

    def holder(self, user: str) -> Holder:
        """What self-referring filters mean in a token that *user* gives to this client."""
        return Holder(user=user, server=self.server, service=self.service)


def server_client_id(user: str, server: str) -> str:
    """The client id of a server (contract a)."""
    return "-".join((f"{SERVER_PREFIX}{quote(user)}", *([quote(server)] if server else [])))


def server_redirect_uri(base_url: str, user: str, server: str, *, origins: Origins = ONE_ORIGIN) -> str:
    """Where a server takes its answers (contract a)."""
    return f"{origins.server(base_url, user, server)}{CALLBACK}"


def service_redirect_uri(base_url: str, service: str, *, origins: Origins = ONE_ORIGIN) -> str:
    """Where a service takes its answers, unless it says otherwise (contract g)."""
    return f"{origins.service(base_url, service)}{CALLBACK}"


def possible_servers(client_id: str) -> Sequence[tuple[str, str]]:
    """
    Owner and name of every server that would have this client id.

    Hyphens are in names, too: `jupyterhub-user-ada-lab` may be the default server of `ada-lab` or the server `lab` of
    `ada`. Which of them is meant, only their rows and the redirection URI tell.
    """
    if not client_id.startswith(SERVER_PREFIX) or len(client_id) > MAX_CLIENT_ID:
        return ()
    text = client_id.removeprefix(SERVER_PREFIX)
    splits = [(text[:at], text[at + 1 :]) for at, char in enumerate(text) if char == "-"]
    found = [(unquote(user), unquote(server)) for user, server in [(text, ""), *splits]]
    return [
        (user, server)
        for user, server in found
        if user and _is_server_name(server) and server_client_id(user, server) == client_id
    ]


def _is_server_name(name: str) -> bool:
    try:
        check_server_name(name)
    except InvalidServerName:
        return False
    return True


def client_of_server(
    *,
    base_url: str,
    owner_id: int,
    user: str,
    server: str,
    allowed_scopes: Sequence[str] = (),
    origins: Origins = ONE_ORIGIN,
) -> OAuthClient:
    """The client that a server is."""
    return OAuthClient(
        id=server_client_id(user, server),
        description=f"Server at {server_url(base_url, user, server)}",
        redirect_uri=server_redirect_uri(base_url, user, server, origins=origins),
        access_scope=f"access:servers!server={user}/{server}",
        allowed_scopes=tuple(allowed_scopes),
        server=f"{user}/{server}",
        owner_id=owner_id,
    )


def client_of(service: Service, base_url: str, *, origins: Origins = ONE_ORIGIN) -> OAuthClient | None:
    """The client that a service is as it was declared; None if it is none."""
    return client_of_service(
        base_url=base_url,
        name=service.name,
        url=service.url,
        client_id=service.oauth_client_id,
        redirect_uri=service.oauth_redirect_uri,
        allowed_scopes=service.oauth_client_allowed_scopes,
        is_trusted=service.oauth_no_confirm,
        origins=origins,
    )


def client_of_service(
    *,
    base_url: str,
    name: str,
    url: str = "",
    client_id: str = "",
    redirect_uri: str = "",
    allowed_scopes: Sequence[str] = (),
    is_trusted: bool = False,
    origins: Origins = ONE_ORIGIN,
) -> OAuthClient | None:
    """The client that a service is; None if nothing in its declaration makes it one (contract g)."""
    answers_to = redirect_uri or service_redirect_uri(base_url, name, origins=origins)
    if not (url or client_id or redirect_uri or allowed_scopes) or not is_redirect_uri(answers_to):
        return None
    return OAuthClient(
        id=client_id or f"{SERVICE_PREFIX}{name}",
        description=f"Service {name}",
        redirect_uri=answers_to,
        access_scope=f"access:services!service={name}",
        allowed_scopes=tuple(allowed_scopes),
        service=name,
        is_trusted=is_trusted,
    )
