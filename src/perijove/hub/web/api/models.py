"""
The JSON of contract d: what a user, a server, a token look like, and to whom which part of it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.urls import segment, server_url, service_url
from perijove.hub.domain.users import User
from perijove.hub.scopes.decision import ServerResource, UserResource, may
from perijove.hub.scopes.fields import visibility_of, visible_group_fields, visible_service_fields
from perijove.hub.usecases.change_groups import KnownGroup
from perijove.hub.usecases.load_roles import RoleBook
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.services import KnownService
from perijove.hub.usecases.users import KnownUser
from perijove.wire.routes import GATED, OPEN

#: Whoever asks who they are learns this much, whatever the scopes (contract d, “Identity”): whose a token is, and
#: how they are shown, as `jupyterhub-singleuser` reads it.
_ONESELF = frozenset({"kind", "name", "user_info", "groups"})


_TIMESTAMP: Final = "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ"
#: sets of scopes whose order is remembered
_REMEMBERED: Final = 1024


def timestamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC with microseconds and `Z`."""
    if at is None:
        return None
    utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    # Pages have hundreds of them, and this takes half the time of `isoformat` or of an f-string.
    return _TIMESTAMP % (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond)


def progress_url(hub_prefix: str, user: str, server: str) -> str:
    """Path of the event stream of a server's start."""
    tail = f"servers/{quote(server, safe='')}/progress" if server else "server/progress"
    return f"{hub_prefix}api/users/{segment(user)}/{tail}"


class Models:
    """Makes them for one asker."""

    def __init__(
        self,
        *,
        principal: Principal,
        roles: RoleBook,
        queue: QueueBook,
        base_url: str,
        hub_prefix: str,
        public_url: str,
        origins: Origins = ONE_ORIGIN,
    ) -> None:
        self.principal = principal
        self.roles = roles
        self.queue = queue
        self.base_url = base_url
        self.hub_prefix = hub_prefix
        self.public_url = public_url
        self.origins = origins
        self._visibility = visibility_of(principal.scopes)
        # Found once for all of a list: `may` says yes to everything when the scope has no filter.
        self._reads_all_servers = "read:servers" in principal.scopes
        self._reads_all_state = "admin:server_state" in principal.scopes
        self._reads_some_state = "admin:server_state" in self._visibility.names

    def user(self, known: KnownUser, *, with_stopped: bool = False, is_self: bool = False) -> dict[str, Any]:
        """A user, cut down to what the asker may see."""
        user = known.user
        default = next((row for row in known.servers if not row.name), None)
        shown = self._visibility.of(user.name)
        if is_self:
            shown |= _ONESELF
        servers = self._servers(known, with_stopped=with_stopped) if "servers" in shown else {}
        full = {
            "kind": "user",
            "name": user.name,
            "admin": user.admin,
            "roles": list(self.roles.roles_of_user(user, known.groups)),
            "groups": list(known.groups),
            "server": self.origins.server(self.base_url, user.name, "") if default and default.is_ready else None,
            "pending": default.pending if default else None,
            "created": timestamp(user.created),
            "last_activity": timestamp(user.last_activity),
            "servers": servers,
            "user_info": None if user.user_info is None else dict(user.user_info),
            "auth_state": None,
        }
        return {key: value for key, value in full.items() if key in shown}

    def identity(self, known: KnownUser | None) -> dict[str, Any]:
        """Who the asker is; *known* is None for a service."""
        principal = self.principal
        model = self.user(known, is_self=True) if known is not None else self._service()
        return model | {
            "token_id": principal.token_id or None,
            "session_id": principal.session_id or principal.given_in or None,
            "scopes": _in_order(principal.scopes),
        }

    def group(self, known: KnownGroup) -> dict[str, Any]:
        """A group, cut down to what the asker may see."""
        group = known.group
        shown = visible_group_fields(self.principal.scopes, group.name)
        full = {
            "kind": "group",
            "name": group.name,
            "roles": list(self.roles.roles_of_group(group.name)),
            "users": list(known.users),
            "properties": dict(group.properties),
        }
        return {key: value for key, value in full.items() if key in shown}

    def service(self, known: KnownService) -> dict[str, Any]:
        """A service, cut down to what the asker may see."""
        service = known.service
        shown = visible_service_fields(self.principal.scopes, service.name)
        full = {
            "kind": "service",
            "name": service.name,
            "roles": list(self.roles.roles_of_service(service.name, admin=service.admin)),
            "admin": service.admin,
            "url": service.url,
            "prefix": service_url(self.base_url, service.name) if service.url else "",
            "command": list(known.command),
            # The process is the launcher's, or somebody else's.
            "pid": 0,
            "info": dict(service.info),
            "display": service.display,
            "access": GATED if service.is_gated else OPEN,
        }
        return {key: value for key, value in full.items() if key in shown}

    def server(self, server: Server) -> dict[str, Any]:
        """A server."""
        url = self.origins.server(self.base_url, server.user_name, server.name)
        progress = progress_url(self.hub_prefix, server.user_name, server.name)
        model = {
            "name": server.name,
            "display_name": server.display_name,
            "full_name": server.key,
            "last_activity": timestamp(server.last_activity),
            "started": timestamp(server.started_at),
            "pending": server.pending,
            "ready": server.is_ready,
            "stopped": not server.is_active,
            "url": url,
            "user_options": dict(server.user_options),
            "progress_url": progress,
            "full_url": self.full_url(url),
            "full_progress_url": self.full_url(progress),
            "stop_reason": server.stop_reason,
            "failure": server.failure,
        }
        place = self.queue.place_of(server.id) if server.state is State.QUEUED else None
        if place is not None:
            model["queue"] = {"ahead": place.ahead, "seconds": place.seconds}
        if self._reads_all_state or (
            self._reads_some_state
            and may(self.principal, "admin:server_state", ServerResource(server.user_name, server.name))
        ):
            model["state"] = dict(server.handle)
        return model

    def token(self, token: ApiToken, user: User, scopes: Iterable[str]) -> dict[str, Any]:
        """A token, without its text."""
        return {
            "user": user.name,
            "id": token.public_id,
            "kind": "api_token",
            "roles": [],
            "scopes": sorted(scopes),
            "created": timestamp(token.created),
            "last_activity": timestamp(token.last_activity),
            "expires_at": timestamp(token.expires_at),
            "note": token.note,
            "session_id": token.session_id or None,
            # A client's description is its tokens' note: it is told even when there is no such client any more.
            "oauth_client": token.note
            if token.client_id
            else f"Server at {server_url(self.base_url, *_split(token.server))}"
            if token.server
            else "JupyterHub",
        }

    def _servers(self, known: KnownUser, *, with_stopped: bool) -> dict[str, Any]:
        return {
            row.name: self.server(row)
            for row in known.servers
            if (with_stopped or row.is_active)
            and (
                self._reads_all_servers
                or may(self.principal, "read:servers", UserResource(row.user_name))
                or may(self.principal, "read:servers", ServerResource(row.user_name, row.name))
            )
        }

    def _service(self) -> dict[str, Any]:
        assert self.principal.kind is Kind.SERVICE
        return {
            "kind": "service",
            "name": self.principal.name,
            "admin": self.principal.admin,
            "roles": list(self.roles.roles_of_service(self.principal.name, admin=self.principal.admin)),
        }

    def full_url(self, path: str) -> str | None:
        """*path* as others find it from anywhere; None if the configuration does not say where this is."""
        if not path.startswith("/"):
            # A server with an origin of its own: its address says where it is.
            return path
        if not self.public_url:
            return None
        return self.public_url.rstrip("/").removesuffix(self.base_url.rstrip("/")) + path


@lru_cache(maxsize=_REMEMBERED)
def _in_order(scopes: frozenset[str]) -> Sequence[str]:
    return sorted(scopes)


def _split(key: str) -> tuple[str, str]:
    owner, _, name = key.partition("/")
    return owner, name
