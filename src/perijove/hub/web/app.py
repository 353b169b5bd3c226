"""
The web application as one expression: middleware, error handlers, routers.

Called by the hub's composition root with the parts; started by its server. Holds no logic of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from perijove import __version__
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
from perijove.hub.web.quick import ErrorHandler, QuickRoutes, QuickTable
from perijove.hub.web.remote_proxies import BelieveProxies
from perijove.wire.door import DOORSTEP_PATH

#: what programs ask most
_QUICK: Final = (users.list_users, users.get_user, users.post_activity, hub.get_self, hub.get_version)
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


class WebApplication(FastAPI):
    """The framework's application behind what every request passes: that costs less in front of it than inside."""

    def __init__(
        self, parts: Parts, *, exception_handlers: Mapping[type[Exception], ErrorHandler], **kwargs: Any
    ) -> None:
        super().__init__(exception_handlers=dict(exception_handlers.items()), **kwargs)
        prefix = parts.settings.hub_prefix
        self.quick = QuickTable()
        # From the inside out.
        front: ASGIApp = QuickRoutes(super().__call__, table=self.quick, on_errors=exception_handlers)
        front = LimitBody(front, forgotten=(f"{prefix}user/", f"{parts.settings.base_url}user/"))
        front = ETags(front, prefix=f"{prefix}api/")
        front = MeasureRequests(front, metrics=parts.metrics)
        front = BelieveProxies(front, addresses=parts.settings.proxy_addresses)
        files = (f"{prefix}static/", f"{prefix}{LAB_ASSETS}/")
        if parts.origins.are_many:
            front = OnlyAtHome(
                front,
                origins=parts.origins,
                base_url=parts.settings.base_url,
                hub_prefix=prefix,
                everywhere=(*files, f"{prefix}{DOORSTEP_PATH}", f"{prefix}health"),
            )
        self._front: ASGIApp = DefaultHeaders(
            front, hub_prefix=prefix, file_prefixes=files, everybody=parts.origins.everybody
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
    app = WebApplication(
        parts,
        title="perijove",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            HubError: problems.on_hub_error,
            WebError: problems.on_hub_error,
            SignInNeeded: problems.on_sign_in_needed,
            TwinCookies: problems.on_twin_cookies,
            HTTPException: problems.on_http_error,
            RequestValidationError: problems.on_invalid_request,
            ClientDisconnect: problems.on_disconnect,
            Exception: problems.on_surprise,
        },
    )
    app.state.parts = parts
    app.state.edge = Edge.of(parts)
    for part in API:
        part.router.add_to(app, prefix=f"{prefix}api")
    hub.leftover.add_to(app, prefix=f"{prefix}api")
    for router in (door_api.router, hub.metrics_router, lab.router, *_PAGES):
        router.add_to(app, prefix=prefix.rstrip("/"))
    if parts.origins.are_many:
        left_open.router.add_to(app, prefix=parts.settings.base_url.rstrip("/"))
    root.outside.add_to(app)
    app.quick.fill(app.routes, _QUICK)
    return app


async def _warm_up(edge: Edge) -> None:
    for name in edge.templates.names():
        edge.templates.compile(name)
        await asyncio.sleep(0)


async def renew_app(app: WebApplication, parts: Parts) -> None:
    """Answer from the next request on with *parts*; their addresses and metrics are those of before."""
    edge = Edge.of(parts)
    await _warm_up(edge)
    app.state.parts, app.state.edge = parts, edge
