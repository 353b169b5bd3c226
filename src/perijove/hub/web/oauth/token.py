"""
The token endpoint: clients exchange codes (contract b, 5; RFC 6749, section 5).
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perijove.hub.oauth.errors import ErrorCode, TokenRefused
from perijove.hub.web.access import PUBLIC
from perijove.hub.web.declared import Routes
from perijove.hub.web.forms import read_every_field
from perijove.hub.web.parts import PartsOf

router = Routes(prefix="/oauth2")

#: 5.1: nobody keeps these
_HEADERS: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
#: 5.2: everything else is 400
_STATUS: Final[Mapping[ErrorCode, int]] = MappingProxyType({ErrorCode.INVALID_CLIENT: HTTPStatus.UNAUTHORIZED})


@router.post("/token", access=PUBLIC)
async def post_token(request: Request, parts: PartsOf) -> Response:
    """
    The token for a code, for a client that says in the body who it is and knows its secret.

    Public, because no other way to say so counts (contract b): whoever has not the secret gets nothing.
    """
    try:
        issued = await parts.oauth.exchange_code(await read_every_field(request))
    except TokenRefused as refusal:
        body = {"error": refusal.code.value}
        if refusal.description and refusal.description != refusal.code.value:
            body["error_description"] = refusal.description
        return JSONResponse(body, status_code=_STATUS.get(refusal.code, HTTPStatus.BAD_REQUEST), headers=_HEADERS)
    return JSONResponse(issued.to_json(), headers=_HEADERS)
