"""
The hub's cookies: names, paths and flags (contract i), and nothing about what they are worth.

Over TLS the sign-in cookie has the `__Host-` prefix, so that no sibling domain and no script can plant
one; such a cookie must have the path `/` (RFC 6265bis, 4.1.3.2), and the proxy keeps it from servers.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from perijove.hub.domain.sessions import Session
from perijove.hub.web.client_address import is_tls
from perijove.hub.web.csrf import FIELD
from perijove.wire.identity import HUB_COOKIES

SIGN_IN_COOKIE, SIGN_IN_COOKIE_TLS, SESSION_ID_COOKIE = HUB_COOKIES
#: Names a browser that is not signed in, for its forms only.
VISITOR_COOKIE: Final = "perijove-visitor"
#: Seconds for which a form of somebody not signed in stays good.
VISITOR_SECONDS: Final = 24 * 3600


class Cookies:
    """Reads and writes them below the deployment's prefix."""

    def __init__(self, *, base_url: str, hub_prefix: str, session_days: float) -> None:
        self._base_url = base_url
        self._hub_prefix = hub_prefix
        self._max_age = int(session_days * 24 * 3600)

    def secret(self, request: HTTPConnection) -> str:
        """The session's secret, or ""."""
        name = SIGN_IN_COOKIE_TLS if is_tls(request) else SIGN_IN_COOKIE
        return request.cookies.get(name, "")

    def visitor(self, request: HTTPConnection) -> str:
        """What names a browser that is not signed in, or ""."""
        return request.cookies.get(VISITOR_COOKIE, "")

    def put_session(self, request: HTTPConnection, response: Response, session: Session, secret: str) -> None:
        """Sign the browser in."""
        secure = is_tls(request)
        response.set_cookie(
            SIGN_IN_COOKIE_TLS if secure else SIGN_IN_COOKIE,
            secret,
            max_age=self._max_age,
            path="/" if secure else self._hub_prefix,
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        response.set_cookie(
            SESSION_ID_COOKIE, session.id, path=self._base_url, secure=secure, httponly=True, samesite="lax"
        )
        response.delete_cookie(VISITOR_COOKIE, path=self._hub_prefix)

    def drop_session(self, request: HTTPConnection, response: Response) -> None:
        """Sign the browser out."""
        secure = is_tls(request)
        name, path = (SIGN_IN_COOKIE_TLS, "/") if secure else (SIGN_IN_COOKIE, self._hub_prefix)
        response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="lax")
        response.delete_cookie(SESSION_ID_COOKIE, path=self._base_url)
        response.delete_cookie(FIELD, path=self._hub_prefix)

    def put_visitor(self, request: HTTPConnection, response: Response, visitor: str) -> None:
        """Name a browser that is not signed in."""
        response.set_cookie(
            VISITOR_COOKIE,
            visitor,
            max_age=VISITOR_SECONDS,
            path=self._hub_prefix,
            secure=is_tls(request),
            httponly=True,
            samesite="lax",
        )

    def put_xsrf(self, request: HTTPConnection, response: Response, token: str) -> None:
        """For scripts of our pages and JupyterHub's clients, which read it (contract i): hence not HttpOnly."""
        response.set_cookie(FIELD, token, path=self._hub_prefix, secure=is_tls(request), samesite="strict")
