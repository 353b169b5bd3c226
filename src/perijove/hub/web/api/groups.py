"""
Groups: list, make, read, delete, members and properties (contract d24 to d30).
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from perijove.hub.domain.errors import Invalid
from perijove.hub.scopes.decision import reach
from perijove.hub.scopes.fields import GROUP_READ_SCOPES
from perijove.hub.web.access import needs, reaches_groups, the_group
from perijove.hub.web.answers import QuickJson
from perijove.hub.web.api.bodies import json_object, only, texts
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.declared import Routes

router = Routes(prefix="/groups")


@router.get("", access=needs("list:groups", partly=reaches_groups))
async def list_groups(call: CallOf) -> Response:
    """Those that the caller may list, in pages if asked for."""
    extent = reach(call.principal, "list:groups")
    window = call.window
    groups, total = await call.parts.read_groups.list(
        offset=window.offset, limit=window.limit, names=None if extent.everything else extent.groups
    )
    shown = [call.models.group(known) for known in groups]
    return QuickJson(window.wrap(shown, total, call.request))


@router.post("", access=needs("admin:groups"))
async def create_groups(call: CallOf) -> Response:
    """Make several, each with the same members."""
    body = only(await json_object(call.request) or {}, "groups", "users")
    names = texts(body, "groups")
    if not names:
        raise Invalid("Must specify at least one group to create")
    made = await call.parts.change_groups.create(names, texts(body, "users") or [], asker=call.principal)
    return JSONResponse([call.models.group(known) for known in made], status_code=201)


@router.get("/{group_name}", access=needs(*GROUP_READ_SCOPES, on=the_group))
async def get_group(call: CallOf, group_name: str) -> Response:
    """One group, as far as the caller may see it."""
    return QuickJson(call.models.group(await call.parts.read_groups.one(group_name)))


@router.post("/{group_name}", access=needs("admin:groups", on=the_group))
async def create_group(call: CallOf, group_name: str) -> Response:
    """Make one."""
    body = only(await json_object(call.request) or {}, "name", "users")
    if body.get("name", group_name) != group_name:
        raise Invalid("name must be the one in the address")
    (made,) = await call.parts.change_groups.create([group_name], texts(body, "users") or [], asker=call.principal)
    return JSONResponse(call.models.group(made), status_code=201)


@router.delete("/{group_name}", access=needs("delete:groups", on=the_group))
async def delete_group(call: CallOf, group_name: str) -> Response:
    """Forget it; its members stay users."""
    await call.parts.change_groups.delete(group_name, asker=call.principal)
    return Response(status_code=204)


@router.post("/{group_name}/users", access=needs("groups", on=the_group))
async def add_users(call: CallOf, group_name: str) -> Response:
    """Make users members."""
    users = await _named_users(call, "add")
    return JSONResponse(
        call.models.group(await call.parts.change_groups.add_users(group_name, users, asker=call.principal))
    )


@router.delete("/{group_name}/users", access=needs("groups", on=the_group))
async def remove_users(call: CallOf, group_name: str) -> Response:
    """End users' membership."""
    users = await _named_users(call, "delete")
    known = await call.parts.change_groups.remove_users(group_name, users, asker=call.principal)
    return JSONResponse(call.models.group(known))


@router.put("/{group_name}/properties", access=needs("groups", on=the_group))
async def put_properties(call: CallOf, group_name: str) -> Response:
    """Other properties: the body replaces all of them."""
    properties = await json_object(call.request)
    if properties is None:
        raise Invalid("Must specify properties")
    known = await call.parts.change_groups.set_properties(group_name, properties, asker=call.principal)
    return JSONResponse(call.models.group(known))


async def _named_users(call: CallOf, purpose: str) -> list[str]:
    body: dict[str, Any] = only(await json_object(call.request) or {}, "name", "users")
    users = texts(body, "users")
    if users is None:
        raise Invalid(f"Must specify users to {purpose}")
    return users
