"""
One row a call: what it takes and what it answers. A test compares the rows with the routes, so that none is missing.

Errors that any call can meet are not repeated here; see `COMMON`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from perijove.hub.domain.audit import Action

#: answers without a body
EMPTY: Final = ""
#: answers that are no JSON
TEXT: Final = "text/plain"
HTML: Final = "text/html"
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
EVENTS: Final = "text/event-stream"
#: errors of every call that asks who is there: not understood, not allowed, not found or hidden, the database is away
COMMON: Final = (400, 403, 404, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one call takes and answers."""

    #: status → shape, media type, or EMPTY
    answers: Mapping[int, str]
    #: whether a success may also come without a body
    may_be_empty: bool = False
    #: shape of the body; empty: it takes none
    takes: str = ""
    #: whether there is nothing to do without a body
    needs_body: bool = False
    #: how the body is written
    media: str = JSON
    #: what errors are: a shape, or a media type
    errors_are: str = "Error"
    #: names of `QUERY`
    query: tuple[str, ...] = ()
    #: errors besides `COMMON`
    errors: tuple[int, ...] = ()


_WINDOW: Final = ("offset", "limit")
_AUTHORIZE: Final = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state:oauth",
    "code_challenge",
    "code_challenge_method",
)
_SERVER_ROWS: Final = {
    ("GET", ""): Operation(answers={200: "Server"}),
    ("PUT", ""): Operation(takes="NewServer", answers={201: "Server"}, errors=(409,)),
    ("POST", ""): Operation(takes="StartOptions", answers={201: EMPTY, 202: EMPTY}, errors=(409, 429, 500)),
    ("PATCH", ""): Operation(takes="ServerChange", needs_body=True, answers={200: "Server"}, errors=(409,)),
    ("DELETE", ""): Operation(takes="StopOptions", answers={202: EMPTY, 204: EMPTY}),
    ("POST", "/keep"): Operation(answers={200: "Deadline"}),
    ("GET", "/progress"): Operation(answers={200: EVENTS}),
}
_SHARE_ROWS: Final = {
    "GET": Operation(answers={200: "PageOfShares"}, query=_WINDOW),
    "POST": Operation(takes="ShareRequest", needs_body=True, answers={200: "Share"}),
    "PATCH": Operation(takes="ShareRequest", needs_body=True, answers={200: "ShareOrNothing"}),
    "DELETE": Operation(answers={204: EMPTY}),
}
_CODE_ROWS: Final = {
    "GET": Operation(answers={200: "PageOfShareCodes"}, query=_WINDOW),
    "POST": Operation(takes="NewShareCode", answers={200: "ShareCodeWithText"}),
    "DELETE": Operation(answers={204: EMPTY}, query=("code", "id")),
}
_SHARED_ROWS: Final = {"GET": Operation(answers={200: "Share"}), "DELETE": Operation(answers={204: EMPTY})}
#: the default server's address, and those of the others
_OF_OWNER: Final = ("/{user_name}/", "/{user_name}/{server_name}")
_SHARED: Final = ("/shared/{owner_name}/", "/shared/{owner_name}/{shared_name}")
_SERVER: Final = "/users/{user_name}/server"
_NAMED: Final = "/users/{user_name}/servers/{server_name}"

#: (method, path below `/hub/api`) → what it takes and answers
OPERATIONS: Final[Mapping[tuple[str, str], Operation]] = {
    ("GET", "/"): Operation(answers={200: "Version"}),
    ("GET", "/info"): Operation(answers={200: "Info"}),
    ("GET", "/identity-keys"): Operation(answers={200: "IdentityKeys"}),
    ("GET", "/user"): Operation(answers={200: "Identity"}),
    ("GET", "/users"): Operation(
        answers={200: "UsersOrPage"}, query=("state", "sort", "name_filter", "include_stopped_servers", *_WINDOW)
    ),
    ("POST", "/users"): Operation(takes="NewUsers", needs_body=True, answers={201: "Users"}, errors=(409,)),
    ("GET", "/users/{user_name}"): Operation(answers={200: "User"}, query=("include_stopped_servers",)),
    ("POST", "/users/{user_name}"): Operation(takes="NewUser", answers={201: "User"}, errors=(409,)),
    ("PATCH", "/users/{user_name}"): Operation(takes="UserChange", answers={200: "User"}, errors=(409,)),
    ("DELETE", "/users/{user_name}"): Operation(answers={204: EMPTY}),
    ("POST", "/users/{user_name}/activity"): Operation(
        takes="Activity", needs_body=True, answers={200: "Deadlines"}, may_be_empty=True
    ),
    ("POST", "/users/{user_name}/admin-access"): Operation(answers={}),
    **{(method, f"{_SERVER}{end}"): row for (method, end), row in _SERVER_ROWS.items()},
    **{(method, f"{_NAMED}{end}"): row for (method, end), row in _SERVER_ROWS.items()},
    ("GET", "/users/{user_name}/tokens"): Operation(answers={200: "Tokens"}),
    ("POST", "/users/{user_name}/tokens"): Operation(takes="NewToken", answers={201: "TokenWithText"}, errors=(429,)),
    ("GET", "/users/{user_name}/tokens/{token_id}"): Operation(answers={200: "Token"}),
    ("DELETE", "/users/{user_name}/tokens/{token_id}"): Operation(answers={204: EMPTY}),
    ("GET", "/groups"): Operation(answers={200: "GroupsOrPage"}, query=_WINDOW),
    ("POST", "/groups"): Operation(takes="NewGroups", needs_body=True, answers={201: "Groups"}, errors=(409,)),
    ("GET", "/groups/{group_name}"): Operation(answers={200: "Group"}),
    ("POST", "/groups/{group_name}"): Operation(takes="NewGroup", answers={201: "Group"}, errors=(409,)),
    ("DELETE", "/groups/{group_name}"): Operation(answers={204: EMPTY}),
    ("POST", "/groups/{group_name}/users"): Operation(takes="Members", needs_body=True, answers={200: "Group"}),
    ("DELETE", "/groups/{group_name}/users"): Operation(takes="Members", needs_body=True, answers={200: "Group"}),
    ("PUT", "/groups/{group_name}/properties"): Operation(takes="Properties", needs_body=True, answers={200: "Group"}),
    ("GET", "/services"): Operation(answers={200: "Services"}),
    ("GET", "/services/{service_name}"): Operation(answers={200: "Service"}),
    ("POST", "/services/{service_name}"): Operation(
        takes="NewService", needs_body=True, answers={201: "Service"}, errors=(409,)
    ),
    ("DELETE", "/services/{service_name}"): Operation(answers={200: EMPTY}, errors=(405,)),
    **{
        ("GET", path): Operation(answers={200: "PageOfShares"}, query=_WINDOW)
        for path in ("/users/{user_name}/shared", "/groups/{group_name}/shared", "/shares/{user_name}")
    },
    **{
        (method, f"{of}{end}"): row
        for of in ("/users/{user_name}", "/groups/{group_name}")
        for end in _SHARED
        for method, row in _SHARED_ROWS.items()
    },
    **{(method, f"/shares{end}"): row for end in _OF_OWNER for method, row in _SHARE_ROWS.items()},
    ("GET", "/share-codes/{user_name}"): Operation(answers={200: "PageOfShareCodes"}, query=_WINDOW),
    **{(method, f"/share-codes{end}"): row for end in _OF_OWNER for method, row in _CODE_ROWS.items()},
    ("GET", "/users/{user_name}/sessions"): Operation(answers={200: "Sessions"}),
    ("DELETE", "/users/{user_name}/sessions"): Operation(answers={204: EMPTY}),
    ("DELETE", "/users/{user_name}/sessions/{session_id}"): Operation(answers={204: EMPTY}),
    ("GET", "/oauth2/authorize"): Operation(answers={200: HTML, 302: EMPTY}, query=_AUTHORIZE, errors_are=HTML),
    ("POST", "/oauth2/authorize"): Operation(
        takes="Consent", needs_body=True, media=FORM, answers={302: EMPTY}, query=_AUTHORIZE, errors_are=HTML
    ),
    ("POST", "/oauth2/token"): Operation(
        takes="CodeExchange",
        needs_body=True,
        media=FORM,
        answers={200: "GivenToken", 400: "TokenRefusal", 401: "TokenRefusal"},
    ),
    ("GET", "/authorizations/token/{token}"): Operation(answers={200: "Owner"}),
    ("POST", "/authorizations/token"): Operation(answers={}),
    ("GET", "/authorizations/cookie/{cookie_name}"): Operation(answers={200: "Owner"}),
    ("GET", "/authorizations/cookie/{cookie_name}/{cookie_value}"): Operation(answers={200: "Owner"}),
    ("GET", "/audit"): Operation(
        answers={200: "AuditEntries"}, query=("actor", "target", "action", "since", "until", "before", "limit")
    ),
    ("GET", "/users/{user_name}/audit"): Operation(answers={200: "AuditEntries"}, query=("action", "before", "limit")),
    ("GET", "/proxy"): Operation(answers={200: "RoutesOrPage"}, query=_WINDOW),
    ("POST", "/proxy"): Operation(answers={200: EMPTY}),
    ("POST", "/shutdown"): Operation(takes="Shutdown", answers={202: "Message"}),
    ("POST", "/reload"): Operation(answers={200: "Reading"}),
    ("GET", "/metrics"): Operation(answers={200: TEXT}),
    ("GET", "/health"): Operation(answers={200: HTML}),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One member of a query."""

    says: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


#: by their names; of two that share one, the second has a mark behind a colon
QUERY: Final[Mapping[str, Parameter]] = {
    "response_type": Parameter("What is asked for.", {"const": "code"}),
    "client_id": Parameter("Who asks."),
    "redirect_uri": Parameter("Where the answer goes: exactly what the client has declared."),
    "scope": Parameter("What is asked for, with spaces between; nothing is all that the client may have."),
    "state:oauth": Parameter("Comes back with the answer."),
    "code_challenge": Parameter("RFC 7636."),
    "code_challenge_method": Parameter("RFC 7636.", {"enum": ["S256", "plain"]}),
    "code": Parameter("The text of a code; all codes, if neither this nor `id` is stated."),
    "id": Parameter("The id of a code."),
    "offset": Parameter("How many to leave out.", {"type": "integer"}),
    "limit": Parameter("How many at most.", {"type": "integer"}),
    "state": Parameter(
        "Only users of whom a server is active or ready, or none is.", {"enum": ["active", "ready", "inactive"]}
    ),
    "sort": Parameter(
        "Their order; with a minus, backwards.",
        {"enum": ["id", "-id", "name", "-name", "last_activity", "-last_activity"]},
    ),
    "name_filter": Parameter("A part of their names."),
    "actor": Parameter("Entries about what this user or service did."),
    "target": Parameter("Entries about what was done to this user."),
    "action": Parameter("Entries of this kind.", {"enum": [action.value for action in Action]}),
    "since": Parameter("From this time on.", {"type": "string", "format": "date-time"}),
    "until": Parameter("Before this time.", {"type": "string", "format": "date-time"}),
    "before": Parameter("Entries with smaller ids: `next` of the page before.", {"type": "integer", "minimum": 0}),
    "include_stopped_servers": Parameter("Show servers that do not run, too, unless it is `0` or `false`."),
}
#: what a name in a path is, and an example
PATH: Final[Mapping[str, tuple[str, str]]] = {
    "user_name": ("A user's name.", "ada"),
    "server_name": ("A named server's name.", "gpu"),
    "group_name": ("A group's name.", "class-a"),
    "service_name": ("A service's name.", "grader"),
    "token_id": ("A token's id.", "a1"),
    "token": ("A token.", "0123456789abcdef0123456789abcdef"),
    "cookie_name": ("The name of a sign-in cookie.", "jupyterhub-hub-login"),
    "cookie_value": ("What is in it.", "0123456789abcdef"),
    "owner_name": ("The name of whoever shares a server.", "grace"),
    "shared_name": ("The name of a server that somebody shares.", "gpu"),
    "session_id": ("A session's id.", "0123456789abcdef0123456789abcdef"),
}
