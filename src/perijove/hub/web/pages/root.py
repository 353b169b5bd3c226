"""
The addresses that only lead elsewhere, and the error page that the proxy asks for (contract i).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perijove.hub.domain.urls import server_url
from perijove.hub.web.access import OPEN_PAGE, PUBLIC, REPORTER, SIGNED_IN
from perijove.hub.web.csp_reports import MAX_REPORT
from perijove.hub.web.declared import Routes
from perijove.hub.web.headers import CSP_REPORT
from perijove.hub.web.next_url import safe_next
from perijove.hub.web.pages.frame import FrameOf
from perijove.hub.web.pages.way_in import Destination, addresses, go_in, may_enter, may_start
from perijove.hub.web.parts import PartsOf
from perijove.hub.web.problems import error_page
from perijove.hub.web.raw_path import raw_path
from perijove.hub.web.static_files import StaticFile
from perijove.kit.hooks import settled

#: Seconds for which the hub's front door waits for a server that is coming up.
PATIENCE: Final = 1.5

router = Routes(include_in_schema=False)
#: everything that is not below the hub's prefix
outside = Routes(include_in_schema=False)
#: below the deployment's prefix, of servers
changes = Routes(include_in_schema=False)


@router.get("/", access=SIGNED_IN)
async def get_root(frame: FrameOf) -> Response:
    """Into one's own server, or to the home page."""
    principal = frame.principal
    goes_in = may_enter(principal, principal.name, "") and may_start(principal, principal.name, "")
    if not (frame.parts.settings.redirect_to_server and goes_in):
        return frame.go(f"{frame.hub}home")
    return await go_in(frame, Destination(owner=await frame.user(), server=""), patience=PATIENCE)


@router.get("/error/{code}", access=PUBLIC)
async def get_error(code: int, request: Request, parts: PartsOf, url: str = "") -> Response:
    """What the proxy shows for a status of its own; it adds the status itself."""
    again = safe_next(url, host=request.headers.get("host", ""), origins=parts.origins)
    return error_page(request, code, again=again, status=200)


@router.api_route("/health", methods=["GET", "HEAD"], access=PUBLIC)
async def get_health() -> Response:
    """Whether this process answers; asks nobody else."""
    return Response(media_type="text/html")


@router.post(f"/{CSP_REPORT}", access=REPORTER)
async def post_csp_report(frame: FrameOf) -> Response:
    """What the content policy of a page kept out, as the browser tells."""
    if int(frame.request.headers.get("content-length", MAX_REPORT + 1)) > MAX_REPORT:
        raise HTTPException(413)
    frame.edge.csp_reports.note(await frame.request.body(), user=frame.principal.name)
    return Response()


@router.get("/static/{name}", access=PUBLIC)
async def get_static(name: str, frame: FrameOf, v: str = "") -> Response:
    """The hub's own style, scripts and pictures."""
    file: StaticFile | None = frame.edge.static.get(name)
    if file is None:
        return Response(status_code=404)
    is_current = v == file.version
    cache = "public, max-age=31536000, immutable" if is_current else "no-cache"
    return Response(file.body, media_type=file.media_type, headers={"Cache-Control": cache})


@router.get("/logo", access=PUBLIC)
async def get_logo(frame: FrameOf) -> Response:
    """Where JupyterHub has its logo."""
    return frame.go(frame.edge.static.url("logo.svg"))


@router.get("/user-redirect/{rest:path}", access=OPEN_PAGE)
async def get_user_redirect(rest: str, frame: FrameOf) -> Response:
    """A link that everybody can follow into a server of their own."""
    if frame.visitor is None:
        return frame.go_sign_in(_with_query(frame.request.url.path, frame.request))
    settings = frame.parts.settings
    if settings.user_redirect_hook is not None:
        hooked = settings.user_redirect_hook(rest, frame.request, await frame.user(), settings.base_url)
        wanted = await settled(hooked)
        if wanted is not None:
            return frame.go(frame.next(str(wanted)) or f"{frame.hub}home")
    owner, name = frame.principal.name, settings.default_server_name
    then = _with_query(f"{server_url(settings.base_url, owner, name)}{quote(rest)}", frame.request)
    return frame.go(f"{addresses(frame).page('spawn', owner, name)}?next={quote(then, safe='')}")


@changes.api_route("/user/{rest:path}", methods=["POST", "PUT", "PATCH", "DELETE"], access=PUBLIC)
async def change_outside(rest: str, request: Request, parts: PartsOf) -> Response:
    """A change in a server that has no route: a page of this origin is sent where it may start that server."""
    if request.headers.get("sec-fetch-site") != "same-origin":
        raise HTTPException(405)
    async for _ in request.stream():
        # The browser sends it again (RFC 9110, section 15.4.8), once it is done with this.
        pass
    settings = parts.settings
    inner = _written(request, f"/{rest}").removeprefix(settings.base_url).lstrip("/")
    return RedirectResponse(_with_query(f"{settings.hub_prefix}{inner}", request), status_code=307)


@outside.get("/{rest:path}", access=PUBLIC)
async def get_outside(rest: str, request: Request, parts: PartsOf) -> Response:
    """What no route of the proxy covers is the hub's, below its prefix."""
    settings = parts.settings
    path = f"/{rest}"
    inner = _written(request, path).removeprefix(settings.base_url).lstrip("/")
    if f"{path}/" == settings.hub_prefix:
        return RedirectResponse(settings.hub_prefix, status_code=301)
    if path.startswith(settings.hub_prefix):
        raise HTTPException(404)
    kind, _, name = inner.partition("/")
    if kind in {"user", "services"} and name and "/" not in name:
        return RedirectResponse(_with_query(f"{settings.base_url}{kind}/{name}/", request), status_code=301)
    if kind == "services" and name and parts.origins.are_many:
        # At its own host, where this was not asked for, there may be a route.
        service = unquote(name.partition("/")[0])
        there = f"{parts.origins.of_service(service)}{settings.base_url}{inner}"
        return RedirectResponse(_with_query(there, request), status_code=302)
    return RedirectResponse(_with_query(f"{settings.hub_prefix}{inner}", request), status_code=302)


def _written(request: Request, path: str) -> str:
    """The path as the browser wrote it, or as it would have written *path*."""
    return raw_path(request) or quote(path, safe="/@~")


def _with_query(path: str, request: Request) -> str:
    return f"{path}?{request.url.query}" if request.url.query else path
