"""
What the proxy asks about the door (wire/door.py): an identity token for a hub API token, and whether those
whom it lets in would still be let in today.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perijove.hub.domain.errors import Invalid, NotAllowed
from perijove.hub.usecases.door import Visit
from perijove.hub.web.access import CONTROL
from perijove.hub.web.api.bodies import json_object, member
from perijove.hub.web.declared import Routes
from perijove.hub.web.parts import PartsOf
from perijove.wire.door import EXCHANGE_PATH, MAX_VISITS, RECHECK_PATH

router = Routes(include_in_schema=False)


@router.post(f"/{EXCHANGE_PATH}", access=CONTROL)
async def post_exchange(request: Request, parts: PartsOf) -> Response:
    """A short-lived identity token, or the reason why not."""
    body = await json_object(request) or {}
    token, audience = member(body, "token", str) or "", member(body, "audience", str) or ""
    try:
        identity, expires_in = await parts.door.exchange(token, audience)
    except NotAllowed as error:
        return JSONResponse({"reason": error.message}, status_code=403)
    return JSONResponse({"identity": identity, "expires_in": expires_in})


@router.post(f"/{RECHECK_PATH}", access=CONTROL)
async def post_recheck(request: Request, parts: PartsOf) -> Response:
    """Those of the visits that are refused from now on."""
    body = await json_object(request) or {}
    listed = member(body, "visits", list) or []
    if len(listed) > MAX_VISITS:
        raise Invalid(f"At most {MAX_VISITS} visits at once.")
    refused = await parts.door.recheck([_visit(item) for item in listed])
    answer = [{"sid": visit.sid, "user": visit.user, "audience": visit.audience} for visit in refused]
    return JSONResponse({"refused": answer})


def _visit(item: Any) -> Visit:
    names = ("sid", "user", "audience")
    if not isinstance(item, dict) or not all(isinstance(item.get(name), str) for name in names):
        raise Invalid("A visit has a sid, a user and an audience.")
    scope = item.get("scope", "")
    if not isinstance(scope, str):
        raise Invalid("The scope of a visit is text.")
    return Visit(**{name: item[name] for name in names}, scope=tuple(scope.split()))
