"""
Servers of users: read, start, make, stop, watch (contract d11 to d16 and e).

The default server has the name ""; three addresses mean it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import structlog
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response, StreamingResponse

from perijove.hub.domain.errors import HubError, Invalid, LaunchFailed, NoSuchServer
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.web.access import needs, the_server
from perijove.hub.web.api.bodies import json_object, member, only
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.declared import Routes
from perijove.hub.web.parts import Parts
from perijove.kit.tasks import TaskGroup
from perijove.wire.activity import KEEP, deadline_body

log = structlog.get_logger(__name__)

#: Seconds between signs of life on a quiet stream (contract e).
KEEP_ALIVE: Final = 8.0
#: Events that wait for a slow reader; a start has a dozen.
MAX_WAITING_EVENTS: Final = 100
#: Seconds for which a server that was to be removed, and takes its time to stop, is waited for.
PATIENCE: Final = 120.0
DEFAULT: Final = "/{user_name}/server"
DEFAULT_TOO: Final = "/{user_name}/servers/"
NAMED: Final = "/{user_name}/servers/{server_name}"
_READ: Final = needs("read:servers", on=the_server)
_START: Final = needs("start:servers", on=the_server)
#: whoever may start it, and the server itself, whose token reports its activity
_KEEP: Final = needs("start:servers", "users:activity", on=the_server)
_STOP: Final = needs("delete:servers", on=the_server)

router = Routes(prefix="/users")


@router.get(DEFAULT, access=_READ)
@router.get(DEFAULT_TOO, access=_READ, include_in_schema=False)
@router.get(NAMED, access=_READ)
async def get_server(call: CallOf, user_name: str, server_name: str = "") -> dict[str, Any]:
    """One server, active or not."""
    user = await call.parts.get_user(user_name)
    return call.models.server(await call.parts.get_server(user, server_name))


@router.put(DEFAULT, access=_START)
@router.put(DEFAULT_TOO, access=_START, include_in_schema=False)
@router.put(NAMED, access=_START)
async def put_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Make a named server without starting it."""
    user = await call.parts.get_user(user_name)
    body = only(await json_object(call.request) or {}, "display_name", "user_options")
    server = await call.parts.create_server(
        user,
        server_name,
        display_name=member(body, "display_name", str) or "",
        options=member(body, "user_options", dict),
    )
    return JSONResponse(call.models.server(server), status_code=201)


@router.post(DEFAULT, access=_START)
@router.post(DEFAULT_TOO, access=_START, include_in_schema=False)
@router.post(NAMED, access=_START)
async def post_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Start it: 201 if it is ready within the configured time, 202 if it still comes up."""
    parts = call.parts
    user = await parts.get_user(user_name)
    options, display_name = _start_options(await json_object(call.request))
    server = await parts.start_server(user, server_name, options=options, display_name=display_name, by=call.principal)
    server = await parts.driver.settled(server.id, parts.settings.servers.slow_start_seconds)
    if server.is_ready:
        return Response(status_code=201, media_type="text/plain")
    if server.is_active:
        return Response(status_code=202, media_type="text/plain")
    raise LaunchFailed(server.failure, log_tail=server.failure_log)


@router.patch(DEFAULT, access=_START)
@router.patch(DEFAULT_TOO, access=_START, include_in_schema=False)
@router.patch(NAMED, access=_START)
async def patch_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Another name, another name to be shown, or other options, of one that is stopped."""
    user = await call.parts.get_user(user_name)
    body = only(await json_object(call.request) or {}, "name", "display_name", "user_options")
    if not body:
        raise Invalid("Must specify at least one field to modify.")
    server = await call.parts.change_server(
        user,
        server_name,
        new_name=member(body, "name", str),
        display_name=member(body, "display_name", str) or None,
        options=member(body, "user_options", dict),
    )
    return JSONResponse(call.models.server(server))


@router.delete(DEFAULT, access=_STOP)
@router.delete(DEFAULT_TOO, access=_STOP, include_in_schema=False)
@router.delete(NAMED, access=_STOP)
async def delete_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Stop it: 204 if it is gone within the configured time, 202 if it still goes."""
    parts = call.parts
    remove = member(await json_object(call.request) or {}, "remove", bool)
    if remove and not server_name:
        raise Invalid("Cannot delete the default server")
    user = await parts.get_user(user_name)
    try:
        timeout = parts.settings.servers.slow_stop_seconds
        server = await parts.stop_server.and_wait(user, server_name, timeout=timeout, by=call.principal)
    except NoSuchServer:
        if server_name:
            raise
        return Response(status_code=204, media_type="text/plain")
    if server.is_active:
        later = BackgroundTask(_remove_later, parts, user, server) if remove else None
        return Response(status_code=202, media_type="text/plain", background=later)
    if remove:
        await parts.remove_server(user, server_name)
    return Response(status_code=204, media_type="text/plain")


async def _remove_later(parts: Parts, user: User, server: Server) -> None:
    """Remove it once it has stopped; if it takes too long, or is started again, it stays (contract d15)."""
    gone = await parts.stop_server.gone(server, timeout=PATIENCE)
    try:
        await parts.remove_server(user, gone.name)
    except HubError as error:
        log.warning("server.not_removed", server=server.key, why=error.message)


@router.post(f"{DEFAULT}/{KEEP}", access=_KEEP)
@router.post(f"{NAMED}/{KEEP}", access=_KEEP)
async def post_keep(call: CallOf, user_name: str, server_name: str = "") -> dict[str, Any]:
    """Give it more time before it is stopped for being idle or old; the answer says how much."""
    user = await call.parts.get_user(user_name)
    return deadline_body(await call.parts.keep_server(user, server_name))


@router.get(f"{DEFAULT}/progress", access=_READ)
@router.get(f"{DEFAULT_TOO}progress", access=_READ, include_in_schema=False)
@router.get(f"{NAMED}/progress", access=_READ)
async def get_progress(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """How a start goes, as events; ends with the one that says how it went."""
    user = await call.parts.get_user(user_name)
    server = await call.parts.get_server(user, server_name)
    if not server.is_active and not server.failure:
        raise Invalid(f"{server.key} is not starting...")
    events = _as_wanted(call.parts, server, call.parts.driver.progress(server.id))
    return StreamingResponse(
        event_stream(events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _as_wanted(
    parts: Parts, server: Server, events: AsyncIterator[ProgressEvent]
) -> AsyncIterator[Mapping[str, Any]]:
    """The events as JSON; the last one as the administrator's hook wants it."""
    async for event in events:
        frame = event.to_json()
        yield await parts.start_options.ready_event(server, frame) if event.ready else frame


async def event_stream(
    events: AsyncIterator[Mapping[str, Any]], *, keep_alive: float = KEEP_ALIVE
) -> AsyncIterator[bytes]:
    """The frames of contract e."""
    yield b"\n\n"
    waiting: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue(MAX_WAITING_EVENTS)
    async with TaskGroup("progress") as tasks:
        tasks.start("events", _pass_on(events, waiting))
        while True:
            try:
                event = await asyncio.wait_for(waiting.get(), keep_alive)
            except TimeoutError:
                yield b"\n\n"
                continue
            if event is None:
                return
            yield f"data: {json.dumps(event)}\n\n".encode()


async def _pass_on(events: AsyncIterator[Mapping[str, Any]], waiting: asyncio.Queue[Mapping[str, Any] | None]) -> None:
    try:
        async for event in events:
            await waiting.put(event)
    except HubError as error:
        # The server was removed meanwhile, or the database is away: the stream ends, the client asks again.
        log.info("progress.broken", why=error.message)
    await waiting.put(None)


def _start_options(body: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str | None]:
    """Contract d13: without either key the whole object is the options; without a body the stored ones stay."""
    if body is None:
        return None, None
    if body.keys().isdisjoint({"user_options", "display_name"}):
        return body, None
    only(body, "user_options", "display_name")
    return member(body, "user_options", dict), member(body, "display_name", str)
