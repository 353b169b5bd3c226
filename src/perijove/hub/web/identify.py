"""
From a request to a principal: by the sign-in cookie or by an API token in the Authorization header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from starlette.requests import HTTPConnection

from perijove.hub.domain.principals import Principal
from perijove.hub.domain.sessions import Session
from perijove.hub.web.client_address import address_of
from perijove.hub.web.edge import Edge

#: contract d: either word, in any case
_AUTHORIZATION: Final = re.compile(r"(?:token|bearer)\s+(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who sent a request."""

    principal: Principal
    #: None: came with a token
    session: Session | None = None


async def by_cookie(request: HTTPConnection, edge: Edge) -> Visitor | None:
    """Whoever is signed in in this browser."""
    secret = edge.cookies.secret(request)
    found = await edge.parts.identify.by_session(secret) if secret else None
    if found is None:
        return None
    session, principal = found
    return Visitor(principal=_from(request, edge, principal), session=session)


async def by_token(request: HTTPConnection, edge: Edge) -> Visitor | None:
    """Whoever the token in the Authorization header belongs to."""
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    principal = await edge.parts.identify.by_token(match[1]) if match else None
    return Visitor(principal=_from(request, edge, principal)) if principal else None


def has_authorization(request: HTTPConnection) -> bool:
    """Whether the request has the header at all: then the cookie does not count."""
    return "authorization" in request.headers


def _from(request: HTTPConnection, edge: Edge, principal: Principal) -> Principal:
    return replace(principal, address=address_of(request, edge.parts.settings.trusted_forwarders))
