"""
Tokens of users: list, make, read, revoke (contract d17 to d20).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perijove.hub.domain.errors import Invalid, NoSuchUser, NotAllowed
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import User
from perijove.hub.web import fetch_metadata
from perijove.hub.web.access import needs, the_user
from perijove.hub.web.api.bodies import json_object, member, only, texts
from perijove.hub.web.api.caller import Call, CallOf
from perijove.hub.web.client_address import address_of
from perijove.hub.web.declared import Routes
from perijove.hub.web.identify import Visitor
from perijove.hub.web.parts import parts_of

router = Routes(prefix="/users/{user_name}/tokens")
#: most fields of a sign-in form
MAX_FIELDS: Final = 10


@router.get("", access=needs("read:tokens", on=the_user))
async def list_tokens(call: CallOf, user_name: str) -> dict[str, Any]:
    """All that have not ended, the most recently used first."""
    user = await call.parts.get_user(user_name)
    tokens = await call.parts.tokens.list(user)
    owned = await call.parts.tokens.owned(user)
    return {"api_tokens": [_model(call, token, user, owned) for token in tokens]}


async def by_form(request: Request) -> Visitor | None:
    """
    Whoever the member `auth` of the body proves: the fields of the sign-in form (contract d18).

    Raises:
        HubError: it proves nothing, as signing in with it would say.
    """
    # Another site's page must not have its visitors try passwords, though it could not read the answer.
    fetch_metadata.check_change(request.headers)
    form = member(await json_object(request) or {}, "auth", dict)
    if form is None:
        return None
    if len(form) > MAX_FIELDS or not all(isinstance(value, str) for value in form.values()):
        raise Invalid("auth must be an object of texts")
    parts = parts_of(request)
    address = address_of(request, parts.settings.trusted_forwarders)
    principal = await parts.identify.of_user(await parts.sign_in.prove(form=form, address=address))
    return None if principal is None else Visitor(principal=replace(principal, address=address))


@router.post("", access=needs("tokens", on=the_user, otherwise=by_form))
async def create_token(call: CallOf, user_name: str) -> Response:
    """Make one; its text is in this answer only."""
    body = only(await json_object(call.request) or {}, "note", "expires_in", "scopes", "roles", "auth")
    try:
        user = await call.parts.get_user(user_name)
    except NoSuchUser:
        # contract d18: 403, so that names cannot be found out here
        raise NotAllowed from None
    token, text = await call.parts.tokens.create(
        user=user,
        maker=call.principal,
        note=member(body, "note", str) or "",
        expires_in=member(body, "expires_in", int),
        scopes=texts(body, "scopes"),
        roles=texts(body, "roles"),
    )
    owned = await call.parts.tokens.owned(user)
    return JSONResponse(_model(call, token, user, owned) | {"token": text}, status_code=201)


@router.get("/{token_id}", access=needs("read:tokens", on=the_user))
async def get_token(call: CallOf, user_name: str, token_id: str) -> dict[str, Any]:
    """One, without its text."""
    user = await call.parts.get_user(user_name)
    token = await call.parts.tokens.get(user, token_id)
    return _model(call, token, user, await call.parts.tokens.owned(user))


@router.delete("/{token_id}", access=needs("tokens", on=the_user))
async def delete_token(call: CallOf, user_name: str, token_id: str) -> Response:
    """End it, and every visit that it opened."""
    await call.parts.tokens.revoke(await call.parts.get_user(user_name), token_id, by=call.principal)
    return Response(status_code=204, media_type="text/plain")


def _model(call: Call, token: ApiToken, user: User, owned: frozenset[str]) -> dict[str, Any]:
    return call.models.token(token, user, call.parts.tokens.expanded_scopes(token, user, owned))
