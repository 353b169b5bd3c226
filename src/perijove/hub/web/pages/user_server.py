"""
What the proxy sends to the hub because there is no route for it, or because the door did not let it through.

A visit of one's own stopped server starts it and ends up in it; so does a change that somebody makes in a tab that was
left open, such as saving a notebook. What programs and background polls of a forgotten tab send does not: it gets the
424 of contract i.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from perijove.hub.domain.audiences import place_of
from perijove.hub.domain.errors import NoSuchServer, NoSuchUser
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.users import User
from perijove.hub.scopes.decision import ServiceResource
from perijove.hub.web import fetch_metadata
from perijove.hub.web.access import OPEN_PAGE, USER_SERVER_PAGE
from perijove.hub.web.declared import Routes
from perijove.hub.web.elsewhere import REDIRECTS
from perijove.hub.web.errors import MissingCredentials
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.spawn import pending_page
from perijove.hub.web.pages.way_in import (
    Destination,
    addresses,
    find,
    go_in,
    hand_over,
    let_in,
    may_enter,
    may_start,
    must_be_asked,
    running,
)
from perijove.hub.web.problems import error_page
from perijove.hub.web.raw_path import raw_path
from perijove.wire.notebook import CONTENTS, SENT_BY_ITSELF

#: Seconds for which a visit waits for the server that it starts.
PATIENCE: Final = 1.5
#: Seconds for which a change waits: there is no page to show in the meantime.
PATIENCE_OF_A_CHANGE: Final = 15.0
#: Times that a browser is sent to a server that runs but has no route yet (contract i).
MAX_REDIRECTS: Final = 4

router = Routes(include_in_schema=False)


@router.get("/enter", access=OPEN_PAGE)
async def get_enter(frame: FrameOf, server: str = "", proof: str = "") -> Response:
    """Where the proxy's door sends whoever has no valid identity token for *server* (wire/door.py)."""
    then = frame.next()
    if frame.visitor is None:
        return frame.go_sign_in(then or f"{frame.hub}home")
    place = place_of(server)
    if isinstance(place, ServiceResource):
        return await _enter_service(frame, server, then, proof)
    owner = await _owner(frame, place.user)
    destination = Destination(owner=owner, server=place.server, then=then, proof=proof)
    return await _visit(frame, destination, await find(frame, owner, place.server))


@router.api_route(
    "/user/{user_name}/{rest:path}",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    access=USER_SERVER_PAGE,
)
async def any_user_server(frame: FrameOf, user_name: str, rest: str) -> Response:
    """An address in a server that has no route."""
    is_program = _is_program(frame.request, rest)
    wanted = _wanted(frame, user_name, rest)
    if frame.visitor is None:
        return _refused(403, MissingCredentials()) if is_program else frame.go_sign_in(wanted)
    try:
        destination = await _destination(frame, user_name, rest, wanted)
    except NoSuchServer as error:
        if is_program:
            return _refused(404, error)
        raise
    server = await find(frame, destination.owner, destination.server)
    if server is not None and server.is_ready:
        return await _route_is_coming(frame, destination.owner, wanted)
    if is_program:
        inside = rest.removeprefix(f"{destination.server}/") if destination.server else rest
        is_work = _is_somebodys_work(frame.request, inside)
        if is_work and _starts_by_visit(frame, destination, server) and not await must_be_asked(frame, destination):
            return await _start_and_repeat(frame, destination, wanted)
        return _not_running(frame, destination, wanted)
    fetch_metadata.check_page(frame.request.headers)
    return await _visit(frame, destination, server)


async def _enter_service(frame: Frame, audience: str, then: str, proof: str) -> Response:
    """Into a service that perijove guards: to the wanted address in it, or its first page."""
    if frame.parts.origins.are_many:
        return await hand_over(frame, frame.principal, audience=audience, then=then, proof=proof)
    entry = await frame.parts.door.enter(frame.principal, audience)
    # The cookie is sent below the prefix alone: whoever asked for less, or for something else, would come round again.
    response = frame.go(then if then.startswith(entry.path) else entry.path)
    frame.let_in(response, value=entry.cookie_value, path=entry.path, max_age=entry.max_age)
    return response


async def _destination(frame: Frame, user_name: str, rest: str, wanted: str) -> Destination:
    """Which server the address is in; one that the visitor may not enter does not exist."""
    owner = await _owner(frame, user_name)
    name = await _server_name(frame, owner, rest)
    if not may_enter(frame.principal, owner.name, name):
        raise NoSuchServer
    return Destination(owner=owner, server=name, then=wanted)


async def _visit(frame: Frame, destination: Destination, server: Server | None) -> Response:
    """In, if it runs or starts by being visited; else the page from which it can be started."""
    owner, name = destination.owner.name, destination.server
    if not may_enter(frame.principal, owner, name):
        raise NoSuchServer
    is_active = server is not None and server.is_active and server.pending != "stop"
    if is_active or _starts_by_visit(frame, destination, server):
        return await go_in(frame, destination, patience=PATIENCE)
    return pending_page(frame, destination, server, status=424)


def _starts_by_visit(frame: Frame, destination: Destination, server: Server | None) -> bool:
    """Whether the server starts because this visitor wants something of it."""
    owner, name = destination.owner.name, destination.server
    is_own = owner == frame.principal.name and may_start(frame.principal, owner, name)
    # A named server exists because its owner made it: a mistyped address makes none.
    return frame.parts.settings.servers.start_by_visit and is_own and (not name or server is not None)


async def _start_and_repeat(frame: Frame, destination: Destination, wanted: str) -> Response:
    """
    Start the server and let the browser send the very request again, which then finds it.

    The status is 307: same method, same body (RFC 9110, section 15.4.8). What came with it is not kept here.
    """
    async for _ in frame.request.stream():
        pass
    server = await running(frame, destination, frame.principal, PATIENCE_OF_A_CHANGE)
    if not server.is_ready:
        return JSONResponse(
            {"message": "The server is starting. Please try again in a moment."}, 503, {"Retry-After": "3"}
        )
    return await let_in(frame, RedirectResponse(wanted, status_code=307), frame.principal, server)


async def _owner(frame: Frame, name: str) -> User:
    try:
        return await frame.parts.get_user(name)
    except NoSuchUser:
        # The same answer as for a server that exists and is none of the visitor's business.
        raise NoSuchServer from None


async def _server_name(frame: Frame, owner: User, rest: str) -> str:
    """The first segment, if it is the name of one of the user's servers; else it is the default server."""
    first = rest.partition("/")[0]
    is_named = bool(first) and frame.parts.settings.servers.allow_named_servers
    return first if is_named and await find(frame, owner, first) is not None else ""


async def _route_is_coming(frame: Frame, owner: User, wanted: str) -> Response:
    """It runs, but the proxy did not know: tell the proxy and try again, a few times."""
    before, origin = _redirects(frame.request), frame.parts.origins.of_user(owner.name)
    if origin and not before and not frame.parts.origins.is_elsewhere(frame.host):
        # It was not asked for at its own host (`web/elsewhere.py` would have counted).
        return RedirectResponse(f"{origin}{wanted}", status_code=307)
    if before >= MAX_REDIRECTS:
        return error_page(frame.request, 500, "Redirect loop detected: the proxy does not find this server.")
    await frame.parts.proxies.once()
    separator = "&" if "?" in wanted else "?"
    # Not 302: what changes something is to be repeated as it was.
    return RedirectResponse(f"{origin}{wanted}{separator}{REDIRECTS}={before + 1}", status_code=307)


def _not_running(frame: Frame, destination: Destination, wanted: str) -> Response:
    start = frame.origin + addresses(frame).page("spawn", destination.owner.name, destination.server)
    path = wanted.partition("?")[0]
    message = f"JupyterHub server no longer running at {path}. Restart the server at {start}"
    return JSONResponse({"message": message}, status_code=424)


def _is_program(request: Request, rest: str) -> bool:
    """Whether this is anything but somebody looking at a page."""
    accept = request.headers.get("accept", "")
    prefers_json = "application/json" in accept and "text/html" not in accept
    by_script = fetch_metadata.reads_by_script(request.headers)
    is_api = "api" in rest.split("/")
    is_read = request.method in {"GET", "HEAD"}
    return not is_read or "authorization" in request.headers or prefers_json or by_script or is_api


def _is_somebodys_work(request: Request, inside: str) -> bool:
    """Whether somebody changes something, at that path in the server, from a page of this origin, or is about to."""
    headers, query = request.headers, request.query_params
    is_script = headers.get("sec-fetch-site") == "same-origin" and headers.get("sec-fetch-mode") != "navigate"
    if not is_script or "authorization" in headers:
        return False
    if request.method in {"GET", "HEAD"}:
        # Before JupyterLab saves, it looks whether the file is still the one it has. What it polls are folders, whole.
        return CONTENTS.match(inside) is not None and query.get("content") == "0" and query.get("type") != "directory"
    return SENT_BY_ITSELF.match(inside) is None


def _wanted(frame: Frame, user_name: str, rest: str) -> str:
    """The address in the server that was asked for, as the browser wrote it."""
    settings = frame.parts.settings
    raw = raw_path(frame.request)
    if raw.startswith(f"{settings.hub_prefix}user/"):
        path = settings.base_url + raw.removeprefix(settings.hub_prefix)
    elif raw.startswith(f"{settings.base_url}user/"):
        path = raw
    else:
        path = server_url(settings.base_url, user_name, "") + quote(rest, safe="/@~:")
    query = "&".join(part for part in frame.request.url.query.split("&") if not part.startswith(f"{REDIRECTS}="))
    return f"{path}?{query}" if query else path


def _refused(status: int, error: Exception) -> Response:
    return JSONResponse({"status": status, "message": str(error)}, status_code=status)


def _redirects(request: Request) -> int:
    stated = request.query_params.get(REDIRECTS, "0")
    return int(stated) if stated.isdecimal() and len(stated) < 3 else 0  # noqa: PLR2004  # two digits are enough
