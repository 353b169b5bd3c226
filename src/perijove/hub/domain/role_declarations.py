"""
Roles and services as an administrator writes them, checked (contract f and g). Pure.

Everything that is not understood is refused with the item's name: a permission that silently does nothing
is a trap, and one that silently does more is a hole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.managed_services import KEYS as MANAGED_KEYS
from perijove.hub.domain.roles import Role, Service
from perijove.hub.domain.secrets_at_rest import hash_secret
from perijove.hub.domain.urls import is_redirect_uri
from perijove.hub.domain.users import normalise
from perijove.hub.scopes.catalog import METASCOPES
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.grammar import parse
from perijove.wire.routes import GATED, OPEN

USER: Final = "user"
ADMIN: Final = "admin"
SERVER: Final = "server"
TOKEN: Final = "token"  # noqa: S105  # a role's name, no secret

#: contract f: always there; all but `admin` can be declared anew
DEFAULT_ROLES: Final[Mapping[str, Role]] = {
    USER: Role(name=USER, description="Everything about oneself", scopes=("self",)),
    ADMIN: Role(
        name=ADMIN,
        description="Everything",
        scopes=(
            "admin-ui",
            "admin:users",
            "admin:servers",
            "admin:services",
            "tokens",
            "admin:groups",
            "list:services",
            "read:services",
            "read:hub",
            "proxy",
            "shutdown",
            "access:services",
            "access:servers",
            "read:roles",
            "read:metrics",
            "read:audit",
            "shares",
        ),
    ),
    SERVER: Role(
        name=SERVER,
        description="What a server's own token may do",
        scopes=("users:activity!user", "access:servers!server"),
    ),
    TOKEN: Role(name=TOKEN, description="What a new token may do", scopes=("inherit",)),
}

_ROLE_NAME: Final = re.compile(r"[a-z][a-z0-9\-_~\.]{1,253}[a-z0-9]")
_ROLE_KEYS: Final = frozenset({"name", "description", "scopes", "users", "services", "groups"})
_SERVICE_KEYS: Final = MANAGED_KEYS | {
    "name",
    "api_token",
    "admin",
    "url",
    "display",
    "info",
    "timeout",
    "oauth_client_id",
    "oauth_redirect_uri",
    "oauth_no_confirm",
    "oauth_client_allowed_scopes",
    "access",
}
#: of these the API takes the ones that do not say how the hub is to run it (contract d41)
_ADDED_KEYS: Final = _SERVICE_KEYS - MANAGED_KEYS - {"timeout"}
#: contract d: tokens from configuration
_MIN_TOKEN, _MAX_TOKEN = 8, 64


def read_service(declared: Mapping[str, Any]) -> Service:
    """
    One item of `services`.

    Raises:
        InvalidRequest: it has an unknown key, no name, no token, or a value of the wrong kind.
    """
    name = _text(declared, "name", "a service")
    what = f"The service {name!r}"
    if not name or "/" in name or "%" in name or name != name.strip() or not name.strip("."):
        raise InvalidRequest(f"{what} needs a name without slashes.")
    _refuse_unknown(declared, _SERVICE_KEYS, what)
    token = _text(declared, "api_token", what)
    if not _MIN_TOKEN <= len(token) <= _MAX_TOKEN:
        raise InvalidRequest(f"{what} needs an api_token of {_MIN_TOKEN} to {_MAX_TOKEN} characters.")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidRequest(f"{what} needs an api_token that fits into a header: no spaces, ASCII only.")
    info = declared.get("info", {})
    if not isinstance(info, Mapping):
        raise InvalidRequest(f"{what}: info must be a dictionary.")
    return Service(
        name=name,
        api_token_hash=hash_secret(token),
        admin=_flag(declared, "admin", what, default=False),
        url=_origin(_text(declared, "url", what), what),
        display=_flag(declared, "display", what, default=True),
        info=dict(info),
        oauth_client_id=_client_id(_text(declared, "oauth_client_id", what), what),
        oauth_redirect_uri=_redirect_uri(_text(declared, "oauth_redirect_uri", what), what),
        oauth_no_confirm=_flag(declared, "oauth_no_confirm", what, default=False),
        oauth_client_allowed_scopes=_scopes(declared, what, key="oauth_client_allowed_scopes"),
        is_gated=_is_gated(declared, what),
    )


def read_added_service(name: str, declared: Mapping[str, Any]) -> tuple[Service, Mapping[str, Any]]:
    """
    A service that is added through the API (contract d41), and what is to be kept of *declared*.

    It may be without a token: then it cannot identify itself, and is only routed to.

    Raises:
        InvalidRequest: it has an unknown key, a bad name, or a value of the wrong kind; or the hub is to run it.
    """
    if declared.get("command"):
        raise InvalidRequest(f"Can not create managed service {name} at runtime")
    _refuse_unknown(declared, _ADDED_KEYS, f"The service {name!r}")
    if declared.get("name", name) != name:
        raise InvalidRequest(f"The service {name!r} has another name in the body.")
    has_token = bool(declared.get("api_token"))
    service = read_service({**declared, "name": name, "api_token": declared["api_token"] if has_token else "-" * 16})
    kept = {key: value for key, value in declared.items() if key not in {"name", "api_token"}}
    return (service if has_token else replace(service, api_token_hash="")), kept


def read_role(declared: Mapping[str, Any]) -> Role:
    """
    One item of `load_roles`.

    Raises:
        InvalidRequest: it has an unknown key or scope, or a bad name.
    """
    name = _text(declared, "name", "a role")
    what = f"The role {name!r}"
    if name == ADMIN:
        raise InvalidRequest("The role 'admin' cannot be changed; use admin_users.")
    if name not in DEFAULT_ROLES and not _ROLE_NAME.fullmatch(name):
        raise InvalidRequest(f"{what} has an invalid name: 3 to 255 lower-case letters, digits and - _ ~ .")
    _refuse_unknown(declared, _ROLE_KEYS, what)
    members = frozenset(_texts(declared, "services", what))
    default = DEFAULT_ROLES.get(name, Role(name=name))
    users = frozenset(normalise(user) for user in _texts(declared, "users", what)) if "users" in declared else None
    return Role(
        name=name,
        description=_text(declared, "description", what) or default.description,
        scopes=_scopes(declared, what) if "scopes" in declared else default.scopes,
        users=users,
        services=members,
        groups=frozenset(_texts(declared, "groups", what)),
    )


def read_dictated(told: Any, *, known: frozenset[str]) -> ManagedRole:
    """
    One item of the roles that a sign-in method gives somebody (contract j): as in `load_roles`; the name alone is
    enough for a role that there is.

    Raises:
        InvalidRequest: the same as of `read_role`; or there is no such role among those *known*, and no scopes.
    """
    if not isinstance(told, Mapping):
        raise InvalidRequest("A role must be a dictionary with a name.")
    if told.get("name") == ADMIN and set(told) <= {"name", "users", "groups", "services"}:
        return ManagedRole(name=ADMIN)
    role = read_role(told)
    if "scopes" in told:
        return ManagedRole(name=role.name, scopes=role.scopes)
    if role.name not in known:
        raise InvalidRequest(f"There is no role {role.name!r}, and nothing says what it allows.")
    return ManagedRole(name=role.name)


def _scopes(declared: Mapping[str, Any], what: str, *, key: str = "scopes") -> tuple[str, ...]:
    scopes = _texts(declared, key, what)
    for text in scopes:
        try:
            parse(text)
        except BadScope as exc:
            raise InvalidRequest(f"{what}: {exc}") from exc
    return scopes


def check_metascopes(role: Role) -> None:
    """
    Refuse metascopes where they would mean nothing.

    Raises:
        InvalidRequest: a service would get `self`, or somebody other than a token `inherit`.
    """
    if role.services and METASCOPES.intersection(role.scopes):
        raise InvalidRequest(
            f"The role {role.name!r} is given to services, for which `self` and `inherit` mean nothing."
        )


def _refuse_unknown(declared: Mapping[str, Any], known: frozenset[str], what: str) -> None:
    unknown = sorted(str(key) for key in declared if key not in known)
    if unknown:
        raise InvalidRequest(f"{what} has an unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}.")


def _text(declared: Mapping[str, Any], key: str, what: str) -> str:
    value = declared.get(key, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{what}: {key} must be text.")
    return value


def _flag(declared: Mapping[str, Any], key: str, what: str, *, default: bool) -> bool:
    value = declared.get(key, default)
    if not isinstance(value, bool):
        raise InvalidRequest(f"{what}: {key} must be True or False.")
    return value


def _texts(declared: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    value = declared.get(key, ())
    if isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        raise InvalidRequest(f"{what}: {key} must be a list.")
    if not all(isinstance(item, str) for item in value):
        raise InvalidRequest(f"{what}: {key} must be a list of names.")
    return tuple(value)


def _origin(url: str, what: str) -> str:
    if url and (urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).netloc):
        raise InvalidRequest(f"{what}: url must begin with http:// or https:// and name a host.")
    return url.rstrip("/")


def _is_gated(declared: Mapping[str, Any], what: str) -> bool:
    access = declared.get("access", OPEN)
    if access not in (GATED, OPEN):  # what a program sends may not even be hashable
        raise InvalidRequest(f"{what}: access must be {GATED!r} (the proxy lets in who may enter) or {OPEN!r}.")
    if access == GATED and not declared.get("url"):
        raise InvalidRequest(f"{what} is gated but has no url: there is nothing to guard.")
    return bool(access == GATED)


def _client_id(client_id: str, what: str) -> str:
    if client_id and not client_id.startswith("service-"):
        raise InvalidRequest(f"{what}: oauth_client_id must begin with service-.")
    return client_id


def _redirect_uri(uri: str, what: str) -> str:
    if uri and not is_redirect_uri(uri):
        raise InvalidRequest(
            f"{what}: oauth_redirect_uri must be a path of this host or an http(s) URL, without a fragment."
        )
    return uri
