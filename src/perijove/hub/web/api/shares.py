"""
Shares of servers, and codes that make them (contract d22, d23, d31 to d38).

Lists are always in pages here. The default server is the address that ends with a slash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from perijove.hub.domain.errors import Invalid
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.share_codes import Offer
from perijove.hub.usecases.shares import Granted, Recipient
from perijove.hub.web.access import needs, the_group, the_server, the_user
from perijove.hub.web.answers import QuickJson
from perijove.hub.web.api.bodies import json_object, member, only, texts
from perijove.hub.web.api.caller import Call, CallOf
from perijove.hub.web.api.models import timestamp
from perijove.hub.web.declared import Routes

#: where a code is shown and taken, below the hub's prefix
ACCEPT: Final = "accept-share"
_OF_SERVER: Final = ("name", "url", "full_url", "ready")
_READ_OF_USER: Final = needs("read:users:shares", on=the_user)
_LEAVE_OF_USER: Final = needs("users:shares", on=the_user)
_READ_OF_GROUP: Final = needs("read:groups:shares", on=the_group)
_LEAVE_OF_GROUP: Final = needs("groups:shares", on=the_group)
_READ_OF_OWNER: Final = needs("read:shares", on=the_user)
_READ: Final = needs("read:shares", on=the_server)
_SHARE: Final = needs("shares", on=the_server)
Item = TypeVar("Item")

router = Routes()


# -- what is shared with somebody -------------------------------------------------------------------------------------


@router.get("/users/{user_name}/shared", access=_READ_OF_USER)
async def list_of_user(call: CallOf, user_name: str) -> Response:
    """What others share with a user, also by way of groups."""
    return _page(call, await call.parts.shares.with_user(user_name), share_model)


@router.get("/groups/{group_name}/shared", access=_READ_OF_GROUP)
async def list_of_group(call: CallOf, group_name: str) -> Response:
    """What is shared with a group."""
    return _page(call, await call.parts.shares.with_group(group_name), share_model)


@router.get("/users/{user_name}/shared/{owner_name}/", access=_READ_OF_USER)
@router.get("/users/{user_name}/shared/{owner_name}/{shared_name}", access=_READ_OF_USER)
@router.get("/groups/{group_name}/shared/{owner_name}/", access=_READ_OF_GROUP)
@router.get("/groups/{group_name}/shared/{owner_name}/{shared_name}", access=_READ_OF_GROUP)
async def get_received(
    call: CallOf, owner_name: str, user_name: str = "", group_name: str = "", shared_name: str = ""
) -> Response:
    """What a user or a group has of one server."""
    to = Recipient(user=user_name, group=group_name)
    return QuickJson(share_model(call, await call.parts.shares.one(to, owner_name, shared_name)))


@router.delete("/users/{user_name}/shared/{owner_name}/", access=_LEAVE_OF_USER)
@router.delete("/users/{user_name}/shared/{owner_name}/{shared_name}", access=_LEAVE_OF_USER)
@router.delete("/groups/{group_name}/shared/{owner_name}/", access=_LEAVE_OF_GROUP)
@router.delete("/groups/{group_name}/shared/{owner_name}/{shared_name}", access=_LEAVE_OF_GROUP)
async def leave(
    call: CallOf, owner_name: str, user_name: str = "", group_name: str = "", shared_name: str = ""
) -> Response:
    """Leave it; of a group, all of it does."""
    to = Recipient(user=user_name, group=group_name)
    await call.parts.shares.leave(call.principal, to, owner_name, shared_name)
    return Response(status_code=204)


# -- what somebody shares ---------------------------------------------------------------------------------------------


@router.get("/shares/{user_name}", access=_READ_OF_OWNER)
async def list_of_owner(call: CallOf, user_name: str) -> Response:
    """All shares of a user's servers."""
    return _page(call, await call.parts.shares.of_owner(user_name), share_model)


@router.get("/shares/{user_name}/", access=_READ)
@router.get("/shares/{user_name}/{server_name}", access=_READ)
async def list_of_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """All shares of one server."""
    return _page(call, await call.parts.shares.of_server(user_name, server_name), share_model)


@router.post("/shares/{user_name}/", access=_SHARE)
@router.post("/shares/{user_name}/{server_name}", access=_SHARE)
async def grant(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Share it with a user or a group, or share more of it."""
    to, scopes = await _share_request(call)
    granted = await call.parts.shares.grant(call.principal, user_name, server_name, to, scopes)
    return QuickJson(share_model(call, granted))


@router.patch("/shares/{user_name}/", access=_SHARE)
@router.patch("/shares/{user_name}/{server_name}", access=_SHARE)
async def revoke(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Take scopes of a share back, or all; what is left of it, or an empty object."""
    to, scopes = await _share_request(call)
    granted = await call.parts.shares.revoke(call.principal, user_name, server_name, to, scopes)
    return QuickJson(share_model(call, granted) if granted is not None else {})


@router.delete("/shares/{user_name}/", access=_SHARE)
@router.delete("/shares/{user_name}/{server_name}", access=_SHARE)
async def revoke_all(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Take all shares of a server back."""
    await call.parts.shares.revoke_all(call.principal, user_name, server_name)
    return Response(status_code=204)


# -- codes ------------------------------------------------------------------------------------------------------------


@router.get("/share-codes/{user_name}", access=_READ_OF_OWNER)
async def list_codes_of_owner(call: CallOf, user_name: str) -> Response:
    """All codes of a user's servers, without their text."""
    return _page(call, await call.parts.share_codes.of_owner(user_name), code_model)


@router.get("/share-codes/{user_name}/", access=_READ)
@router.get("/share-codes/{user_name}/{server_name}", access=_READ)
async def list_codes(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """All codes of one server, without their text."""
    return _page(call, await call.parts.share_codes.of_server(user_name, server_name), code_model)


@router.post("/share-codes/{user_name}/", access=_SHARE)
@router.post("/share-codes/{user_name}/{server_name}", access=_SHARE)
async def create_code(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Make a code; its text is in this answer only."""
    body = only(await json_object(call.request) or {}, "scopes", "expires_in")
    offer, text = await call.parts.share_codes.create(
        call.principal,
        user_name,
        server_name,
        scopes=texts(body, "scopes"),
        seconds=member(body, "expires_in", int),
    )
    accept_url = accept_path(call.parts.settings.hub_prefix, text)
    shown = {"code": text, "accept_url": accept_url, "full_accept_url": call.models.full_url(accept_url)}
    return QuickJson(code_model(call, offer) | shown)


@router.delete("/share-codes/{user_name}/", access=_SHARE)
@router.delete("/share-codes/{user_name}/{server_name}", access=_SHARE)
async def revoke_codes(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Forget the code that `code` or `id` of the query names, or all of the server."""
    query = call.request.query_params
    await call.parts.share_codes.revoke(
        call.principal, user_name, server_name, text=query.get("code", ""), public_id=query.get("id", "")
    )
    return Response(status_code=204)


def accept_path(hub_prefix: str, code: str) -> str:
    """Where a code is shown and taken."""
    return f"{hub_prefix}{ACCEPT}?{urlencode({'code': code})}"


def share_model(call: Call, granted: Granted) -> dict[str, Any]:
    """A share."""
    share = granted.share
    return {
        "server": _server_model(call, granted.server),
        "scopes": list(share.full_scopes),
        "user": {"name": share.user} if share.user else None,
        "group": {"name": share.group} if share.group else None,
        "kind": "group" if share.group else "user",
        "created_at": timestamp(share.created),
    }


def code_model(call: Call, offer: Offer) -> dict[str, Any]:
    """A code, without its text."""
    code = offer.code
    return {
        "server": _server_model(call, offer.server),
        "scopes": list(code.full_scopes),
        "id": code.public_id,
        "created_at": timestamp(code.created),
        "expires_at": timestamp(code.expires_at),
        "exchange_count": code.exchange_count,
        "last_exchanged_at": timestamp(code.last_exchanged_at),
    }


def _server_model(call: Call, server: Server) -> dict[str, Any]:
    model = call.models.server(server)
    return {"user": {"name": server.user_name}} | {key: model[key] for key in _OF_SERVER}


def _page(call: Call, items: Sequence[Item], model: Callable[[Call, Item], dict[str, Any]]) -> Response:
    window = replace(call.window, in_pages=True)
    shown = [model(call, item) for item in items[window.offset : window.offset + window.limit]]
    return QuickJson(window.wrap(shown, len(items), call.request))


async def _share_request(call: Call) -> tuple[Recipient, Sequence[str] | None]:
    body = only(await json_object(call.request) or {}, "scopes", "user", "group")
    user, group = member(body, "user", str), member(body, "group", str)
    if user is not None and group is not None:
        raise Invalid("Expected exactly one of `user` or `group`, not both.")
    return Recipient(user=user or "", group=group or ""), texts(body, "scopes")
