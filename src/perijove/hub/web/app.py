"""
The web application as one expression: middleware, error handlers, routers.

Called by the hub's composition root with the parts; started by its server. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from perijove.hub.domain.errors import HubError
from perijove.hub.web import door_api, problems
from perijove.hub.web.api import (
    audit,
    authorizations,
    groups,
    hub,
    servers,
    services,
    sessions,
    shares,
    tokens,
    users,
)
from perijove.hub.web.api.openapi.document import document
from perijove.hub.web.dispatch import Dispatch
from perijove.hub.web.edge import Edge
from perijove.hub.web.elsewhere import OnlyAtHome
from perijove.hub.web.errors import SignInNeeded, TwinCookies, WebError
from perijove.hub.web.etags import ETags
from perijove.hub.web.headers import DefaultHeaders
from perijove.hub.web.lab import routes as lab
from perijove.hub.web.lab.assets import LAB_ASSETS
from perijove.hub.web.limits import LimitBody
from perijove.hub.web.metrics import MeasureRequests
from perijove.hub.web.oauth import authorize as oauth_authorize
from perijove.hub.web.oauth import token as oauth_token
from perijove.hub.web.pages import (
    accounts,
    doorstep,
    home,
    left_open,
    people,
    reference,
    root,
    sharing,
    sign_in,
    spawn,
    user_server,
)
from perijove.hub.web.pages import sessions as sessions_page
from perijove.hub.web.pages import tokens as tokens_page
from perijove.hub.web.parts import Parts
from perijove.hub.web.remote_proxies import BelieveProxies
from perijove.hub.web.table import RouteTable
from perijove.wire.door import DOORSTEP_PATH

#: the files of the API, in the order of its description
API: Final = (
    users,
    groups,
    servers,
    services,
    tokens,
    shares,
    oauth_authorize,
    oauth_token,
    sessions,
    audit,
    authorizations,
    hub,
)
_PAGES: Final = tuple(
    page.router
    for page in (
        root,
        sign_in,
        accounts,
        home,
        sharing,
        spawn,
        tokens_page,
        sessions_page,
        people,
        reference,
        doorstep,
        user_server,
    )
)
#: what becomes an answer; everything else is a surprise
_ON_ERRORS: Final[Mapping[Any, Any]] = {
    HubError: problems.on_hub_error,
    WebError: problems.on_hub_error,
    SignInNeeded: problems.on_sign_in_needed,
    TwinCookies: problems.on_twin_cookies,
    HTTPException: problems.on_http_error,
    ClientDisconnect: problems.on_disconnect,
}


@dataclass(slots=True)
class Current:
    """What requests are answered with; a reload puts others in their place."""

    parts: Parts
    edge: Edge


class WebApplication:
    """What the server calls: routes, and around them what every request passes."""

    def __init__(self, parts: Parts, routes: RouteTable) -> None:
        self.state = Current(parts=parts, edge=Edge.of(parts))
        self.routes = routes
        prefix = parts.settings.hub_prefix
        # From the inside out.
        app: ASGIApp = Dispatch(routes)
        app = ExceptionMiddleware(app, _ON_ERRORS)
        app = ServerErrorMiddleware(app, problems.on_surprise)
        app = LimitBody(app, forgotten=(f"{prefix}user/", f"{parts.settings.base_url}user/"))
        app = ETags(app, prefix=f"{prefix}api/")
        app = MeasureRequests(app, metrics=parts.metrics)
        app = BelieveProxies(app, addresses=parts.settings.proxy_addresses)
        files = (f"{prefix}static/", f"{prefix}{LAB_ASSETS}/")
        if parts.origins.are_many:
            app = OnlyAtHome(
                app,
                origins=parts.origins,
                base_url=parts.settings.base_url,
                hub_prefix=prefix,
                everywhere=(*files, f"{prefix}{DOORSTEP_PATH}", f"{prefix}health"),
            )
        self._front: ASGIApp = DefaultHeaders(
            app,
            hub_prefix=prefix,
            file_prefixes=files,
            everybody=parts.origins.everybody,
            configured=parts.settings.headers,
        )

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """The API's own description."""
        declared = [route for part in API for route in part.router.declared]
        return document(declared, prefix=f"{self.state.parts.settings.hub_prefix}api")

    async def warm_up(self) -> None:
        """Make ready, step by step, what would be made when it is first asked for. Requests are answered meanwhile."""
        await _warm_up(self.state.edge)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        scope["app"] = self
        await self._front(scope, receive, send)


def make_app(parts: Parts) -> WebApplication:
    """The hub's web application over *parts*."""
    prefix = parts.settings.hub_prefix
    table = RouteTable()
    for part in API:
        part.router.add_to(table, prefix=f"{prefix}api")
    hub.leftover.add_to(table, prefix=f"{prefix}api")
    for router in (door_api.router, hub.metrics_router, lab.router, *_PAGES):
        router.add_to(table, prefix=prefix.rstrip("/"))
    of_servers = left_open.router if parts.origins.are_many else root.changes
    of_servers.add_to(table, prefix=parts.settings.base_url.rstrip("/"))
    root.outside.add_to(table)
    return WebApplication(parts, table)


async def _warm_up(edge: Edge) -> None:
    # On a thread: one of them takes some ten milliseconds, and loading their compiler several times that.
    await asyncio.to_thread(_compile, edge)


def _compile(edge: Edge) -> None:
    for name in edge.templates.names():
        edge.templates.compile(name)


async def renew_app(app: WebApplication, parts: Parts) -> None:
    """Answer from the next request on with *parts*; their addresses and metrics are those of before."""
    edge = Edge.of(parts)
    await _warm_up(edge)
    app.state = Current(parts=parts, edge=edge)
