"""
The tools of the web edge itself, made once from the parts: cookies, CSRF tokens, templates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self, cast

from starlette.requests import HTTPConnection

from perijove.hub.web.csp_reports import CspReports
from perijove.hub.web.csrf import Csrf
from perijove.hub.web.handlers import Given
from perijove.hub.web.parts import Parts
from perijove.hub.web.sessions import Cookies
from perijove.hub.web.static_files import StaticFiles
from perijove.hub.web.templates import Templates


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The parts, and what turns requests into calls of them and answers into pages."""

    parts: Parts
    csrf: Csrf
    cookies: Cookies
    static: StaticFiles
    templates: Templates
    csp_reports: CspReports

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """Make the tools that fit *parts*."""
        settings = parts.settings
        static = StaticFiles(hub_prefix=settings.hub_prefix)
        return cls(
            parts=parts,
            csrf=Csrf(secret=parts.cookie_secret),
            cookies=Cookies(
                base_url=settings.base_url,
                hub_prefix=settings.hub_prefix,
                session_days=settings.sign_in.session_days,
                always_tls=settings.public_url.startswith("https://"),
            ),
            static=static,
            templates=Templates(hub_prefix=settings.hub_prefix, static=static),
            csp_reports=CspReports(clock=parts.clock),
        )


def edge_of(request: HTTPConnection) -> Edge:
    """The tools of the application that answers *request*."""
    return cast("Edge", request.app.state.edge)


EdgeOf = Annotated[Edge, Given(edge_of)]
