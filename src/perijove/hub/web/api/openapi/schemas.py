"""
The shapes of bodies, as JSON Schema (2020-12): what `api/models.py` makes and what the handlers take.

What a caller may see of a user or a server depends on scopes, so most members are optional; none is there that is not
listed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from perijove.hub.domain.audit import Action

Schema: TypeAlias = Mapping[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
ANYTHING: Final[Schema] = {"type": "object"}
NAMES: Final[Schema] = {"type": "array", "items": TEXT}


def ref(name: str) -> Schema:
    """The shape of that name."""
    return {"$ref": f"#/components/schemas/{name}"}


def shape(members: Mapping[str, Schema], *, always: tuple[str, ...] | None = None, says: str = "") -> Schema:
    """An object with *members* and no others; of these, *always* are there, or all."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": list(members if always is None else always),
        "additionalProperties": False,
        **({"description": says} if says else {}),
    }


def taken(members: Mapping[str, Schema], *, needed: tuple[str, ...] = (), says: str = "") -> Schema:
    """The same of a request: what is not *needed* may be left out."""
    return shape(members, always=needed, says=says)


def list_of(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def by_name(schema: Schema) -> Schema:
    """An object whose members have names that are not known here."""
    return {"type": "object", "additionalProperties": schema}


def paged(schema: Schema, *, named: bool = False) -> Schema:
    """A page of a list, for those who ask for it by media type."""
    items = by_name(schema) if named else list_of(schema)
    return shape({"items": items, "_pagination": ref("Pagination")})


_SERVER: Final = {
    "name": TEXT,
    "display_name": TEXT,
    "full_name": TEXT,
    "last_activity": TIME,
    "started": TIME,
    "pending": {"enum": ["spawn", "stop", None]},
    "ready": FLAG,
    "stopped": FLAG,
    "url": TEXT,
    "user_options": ANYTHING,
    "progress_url": TEXT,
    "full_url": TEXT_OR_NULL,
    "full_progress_url": TEXT_OR_NULL,
    "stop_reason": TEXT,
    "failure": TEXT,
}
_USER: Final = {
    "kind": {"const": "user"},
    "name": TEXT,
    "admin": FLAG,
    "roles": NAMES,
    "groups": NAMES,
    "server": TEXT_OR_NULL,
    "pending": {"enum": ["spawn", "stop", None]},
    "created": TIME,
    "last_activity": TIME,
    "servers": by_name(ref("Server")),
    "user_info": {"type": ["object", "null"]},
    "auth_state": {"type": ["object", "null"]},
}
_ACCESS: Final = {"enum": ["gated", "open"]}
_SERVICE: Final = {
    "kind": {"const": "service"},
    "name": TEXT,
    "admin": FLAG,
    "roles": NAMES,
    "url": TEXT,
    "prefix": TEXT,
    "command": NAMES,
    "pid": COUNT,
    "info": ANYTHING,
    "display": FLAG,
    "access": _ACCESS,
}
_GROUP: Final = {
    "kind": {"const": "group"},
    "name": TEXT,
    "roles": NAMES,
    "users": NAMES,
    "properties": ANYTHING,
}
_IDENTITY: Final = {"token_id": TEXT_OR_NULL, "session_id": TEXT_OR_NULL, "scopes": NAMES}
_TOKEN: Final = {
    "user": TEXT,
    "id": TEXT,
    "kind": {"const": "api_token"},
    "roles": NAMES,
    "scopes": NAMES,
    "created": TIME,
    "last_activity": TIME,
    "expires_at": TIME,
    "note": TEXT,
    "session_id": TEXT_OR_NULL,
    "oauth_client": TEXT,
}
_NAME_OR_NULL: Final = {"oneOf": [shape({"name": TEXT}), {"type": "null"}]}
_SHARED_SERVER: Final = shape(
    {"user": shape({"name": TEXT}), "name": TEXT, "url": TEXT, "full_url": TEXT_OR_NULL, "ready": FLAG}
)
_SHARE: Final = {
    "server": _SHARED_SERVER,
    "scopes": NAMES,
    "user": _NAME_OR_NULL,
    "group": _NAME_OR_NULL,
    "kind": {"enum": ["user", "group"]},
    "created_at": TIME,
}
_SHARE_CODE: Final = {
    "server": _SHARED_SERVER,
    "scopes": NAMES,
    "id": TEXT,
    "created_at": TIME,
    "expires_at": TIME,
    "exchange_count": COUNT,
    "last_exchanged_at": TIME,
}
_SCOPES_OR_NULL: Final = {"type": ["array", "null"], "items": TEXT}
_DEADLINE: Final = {"stop_at": TIME, "because": TEXT, "warn_seconds": COUNT, "may_be_put_off": FLAG}
_CLASS: Final = shape({"class": TEXT, "version": TEXT})

#: name → shape
SCHEMAS: Final[Mapping[str, Schema]] = {
    "Error": shape(
        {"status": {"type": "integer"}, "message": TEXT_OR_NULL}, says="Every answer that is an error has this form."
    ),
    "Pagination": shape(
        {
            "offset": COUNT,
            "limit": COUNT,
            "total": COUNT,
            "next": {"oneOf": [shape({"offset": COUNT, "limit": COUNT, "url": TEXT}), {"type": "null"}]},
        }
    ),
    "Version": shape({"version": TEXT, "perijove": TEXT}),
    "IdentityKeys": shape({"keys": list_of(ANYTHING)}, says="A set of JSON web keys (RFC 7517)."),
    "Info": shape(
        {
            "version": TEXT,
            "perijove": TEXT,
            "python": TEXT,
            "sys_executable": TEXT,
            "spawner": _CLASS,
            "authenticator": _CLASS,
        }
    ),
    "Server": shape(
        {
            **_SERVER,
            "queue": shape({"ahead": COUNT, "seconds": {"type": ["number", "null"]}}),
            "state": ANYTHING,
        },
        always=tuple(_SERVER),
        says="`queue` is there while it waits for its turn, `state` for those who may read the inner state of servers.",
    ),
    "NewServer": taken({"display_name": TEXT_OR_NULL, "user_options": {"type": ["object", "null"]}}),
    "StartOptions": {
        "type": "object",
        "description": "`user_options` and `display_name`; with neither of them, the whole object is the options.",
        "properties": {"user_options": {"type": ["object", "null"]}, "display_name": TEXT_OR_NULL},
    },
    "ServerChange": taken(
        {"name": TEXT_OR_NULL, "display_name": TEXT_OR_NULL, "user_options": {"type": ["object", "null"]}},
        says="At least one of them.",
    ),
    "StopOptions": {"type": "object", "properties": {"remove": {"type": ["boolean", "null"]}}},
    "Deadline": shape(_DEADLINE, always=(), says="Until when a server is kept; empty: it is not to be stopped."),
    "User": shape(_USER, always=("kind", "name")),
    "Users": list_of(ref("User")),
    "PageOfUsers": paged(ref("User")),
    "UsersOrPage": {"oneOf": [ref("Users"), ref("PageOfUsers")]},
    "NewUsers": {
        "type": "object",
        "properties": {"usernames": {"type": "array", "items": TEXT, "minItems": 1}, "admin": {"type": "boolean"}},
        "required": ["usernames"],
    },
    "NewUser": {"type": "object", "properties": {"admin": {"type": ["boolean", "null"]}}},
    "UserChange": taken({"name": TEXT, "admin": FLAG, "auth_state": {"type": ["object", "null"]}}),
    "Activity": {
        "type": "object",
        "properties": {
            "last_activity": TIME,
            "servers": by_name({"type": "object", "properties": {"last_activity": TIME}}),
        },
    },
    "Deadlines": shape({"servers": by_name(ref("Deadline"))}),
    "Group": shape(_GROUP, always=("kind", "name")),
    "Groups": list_of(ref("Group")),
    "PageOfGroups": paged(ref("Group")),
    "GroupsOrPage": {"oneOf": [ref("Groups"), ref("PageOfGroups")]},
    "NewGroups": taken({"groups": {**NAMES, "minItems": 1}, "users": NAMES}, needed=("groups",)),
    "NewGroup": taken({"name": TEXT, "users": NAMES}, says="`name` is the one in the address, if it is there."),
    "Members": taken({"name": TEXT, "users": NAMES}, needed=("users",)),
    "Properties": ANYTHING,
    "Service": shape(_SERVICE, always=("kind", "name")),
    "Services": by_name(ref("Service")),
    "NewService": taken(
        {
            "name": TEXT,
            "api_token": TEXT,
            "admin": FLAG,
            "url": TEXT,
            "display": FLAG,
            "info": ANYTHING,
            "oauth_client_id": TEXT,
            "oauth_redirect_uri": TEXT,
            "oauth_no_confirm": FLAG,
            "oauth_client_allowed_scopes": NAMES,
            "access": _ACCESS,
        },
        says="Of a service that runs by itself: the hub starts none that is added here.",
    ),
    "Identity": {
        "oneOf": [
            shape({**_USER, **_IDENTITY}, always=("kind", "name", *_IDENTITY)),
            shape({**_SERVICE, **_IDENTITY}, always=("kind", "name", *_IDENTITY)),
        ]
    },
    "Owner": {"oneOf": [ref("User"), ref("Service")]},
    "Consent": taken(
        {"_xsrf": TEXT, "scopes": NAMES, "deny": TEXT},
        needed=("_xsrf",),
        says="The form of the page: the scopes that the person agrees to, or `deny`.",
    ),
    "CodeExchange": taken(
        {
            "grant_type": {"const": "authorization_code"},
            "client_id": TEXT,
            "client_secret": TEXT,
            "code": TEXT,
            "redirect_uri": TEXT,
            "code_verifier": TEXT,
        },
        needed=("grant_type", "client_id", "client_secret", "code", "redirect_uri"),
        says="RFC 6749, 4.1.3, and RFC 7636, 4.5.",
    ),
    "GivenToken": shape(
        {"access_token": TEXT, "token_type": {"const": "Bearer"}, "expires_in": COUNT, "scope": TEXT},
        says="RFC 6749, 5.1.",
    ),
    "TokenRefusal": shape({"error": TEXT, "error_description": TEXT}, always=("error",), says="RFC 6749, 5.2."),
    "Token": shape(_TOKEN),
    "Tokens": shape({"api_tokens": list_of(ref("Token"))}),
    "NewToken": taken(
        {
            "note": TEXT_OR_NULL,
            "expires_in": {"type": ["integer", "null"], "minimum": 1},
            "scopes": {"type": ["array", "null"], "items": TEXT},
            "roles": {"type": ["array", "null"], "items": TEXT},
            "auth": {"type": ["object", "null"], "additionalProperties": TEXT},
        },
        says="`auth` has the fields of the sign-in form, for callers who have no token yet.",
    ),
    "TokenWithText": shape({**_TOKEN, "token": TEXT}, says="`token` is told in this answer only."),
    "Share": shape(_SHARE),
    "ShareOrNothing": shape(_SHARE, always=(), says="Empty when nothing of the share is left."),
    "PageOfShares": paged(ref("Share")),
    "ShareRequest": taken(
        {"scopes": _SCOPES_OR_NULL, "user": TEXT_OR_NULL, "group": TEXT_OR_NULL},
        says="Exactly one of `user` and `group`. Without scopes it is about all access.",
    ),
    "ShareCode": shape(_SHARE_CODE),
    "PageOfShareCodes": paged(ref("ShareCode")),
    "NewShareCode": taken(
        {"scopes": _SCOPES_OR_NULL, "expires_in": {"type": ["integer", "null"], "minimum": 60, "maximum": 31_536_000}}
    ),
    "ShareCodeWithText": shape(
        {**_SHARE_CODE, "code": TEXT, "accept_url": TEXT, "full_accept_url": TEXT_OR_NULL},
        says="`code` is told in this answer only.",
    ),
    "Sessions": shape({"sessions": list_of(ref("Session"))}),
    "Session": shape(
        {
            "id": TEXT,
            "created": TIME,
            "last_seen": TIME,
            "expires_at": TIME,
            "address": TEXT,
            "user_agent": TEXT,
            "device": TEXT,
            "current": FLAG,
        },
        says="`device` is `user_agent` in words; `current` is the one that asks.",
    ),
    "AuditEntries": shape(
        {"entries": list_of(ref("AuditEntry")), "next": {"type": ["integer", "null"]}},
        says="The newest first; `next` is `before` of the next page.",
    ),
    "AuditEntry": shape(
        {
            "id": COUNT,
            "at": TIME,
            "action": {"enum": [action.value for action in Action]},
            "actor": TEXT,
            "actor_kind": {"enum": ["user", "service", ""]},
            "target": TEXT,
            "detail": ANYTHING,
            "address": TEXT,
            "sequence": {"type": ["integer", "null"]},
            "hash": TEXT_OR_NULL,
        },
        says="`sequence` and `hash` are null until it is sealed.",
    ),
    "Route": shape({"routespec": TEXT, "target": TEXT_OR_NULL, "data": ANYTHING}),
    "RoutesOrPage": {"oneOf": [paged(ref("Route"), named=True), by_name(ref("Route"))]},
    "Shutdown": taken({"proxy": FLAG, "servers": FLAG}),
    "Message": shape({"message": TEXT}),
    "Reading": shape({"changed": NAMES, "needs_restart": NAMES}),
}
