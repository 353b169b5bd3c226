"""
Starting a server, and watching it come up.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.responses import Response

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.scopes.rights import ENTER
from perijove.hub.web.access import SIGNED_IN, page_needs, the_server
from perijove.hub.web.api.models import progress_url
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.way_in import Destination, addresses, below, find, go_in, may_start

#: Seconds for which a click on “start” waits before something is shown (contract i).
PATIENCE: Final = 1.0
_MAY_START: Final = page_needs("start:servers", on=the_server)
_MAY_WATCH: Final = page_needs("read:servers", ENTER, "start:servers", on=the_server)

router = Routes(include_in_schema=False)


@router.get("/spawn", dependencies=[SIGNED_IN])
async def get_own_spawn(frame: FrameOf) -> Response:
    """One's own default server (JupyterLab's “restart” leads here)."""
    return await _spawn(frame, await frame.user(), "", frame.next())


@router.get("/spawn/{user_name}", dependencies=[_MAY_START])
@router.get("/spawn/{user_name}/{server_name}", dependencies=[_MAY_START])
async def get_spawn(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Any server; one that runs already is simply gone to."""
    return await _spawn(frame, await frame.parts.get_user(user_name), server_name, frame.next())


@router.post("/spawn/{user_name}", dependencies=[_MAY_START])
@router.post("/spawn/{user_name}/{server_name}", dependencies=[_MAY_START])
async def post_spawn(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Likewise from a button; `stay` starts it for somebody else and goes back."""
    owner = await frame.parts.get_user(user_name)
    form = await frame.form()
    then = frame.next(form.get("next", ""))
    if not form.get("stay"):
        return await _spawn(frame, owner, server_name, then)
    server = await frame.parts.start_server(owner, server_name, by=frame.principal)
    await frame.parts.driver.settled(server.id, PATIENCE)
    return frame.go(then or f"{frame.hub}people")


@router.get("/spawn-pending/{user_name}", dependencies=[_MAY_WATCH])
@router.get("/spawn-pending/{user_name}/{server_name}", dependencies=[_MAY_WATCH])
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


async def _spawn(frame: Frame, owner: User, name: str, then: str) -> Response:
    return await go_in(frame, Destination(owner=owner, server=name, then=then), patience=PATIENCE)
