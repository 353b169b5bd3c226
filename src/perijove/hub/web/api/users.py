"""
Users: list, make, read, change, delete, and what servers report about their activity (contract d4 to d10).
"""

from __future__ import annotations

from typing import Any, Final, get_args

from starlette.responses import JSONResponse, Response

from perijove.hub.domain.errors import Invalid, NotAllowed
from perijove.hub.domain.users import User
from perijove.hub.rows import UserActivity, UserSort
from perijove.hub.scopes.decision import reach
from perijove.hub.scopes.fields import READ_SCOPES
from perijove.hub.usecases.users import AuthStateChange, KnownUser
from perijove.hub.web.access import needs, reaches_users, the_user
from perijove.hub.web.answers import QuickJson
from perijove.hub.web.api.bodies import json_object, member, only, texts
from perijove.hub.web.api.caller import Call, CallOf
from perijove.hub.web.declared import Routes
from perijove.hub.web.errors import HiddenResource
from perijove.wire.activity import SERVERS, deadline_body

#: name in the query → sort
_SORTS: Final = frozenset(get_args(UserSort))
_STATES: Final = frozenset(get_args(UserActivity))

router = Routes(prefix="/users")


@router.get("", access=needs("list:users", partly=reaches_users))
async def list_users(call: CallOf, state: str | None = None, sort: str = "id", name_filter: str = "") -> Response:
    """Those whom the caller may list, in pages if asked for."""
    if state is not None and state not in _STATES:
        raise Invalid(f"Unrecognized user state: {state!r}")
    if sort not in _SORTS:
        raise Invalid(f"sort must be one of {', '.join(sorted(_SORTS))}")
    extent = reach(call.principal, "list:users")
    window = call.window
    people, total = await call.parts.list_users(
        offset=window.offset,
        limit=window.limit,
        sort=sort,  # type: ignore[arg-type]  # checked above
        name_filter=name_filter,
        names=None if extent.everything else extent.users,
        state=state,  # type: ignore[arg-type]  # checked above
    )
    models = call.models
    with_stopped = call.with_stopped
    shown = [models.user(known, with_stopped=with_stopped) for known in people]
    return QuickJson(window.wrap(shown, total, call.request))


@router.post("", access=needs("admin:users"))
async def create_users(call: CallOf) -> Response:
    """Make several; those who exist are left as they are."""
    body = await json_object(call.request)
    names = texts(body, "usernames") if body else None
    if body is None or not names:
        raise Invalid("Must specify at least one user to create")
    admin = member(body, "admin", bool) or False
    users = await call.parts.create_users(names, admin=admin, asker=call.principal)
    return JSONResponse([_new(call, user) for user in users], status_code=201)


@router.get("/{user_name}", access=needs(*READ_SCOPES, on=the_user))
async def get_user(call: CallOf, user_name: str) -> Response:
    """One user, as far as the caller may see them."""
    known = await call.parts.get_user.known(user_name)
    model = call.models.user(known, with_stopped=call.with_stopped)
    if not model:
        raise HiddenResource
    return QuickJson(await _with_auth_state(call, known.user, model))


@router.post("/{user_name}", access=needs("admin:users", on=the_user))
async def create_user(call: CallOf, user_name: str) -> Response:
    """Make one."""
    body = await json_object(call.request) or {}
    admin = member(body, "admin", bool) or False
    user = await call.parts.create_users.one(user_name, admin=admin, asker=call.principal)
    return JSONResponse(_new(call, user), status_code=201)


@router.patch("/{user_name}", access=needs("admin:users", on=the_user))
async def patch_user(call: CallOf, user_name: str) -> Any:
    """Another name, or more or less to say."""
    body = only(await json_object(call.request) or {}, "name", "admin", "auth_state")
    auth_state = AuthStateChange(state=member(body, "auth_state", dict)) if "auth_state" in body else None
    user = await call.parts.patch_user(
        user_name,
        call.principal,
        new_name=member(body, "name", str),
        admin=member(body, "admin", bool),
        auth_state=auth_state,
    )
    model = call.models.user(await call.parts.get_user.known(user.name))
    return await _with_auth_state(call, user, model)


@router.delete("/{user_name}", access=needs("delete:users", on=the_user))
async def delete_user(call: CallOf, user_name: str) -> Response:
    """Stop their servers and forget them; files stay."""
    await call.parts.delete_user(user_name, call.principal)
    return Response(status_code=204)


@router.post("/{user_name}/activity", access=needs("users:activity", on=the_user))
async def post_activity(call: CallOf, user_name: str) -> Response:
    """A server tells when it was last used, and whether it is busy; the answer tells it how long it is kept."""
    speaking = await call.parts.activity.report(user_name, await json_object(call.request) or {})
    if not speaking:
        return Response(media_type="text/plain")
    deadlines = await call.parts.deadlines.of(speaking)
    return QuickJson({SERVERS: {row.name: deadline_body(deadlines.get(row.id)) for row in speaking}})


@router.post("/{user_name}/admin-access", access=needs("servers", on=the_user))
async def post_admin_access(user_name: str) -> Response:
    """Of old JupyterHubs, for clients that still ask: whoever may enter a server needs no further leave."""
    raise NotAllowed(f"admin access to user servers disabled: enter the server of {user_name} as you are")


async def _with_auth_state(call: Call, user: User, model: dict[str, Any]) -> dict[str, Any]:
    """Filled in for one user alone, and only for a caller who is shown it."""
    if "auth_state" not in model or not call.parts.auth_states.is_enabled:
        return model
    return model | {"auth_state": await call.parts.auth_states.get(user)}


def _new(call: Call, user: User) -> dict[str, Any]:
    return call.models.user(KnownUser(user=user))
