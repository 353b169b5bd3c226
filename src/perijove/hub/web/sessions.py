"""
The hub's cookies: names, paths and flags (contract i), and nothing about what they are worth.

Over TLS the sign-in cookie has the `__Host-` prefix, so that no sibling domain and no script can plant
one; such a cookie must have the path `/` (RFC 6265bis, 4.1.3.2), and the proxy keeps it from servers.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from perijove.hub.domain.sessions import Session
from perijove.hub.web.client_address import is_tls
from perijove.hub.web.csrf import FIELD
from perijove.hub.web.errors import TwinCookies
from perijove.wire.identity import BROWSER_COOKIES, HUB_COOKIES

SIGN_IN_COOKIE, SIGN_IN_COOKIE_TLS, SESSION_ID_COOKIE = HUB_COOKIES
BROWSER_COOKIE, BROWSER_COOKIE_TLS = BROWSER_COOKIES
#: Names a browser that is not signed in, for its forms only.
VISITOR_COOKIE: Final = "perijove-visitor"
#: The same where others have hosts below the hub's and could plant that one.
VISITOR_COOKIE_TLS: Final = "__Host-perijove-visitor"
#: Seconds for which a form of somebody not signed in stays good.
VISITOR_SECONDS: Final = 24 * 3600
#: Segments of a path below which planted cookies are looked for: no address of the hub's own has more.
_MAX_SEGMENTS: Final = 12


class Cookies:
    """Reads and writes them below the deployment's prefix."""

    def __init__(
        self, *, base_url: str, hub_prefix: str, session_days: float, always_tls: bool = False, domain: str = ""
    ) -> None:
        """
        Args:
            base_url: prefix of the deployment.
            hub_prefix: prefix of the hub.
            session_days: how long a sign-in lasts.
            always_tls: whether browsers come by TLS only, whatever a proxy in front leaves out of its headers.
            domain: the hub's host name, if services are at hosts below it and are to see the session's id.
        """
        self._domain = domain or None
        self._always_tls = always_tls
        self._base_url = base_url
        self._hub_prefix = hub_prefix
        self._max_age = int(session_days * 24 * 3600)

    def is_secure(self, request: HTTPConnection) -> bool:
        """Whether cookies are to travel by TLS only."""
        return self._always_tls or is_tls(request)

    def secret(self, request: HTTPConnection) -> str:
        """
        The session's secret, or "".

        Raises:
            TwinCookies: there are two.
        """
        return _only(request, SIGN_IN_COOKIE_TLS if self.is_secure(request) else SIGN_IN_COOKIE)

    def visitor(self, request: HTTPConnection) -> str:
        """
        What names a browser that is not signed in, or "".

        Raises:
            TwinCookies: there are two.
        """
        return _only(request, self._visitor_cookie(request)[0])

    def put_session(self, request: HTTPConnection, response: Response, session: Session, secret: str) -> None:
        """Sign the browser in."""
        secure = self.is_secure(request)
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
            SESSION_ID_COOKIE,
            session.id,
            path=self._base_url,
            domain=self._domain,
            secure=secure,
            httponly=True,
            samesite="lax",
        )
        name, path = self._visitor_cookie(request)
        response.delete_cookie(name, path=path, secure=name == VISITOR_COOKIE_TLS)

    def drop_session(self, request: HTTPConnection, response: Response) -> None:
        """Sign the browser out."""
        secure = self.is_secure(request)
        name, path = (SIGN_IN_COOKIE_TLS, "/") if secure else (SIGN_IN_COOKIE, self._hub_prefix)
        response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="lax")
        response.delete_cookie(SESSION_ID_COOKIE, path=self._base_url, domain=self._domain)
        response.delete_cookie(FIELD, path=self._hub_prefix)

    def put_visitor(self, request: HTTPConnection, response: Response, visitor: str) -> None:
        """Name a browser that is not signed in."""
        name, path = self._visitor_cookie(request)
        response.set_cookie(
            name,
            visitor,
            max_age=VISITOR_SECONDS,
            path=path,
            secure=self.is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def _visitor_cookie(self, request: HTTPConnection) -> tuple[str, str]:
        """Its name and its path."""
        if self._domain and self.is_secure(request):
            return VISITOR_COOKIE_TLS, "/"
        return VISITOR_COOKIE, self._hub_prefix

    def browser_cookie(self, request: HTTPConnection) -> str:
        """Name of the cookie by which a browser is known at a server's own host."""
        return BROWSER_COOKIE_TLS if self.is_secure(request) else BROWSER_COOKIE

    def browser(self, request: HTTPConnection) -> str:
        """
        By what a browser is known at a server's own host, or "".

        Raises:
            TwinCookies: there are two.
        """
        return _only(request, self.browser_cookie(request))

    def put_browser(self, request: HTTPConnection, response: Response, value: str) -> None:
        """Know it again, for longer than any identity token that is bound to it."""
        secure = self.is_secure(request)
        response.set_cookie(
            self.browser_cookie(request),
            value,
            max_age=self._max_age,
            path="/" if secure else self._base_url,
            secure=secure,
            httponly=True,
            samesite="lax",
        )

    def drop_twins(self, request: HTTPConnection, response: Response) -> None:
        """
        Remove the cookies that say who this is, whatever path they were planted at.

        Only cookies whose path leads to the request's are sent with it, so these paths are all there are.
        """
        segments = request.url.path.strip("/").split("/")[:_MAX_SEGMENTS]
        above = ["/".join(segments[:count]) for count in range(1, len(segments) + 1)]
        paths = ["/", *(f"/{part}{slash}" for part in above for slash in ("", "/"))]
        names = (SIGN_IN_COOKIE, VISITOR_COOKIE, *((BROWSER_COOKIE,) if self._domain else ()))
        for path, name, domain in product(paths, names, self._planted_for()):
            response.delete_cookie(name, path=path, domain=domain)
        response.delete_cookie(SIGN_IN_COOKIE_TLS, path="/", secure=True)

    def _planted_for(self) -> list[str | None]:
        """For which domains the cookies can have been set that come here; None: for this very host."""
        labels = (self._domain or "").split(".")
        return [None, *(".".join(labels[start:]) for start in range(len(labels) - 1))]

    def put_xsrf(self, request: HTTPConnection, response: Response, token: str) -> None:
        """
        For JupyterHub's clients, which read it (contract i).

        HttpOnly, other than there: script of a user's server is of the hub's origin and could read it, in a frame
        or after `history.pushState`, whatever its path says. Our own pages have the token in their HTML.
        """
        response.set_cookie(
            FIELD, token, path=self._hub_prefix, secure=self.is_secure(request), httponly=True, samesite="strict"
        )


def _only(request: HTTPConnection, name: str) -> str:
    """
    The value of the cookie *name*, or "".

    A script of a user's server can plant a second one at another path, and which of them comes first is for
    that script to choose. So there is no choice between two.
    """
    pairs = (pair.partition("=") for line in request.headers.getlist("cookie") for pair in line.split(";"))
    values = {value.strip() for key, _, value in pairs if key.strip() == name}
    if len(values) > 1:
        raise TwinCookies
    return values.pop() if values else ""
