"""
Servers of users: read, start, make, stop, watch (contract d11 to d16 and e).

The default server has the name ""; three addresses mean it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from starlette.responses import JSONResponse, Response, StreamingResponse

from perijove.hub.domain.errors import HubError, Invalid, LaunchFailed, NoSuchServer
from perijove.hub.domain.progress import ProgressEvent
from perijove.hub.web.access import needs, the_server
from perijove.hub.web.api.bodies import json_object, member, only
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.declared import Routes
from perijove.kit.tasks import TaskGroup
from perijove.wire.activity import KEEP, deadline_body

log = structlog.get_logger(__name__)

#: Seconds between signs of life on a quiet stream (contract e).
KEEP_ALIVE: Final = 8.0
#: Events that wait for a slow reader; a start has a dozen.
MAX_WAITING_EVENTS: Final = 100
DEFAULT: Final = "/{user_name}/server"
DEFAULT_TOO: Final = "/{user_name}/servers/"
NAMED: Final = "/{user_name}/servers/{server_name}"
_READ: Final = needs("read:servers", on=the_server)
_START: Final = needs("start:servers", on=the_server)
#: whoever may start it, and the server itself, whose token reports its activity
_KEEP: Final = needs("start:servers", "users:activity", on=the_server)
_STOP: Final = needs("delete:servers", on=the_server)

router = Routes(prefix="/users")


@router.get(DEFAULT, dependencies=[_READ])
@router.get(DEFAULT_TOO, dependencies=[_READ], include_in_schema=False)
@router.get(NAMED, dependencies=[_READ])
async def get_server(call: CallOf, user_name: str, server_name: str = "") -> dict[str, Any]:
    """One server, active or not."""
    user = await call.parts.get_user(user_name)
    return call.models.server(await call.parts.get_server(user, server_name))


@router.put(DEFAULT, dependencies=[_START])
@router.put(DEFAULT_TOO, dependencies=[_START], include_in_schema=False)
@router.put(NAMED, dependencies=[_START])
async def put_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Make a named server without starting it."""
    body = only(await json_object(call.request) or {}, "display_name", "user_options")
    server = await call.parts.create_server(
        await call.parts.get_user(user_name),
        server_name,
        display_name=member(body, "display_name", str) or "",
        options=member(body, "user_options", dict),
    )
    return JSONResponse(call.models.server(server), status_code=201)


@router.post(DEFAULT, dependencies=[_START])
@router.post(DEFAULT_TOO, dependencies=[_START], include_in_schema=False)
@router.post(NAMED, dependencies=[_START])
async def post_server(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """Start it: 201 if it is ready within the configured time, 202 if it still comes up."""
    parts = call.parts
    options, display_name = _start_options(await json_object(call.request))
    user = await parts.get_user(user_name)
    server = await parts.start_server(user, server_name, options=options, display_name=display_name, by=call.principal)
    server = await parts.driver.settled(server.id, parts.settings.servers.slow_start_seconds)
    if server.is_ready:
        return Response(status_code=201, media_type="text/plain")
    if server.is_active:
        return Response(status_code=202, media_type="text/plain")
    raise LaunchFailed(server.failure, log_tail=server.failure_log)


@router.delete(DEFAULT, dependencies=[_STOP])
@router.delete(DEFAULT_TOO, dependencies=[_STOP], include_in_schema=False)
@router.delete(NAMED, dependencies=[_STOP])
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
        return Response(status_code=202, media_type="text/plain")
    if remove:
        await parts.remove_server(user, server_name)
    return Response(status_code=204, media_type="text/plain")


@router.post(f"{DEFAULT}/{KEEP}", dependencies=[_KEEP])
@router.post(f"{NAMED}/{KEEP}", dependencies=[_KEEP])
async def post_keep(call: CallOf, user_name: str, server_name: str = "") -> dict[str, Any]:
    """Give it more time before it is stopped for being idle or old; the answer says how much."""
    user = await call.parts.get_user(user_name)
    return deadline_body(await call.parts.keep_server(user, server_name))


@router.get(f"{DEFAULT}/progress", dependencies=[_READ])
@router.get(f"{DEFAULT_TOO}progress", dependencies=[_READ], include_in_schema=False)
@router.get(f"{NAMED}/progress", dependencies=[_READ])
async def get_progress(call: CallOf, user_name: str, server_name: str = "") -> Response:
    """How a start goes, as events; ends with the one that says how it went."""
    user = await call.parts.get_user(user_name)
    server = await call.parts.get_server(user, server_name)
    if not server.is_active and not server.failure:
        raise Invalid(f"{server.key} is not starting...")
    events = call.parts.driver.progress(server.id)
    return StreamingResponse(
        event_stream(events),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def event_stream(events: AsyncIterator[ProgressEvent], *, keep_alive: float = KEEP_ALIVE) -> AsyncIterator[bytes]:
    """The frames of contract e."""
    yield b"\n\n"
    waiting: asyncio.Queue[ProgressEvent | None] = asyncio.Queue(MAX_WAITING_EVENTS)
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
            yield f"data: {json.dumps(event.to_json())}\n\n".encode()


async def _pass_on(events: AsyncIterator[ProgressEvent], waiting: asyncio.Queue[ProgressEvent | None]) -> None:
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
