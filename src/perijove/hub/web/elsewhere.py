"""
Keeps the hub to its own host: what is asked at the origin of somebody's server is not answered with a page of the hub.

The proxy sends everything that has no route to the hub, whatever the host. At a user's origin, script of that user's
is at home: a page of the hub there would be in its hands. So there is nothing there but the doorstep, files that are
the same for everybody, and a start for who works on in a page of a server that has stopped; people are sent to the
hub's own host, and programs are told.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from perijove.hub.domain.origins import Origins
from perijove.hub.web.raw_path import raw_path

_READS: Final = frozenset({"GET", "HEAD"})
#: Says to the hub that there is no route, and that not merely the host was another (`pages/user_server.py`).
REDIRECTS: Final = "redirects"


class OnlyAtHome:
    """Middleware; of use only where users have origins of their own."""

    def __init__(
        self, app: ASGIApp, *, origins: Origins, base_url: str, hub_prefix: str, everywhere: tuple[str, ...]
    ) -> None:
        """
        Args:
            app: the hub.
            origins: which hosts are somebody else's.
            base_url: prefix of the deployment.
            hub_prefix: prefix of the hub.
            everywhere: what is answered at all hosts: paths, and prefixes, which end with a slash.
        """
        self._app = app
        self._origins = origins
        self._base_url = base_url
        self._hub_prefix = hub_prefix
        self._paths = frozenset(path for path in everywhere if not path.endswith("/"))
        self._prefixes = tuple(path for path in everywhere if path.endswith("/"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, or answer it here."""
        app = self._app
        if scope["type"] == "http":
            request = Request(scope)
            if self._is_elsewhere(request) and not self._is_everywhere(request) and not self._is_left_open(request):
                app = self._answer(request)
        await app(scope, receive, send)

    def _is_elsewhere(self, request: Request) -> bool:
        # The proxy can be told to put another name into the one (`--change-origin`); it always writes the other.
        hosts = (request.headers.get("host", ""), *request.headers.get("x-forwarded-host", "").split(","))
        return any(self._origins.is_elsewhere(host.strip()) for host in hosts)

    def _is_everywhere(self, request: Request) -> bool:
        path = request.scope["path"]
        return request.method in _READS and (path in self._paths or path.startswith(self._prefixes))

    def _is_left_open(self, request: Request) -> bool:
        """Whether script of that very origin asks for something of the server (`pages/left_open.py`)."""
        is_own = request.headers.get("sec-fetch-site") == "same-origin"
        return is_own and not _is_navigation(request) and request.scope["path"].startswith(f"{self._base_url}user/")

    def _answer(self, request: Request) -> Response:
        raw = raw_path(request)
        is_hub = raw.startswith(self._hub_prefix)
        inner = raw.removeprefix(self._hub_prefix if is_hub else self._base_url).lstrip("/")
        is_server = not is_hub and inner.startswith("user/")
        if _is_navigation(request):
            query = request.scope.get("query_string", b"").decode("ascii", "replace")
            if is_server and REDIRECTS not in request.query_params:
                query = f"{query}&{REDIRECTS}=1" if query else f"{REDIRECTS}=1"
            url = f"{self._origins.hub}{self._hub_prefix}{inner}"
            return RedirectResponse(f"{url}?{query}" if query else url, status_code=302)
        if is_server:
            start = f"{self._origins.hub}{self._hub_prefix}spawn/{inner.split('/')[1]}"
            message = f"JupyterHub server no longer running at {unquote(raw)}. Restart the server at {start}"
            return JSONResponse({"message": message}, status_code=424)
        message = f"The hub is at {self._origins.hub}{self._hub_prefix}, not at this host."
        return JSONResponse({"status": 421, "message": message}, status_code=421)


def _is_navigation(request: Request) -> bool:
    mode = request.headers.get("sec-fetch-mode", "navigate")
    return request.method in _READS and mode == "navigate" and "authorization" not in request.headers
