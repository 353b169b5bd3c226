"""
Starting a server, and watching it come up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from markupsafe import Markup
from starlette.responses import Response

from perijove.hub.domain.errors import AlreadyRunning, HubError, InvalidRequest
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.scopes.rights import ENTER
from perijove.hub.web.access import SIGNED_IN, page_needs, the_server
from perijove.hub.web.api.models import progress_url
from perijove.hub.web.declared import Routes
from perijove.hub.web.forms import read_fields
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.way_in import Destination, addresses, below, find, go_in, may_start
from perijove.hub.web.problems import status_of

#: Seconds for which a click on “start” waits before something is shown (contract i).
PATIENCE: Final = 1.0
#: Most members of a query that carries options.
MAX_OPTIONS: Final = 50
#: what options in an address begin with
_OPTION: Final = "opt-"
#: members of the query of this page that are none
_NO_OPTIONS: Final = frozenset({"next", "display_name", "_xsrf"})
#: fields of the form that are not the administrator's
_OUR_FIELDS: Final = frozenset({"_xsrf", "_next", "_start", "next", "stay"})
_MAY_START: Final = page_needs("start:servers", on=the_server)
_MAY_WATCH: Final = page_needs("read:servers", ENTER, "start:servers", on=the_server)

router = Routes(include_in_schema=False)


@router.get("/spawn", access=SIGNED_IN)
async def get_own_spawn(frame: FrameOf) -> Response:
    """One's own default server (JupyterLab's “restart” leads here)."""
    return await _look(frame, await frame.user(), "")


@router.get("/spawn/{user_name}", access=_MAY_START)
@router.get("/spawn/{user_name}/{server_name}", access=_MAY_START)
async def get_spawn(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Any server; one that runs already is simply gone to."""
    return await _look(frame, await frame.parts.get_user(user_name), server_name)


@router.post("/spawn", access=SIGNED_IN)
async def post_own_spawn(frame: FrameOf) -> Response:
    """One's own default server, from the form."""
    return await _start(frame, await frame.user(), "")


@router.post("/spawn/{user_name}", access=_MAY_START)
@router.post("/spawn/{user_name}/{server_name}", access=_MAY_START)
async def post_spawn(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Likewise from a button; `stay` starts it for somebody else and goes back."""
    owner = await frame.parts.get_user(user_name)
    form = await frame.form()
    if not form.get("stay"):
        return await _start(frame, owner, server_name)
    server = await frame.parts.start_server(owner, server_name, by=frame.principal)
    await frame.parts.driver.settled(server.id, PATIENCE)
    return frame.go(frame.next(form.get("next", "")) or f"{frame.hub}people")


@router.get("/spawn-pending/{user_name}", access=_MAY_WATCH)
@router.get("/spawn-pending/{user_name}/{server_name}", access=_MAY_WATCH)
async def get_spawn_pending(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """How a start goes; changes nothing. Leads on when the server is up."""
    owner = await frame.parts.get_user(user_name)
    destination = Destination(owner=owner, server=server_name, then=frame.next())
    server = await find(frame, owner, server_name)
    if server is not None and server.is_ready:
        return await go_in(frame, destination, patience=0)
    return pending_page(frame, destination, server)


def pending_page(frame: Frame, destination: Destination, server: Server | None, *, status: int = 200) -> Response:
    """Starting, stopping, failed or not running: the page says which, and offers what can be done."""
    where = addresses(frame)
    owner, name = destination.owner.name, destination.server
    is_own = owner == frame.principal.name
    whose = "Your server" if is_own else f"The server of {owner}"
    can_start = may_start(frame.principal, owner, name)
    common: dict[str, Any] = {
        "then": below(frame, destination),
        "start_url": where.page("spawn", owner, name) if can_start else "",
        "progress_url": progress_url(frame.hub, owner, name),
    }
    if server is not None and server.pending == "spawn":
        place = frame.parts.queue.place_of(server.id) if server.state is State.QUEUED else None
        message = place.words if place is not None else "Starting…"
        return frame.show(
            "pending.html", title=f"{whose} is starting", waiting=True, progress=0, message=message, **common
        )
    stopping = server is not None and server.state is State.STOPPING
    reason = server.stop_reason if server is not None else ""
    what_now = "Wait a moment, then start it again." if stopping else "Start it and go on."
    if not can_start:
        what_now = f"{owner} can start it."
    failure = server.failure if server is not None and not stopping else ""
    title = f"{whose} is stopping" if stopping else f"{whose} {'did not start' if failure else 'is not running'}"
    return frame.show(
        "pending.html",
        status=HTTPStatus.INTERNAL_SERVER_ERROR if failure and status == HTTPStatus.OK else status,
        title=title,
        waiting=False,
        message=failure or f"{reason} {what_now}".strip(),
        log=server.failure_log if server is not None else (),
        start_text="Try again" if failure else "Start it",
        **common,
    )


async def _look(frame: Frame, owner: User, name: str) -> Response:
    """
    The way to a server by an address: past what is to be asked before a start, if anything is.

    Options in the address start it at once (contract i); unless the address is on another site's page, where a click
    says nothing about what the visitor wants.
    """
    destination = Destination(owner=owner, server=name, then=frame.next())
    chosen = options_of_address(frame.request.query_params.multi_items())
    if not chosen and not frame.parts.start_options.has_form:
        return await go_in(frame, destination, patience=PATIENCE)
    server = await find(frame, owner, name)
    if server is not None and server.is_active:
        return await go_in(frame, destination, patience=PATIENCE)
    if chosen and frame.request.headers.get("sec-fetch-site") != "cross-site":
        return await _start_with(frame, destination, chosen)
    return await _ask(frame, destination, chosen=chosen)


async def _start(frame: Frame, owner: User, name: str) -> Response:
    """A start that was asked for by a form: ours with the administrator's fields in it, or a mere button."""
    fields = await read_fields(frame.request)
    own = {key: values[0] for key, values in fields.items() if key in _OUR_FIELDS}
    then = frame.next(str(own.get("_next", "")) or str(own.get("next", ""))) or frame.next()
    destination = Destination(owner=owner, server=name, then=then)
    given = {key: values for key, values in fields.items() if key not in _OUR_FIELDS}
    if given or "_start" in own:
        return await _start_with(frame, destination, given)
    if frame.parts.start_options.has_form:
        server = await find(frame, owner, name)
        if server is None or not server.is_active:
            return await _ask(frame, destination)
    return await go_in(frame, destination, patience=PATIENCE)


async def _start_with(frame: Frame, destination: Destination, given: Mapping[str, Sequence[Any]]) -> Response:
    owner, name = destination.owner, destination.server
    try:
        options = await frame.parts.start_options.read(owner, name, given)
        server = await frame.parts.start_server(owner, name, options=options, by=frame.principal)
        await frame.parts.driver.settled(server.id, PATIENCE)
    except AlreadyRunning:
        pass
    except HubError as error:
        return await _ask(frame, destination, error=error)
    return await go_in(frame, destination, patience=0)


async def _ask(
    frame: Frame,
    destination: Destination,
    *,
    chosen: Mapping[str, Sequence[str]] | None = None,
    error: HubError | None = None,
) -> Response:
    """The page that asks what the server is to be started with; shown again, with what was wrong, after an error."""
    owner, name = destination.owner, destination.server
    server = await find(frame, owner, name)
    form = await frame.parts.start_options.form(owner, name, server.user_options if server is not None else {})
    whose = "Start your server" if owner.name == frame.principal.name else f"Start the server of {owner.name}"
    return frame.show(
        "spawn.html",
        status=status_of(error) if error else 200,
        title=f"{whose} {name}".strip(),
        error=str(error) if error else "",
        start_url=addresses(frame).page("spawn", owner.name, name),
        then=destination.then,
        chosen=chosen or {},
        # The administrator's own HTML, from the configuration.
        form=Markup(form),  # noqa: S704  # trusted: whoever writes it runs the hub
    )


def options_of_address(query: Sequence[tuple[str, str]]) -> Mapping[str, list[str]]:
    """
    The options in a query: those that begin with `opt-`; without any of these, all that have no other meaning.

    Raises:
        InvalidRequest: there are too many.
    """
    if len(query) > MAX_OPTIONS:
        raise InvalidRequest(f"More than {MAX_OPTIONS} options.")
    marked = any(name.startswith(_OPTION) for name, _ in query)
    found: dict[str, list[str]] = {}
    for name, value in query:
        if marked != name.startswith(_OPTION) or (not marked and name in _NO_OPTIONS):
            continue
        found.setdefault(name.removeprefix(_OPTION), []).append(value)
    return found
