"""
Whose a token or a sign-in cookie is, as services of JupyterHub 1 and older ask (contract d48 to d50). Deprecated:
`GET /hub/api/user` with the token itself tells it without a secret in an address.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from perijove.hub.domain.errors import NotFound
from perijove.hub.domain.principals import Principal
from perijove.hub.web.access import CALLER
from perijove.hub.web.api.caller import Call, CallOf
from perijove.hub.web.declared import Routes
from perijove.hub.web.sessions import SIGN_IN_COOKIE, SIGN_IN_COOKIE_TLS

router = Routes(prefix="/authorizations")

#: longest cookie that is looked at
_MAX_COOKIE = 1024


@router.get("/token/{token}", access=CALLER)
async def get_owner_of_token(call: CallOf, token: str) -> dict[str, Any]:
    """Whose that token is."""
    return await _model(call, await call.parts.identify.by_token(token))


@router.post("/token", access=CALLER)
async def post_token() -> None:
    """JupyterHub has removed this."""
    raise NotFound("This was removed in JupyterHub 2: use POST /hub/api/users/{name}/tokens.")


@router.get("/cookie/{cookie_name}", access=CALLER)
async def get_owner_of_cookie(request: Request, call: CallOf, cookie_name: str) -> dict[str, Any]:
    """Whose that sign-in cookie is; its value is the body."""
    body = await request.body()
    return await _of_cookie(call, cookie_name, body[:_MAX_COOKIE].decode("ascii", "replace"))


@router.get("/cookie/{cookie_name}/{cookie_value}", access=CALLER)
async def get_owner_of_cookie_in_address(call: CallOf, cookie_name: str, cookie_value: str) -> dict[str, Any]:
    """Whose that sign-in cookie is."""
    return await _of_cookie(call, cookie_name, cookie_value)


async def _of_cookie(call: Call, name: str, value: str) -> dict[str, Any]:
    is_ours = name in {SIGN_IN_COOKIE, SIGN_IN_COOKIE_TLS}
    found = await call.parts.identify.by_session(value) if is_ours else None
    return await _model(call, found[1] if found else None)


async def _model(call: Call, owner: Principal | None) -> dict[str, Any]:
    """Name and groups, which the secret itself is proof enough for, and what the caller may see of them."""
    if owner is None:
        raise NotFound
    if owner.user is None:
        return {"kind": "service", "name": owner.name, "admin": owner.admin}
    return call.models.user(await call.parts.get_user.known_of(owner.user, owner.groups), is_self=True)
