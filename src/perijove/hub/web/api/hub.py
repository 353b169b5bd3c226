"""
About the hub itself: version, whoami, the proxy's table, shutting down, health, metrics.
"""

from __future__ import annotations

import sys
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perijove import __version__
from perijove.hub.domain.errors import Invalid
from perijove.hub.domain.lifecycle import State
from perijove.hub.web.access import ONESELF, PUBLIC, SCRAPE, needs
from perijove.hub.web.answers import QuickJson
from perijove.hub.web.api.bodies import json_object, only
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.declared import Routes
from perijove.hub.web.headers import JUPYTERHUB_VERSION
from perijove.hub.web.parts import PartsOf

router = Routes()
#: also below the hub's prefix, outside `/api`
metrics_router = Routes(include_in_schema=False)
#: every address below `/api` that none of the API's files has declared: to be added after them
leftover = Routes(include_in_schema=False)

_OTHERS: Final = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@router.get("", access=PUBLIC)
@router.get("/", access=PUBLIC)
async def get_version() -> Response:
    """The version of JupyterHub whose contract this is, and our own."""
    body = {"version": JUPYTERHUB_VERSION, "perijove": __version__}
    return JSONResponse(body, headers={"Access-Control-Allow-Origin": "*"})


@router.get("/openapi.json", access=PUBLIC, include_in_schema=False)
async def get_openapi(request: Request) -> dict[str, Any]:
    """What can be called."""
    described: dict[str, Any] = request.app.described
    return described


@router.get("/info", access=needs("read:hub"))
async def get_info(parts: PartsOf) -> dict[str, Any]:
    """What this hub is made of."""
    about = parts.about
    return {
        "version": JUPYTERHUB_VERSION,
        "perijove": __version__,
        "python": sys.version,
        "sys_executable": sys.executable,
        "spawner": {"class": about.spawner_class, "version": about.spawner_version},
        "authenticator": {"class": about.authenticator_class, "version": about.authenticator_version},
    }


@router.get("/identity-keys", access=PUBLIC)
async def get_identity_keys(parts: PartsOf) -> Response:
    """The public keys of identity tokens (RFC 7517), for services that perijove guards."""
    return JSONResponse({"keys": [dict(key) for key in parts.door.public_keys]})


@router.get("/user", access=ONESELF)
async def get_self(call: CallOf) -> Response:
    """Who the caller is, and what they may."""
    user = call.principal.user
    known = await call.parts.get_user.known_of(user, call.principal.groups) if user is not None else None
    return QuickJson(call.models.identity(known))


@router.get("/proxy", access=needs("proxy"))
async def get_proxy(call: CallOf) -> Any:
    """The proxy's table, as it is now."""
    table = await call.parts.proxies.routes()
    window = call.window
    named = [(path if path.endswith("/") else f"{path}/", body) for path, body in sorted(table.items())]
    page = named[window.offset : window.offset + window.limit]
    routes = {
        spec: {
            "routespec": spec,
            "target": body.get("target"),
            "data": {key: value for key, value in body.items() if key != "target"},
        }
        for spec, body in page
    }
    return {**window.wrap([], len(named), call.request), "items": routes} if window.in_pages else routes


@router.post("/proxy", access=needs("proxy"))
async def post_proxy(call: CallOf) -> Response:
    """Make the proxy's table right, now."""
    await call.parts.proxies.once()
    return Response()


@router.post("/shutdown", access=needs("shutdown"))
async def post_shutdown(call: CallOf) -> Response:
    """End the hub; the proxy and the servers as the body says, or as configured."""
    body = only(await json_object(call.request) or {}, "proxy", "servers")
    for name, value in body.items():
        if not isinstance(value, bool):
            raise Invalid(f"{name} must be true or false, got {value!r}")
    call.parts.shut_down(body.get("servers"), body.get("proxy"))
    return JSONResponse({"message": "Shutting down Hub"}, status_code=202)


@router.post("/reload", access=needs("shutdown"))
async def post_reload(call: CallOf) -> dict[str, list[str]]:
    """Read the configuration again, in all hubs: what has changed and counts now, and what needs a restart."""
    reading = await call.parts.reload(call.principal)
    return {"changed": list(reading.changed), "needs_restart": list(reading.needs_restart)}


@router.api_route("/health", methods=["GET", "HEAD"], access=PUBLIC)
async def get_health() -> Response:
    """Whether this process answers; asks nobody else."""
    return Response(media_type="text/html")


@router.get("/metrics", access=SCRAPE)
@metrics_router.get("/metrics", access=SCRAPE)
async def get_metrics(parts: PartsOf) -> Response:
    """For Prometheus."""
    async with parts.store.reading() as unit:
        _, users = await unit.users.page(offset=0, limit=1)
        ready = await unit.servers.count_in([State.READY])
    parts.metrics.total_users.set(users)
    parts.metrics.running_servers.set(ready)
    return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


@leftover.api_route("", methods=_OTHERS, access=PUBLIC)
@leftover.api_route("/{rest:path}", methods=("GET", *_OTHERS), access=PUBLIC)
async def get_leftover(request: Request, parts: PartsOf) -> Response:
    """What no route answers: nothing is there, or another method is; browsers may ask before they ask."""
    if request.method == "OPTIONS":
        return Response()
    api = f"{parts.settings.hub_prefix}api"
    allowed = {
        method
        for place in request.app.routes.places(request.scope["path"])
        for method, route in place.items()
        if route.path.startswith(api) and route.endpoint is not get_leftover
    }
    if not allowed:
        raise HTTPException(404)
    raise HTTPException(405, headers={"Allow": ", ".join(sorted({*allowed, "OPTIONS"}))})
