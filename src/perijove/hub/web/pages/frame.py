"""
A request for a page, with what all pages share: who asks, the token for its forms, rendering, redirects.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from perijove.config.urls import origin_of
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.urls import service_url
from perijove.hub.domain.users import User
from perijove.hub.scopes.decision import AnyResource, ServiceResource, may
from perijove.hub.usecases.sign_in import SignedIn
from perijove.hub.web import csrf
from perijove.hub.web.client_address import address_of, is_tls
from perijove.hub.web.edge import Edge, edge_of
from perijove.hub.web.errors import SignInNeeded
from perijove.hub.web.forms import read_form
from perijove.hub.web.handlers import Given
from perijove.hub.web.identify import Visitor
from perijove.hub.web.next_url import safe_next
from perijove.hub.web.parts import Parts
from perijove.wire.identity import IDENTITY_COOKIE


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One entry of the navigation."""

    text: str
    url: str
    current: bool


class Frame:
    """Made anew for each request."""

    def __init__(self, *, request: Request, edge: Edge, visitor: Visitor | None) -> None:
        self.request = request
        self.edge = edge
        self.visitor = visitor

    @property
    def parts(self) -> Parts:
        """The use cases."""
        return self.edge.parts

    @property
    def hub(self) -> str:
        """The hub's prefix."""
        return self.parts.settings.hub_prefix

    @property
    def host(self) -> str:
        """As the browser calls it."""
        return self.request.headers.get("host", "")

    @property
    def origin(self) -> str:
        """Scheme and host, for links that leave the browser."""
        scheme = "https" if is_tls(self.request) else "http"
        return origin_of(self.parts.settings.public_url) or f"{scheme}://{self.host}"

    @property
    def address(self) -> str:
        """Where the browser is."""
        return address_of(self.request, self.parts.settings.trusted_forwarders)

    @property
    def principal(self) -> Principal:
        """Who asks; the route's access has made sure that there is somebody."""
        if self.visitor is None:
            raise SignInNeeded
        return self.visitor.principal

    async def user(self) -> User:
        """The user who asks."""
        return await self.parts.get_user(self.principal.name)

    async def form(self) -> Mapping[str, str]:
        """The fields of the posted form."""
        return await read_form(self.request)

    def next(self, text: str | None = None) -> str:
        """Where to go next, if the address (or *text*) says so and it is a path here; else ""."""
        wanted = self.request.query_params.get("next", "") if text is None else text
        return safe_next(wanted, host=self.host)

    def sender(self) -> dict[str, str]:
        """The browser, as sessions remember it."""
        return {"address": self.address, "user_agent": self.request.headers.get("user-agent", "")}

    def show(self, template: str, /, *, status: int = 200, **context: Any) -> HTMLResponse:
        """The page made of *template*, with the token for its forms and the cookies that it needs."""
        token = self.edge.csrf.token(self._binding)
        body = self.edge.templates.render(
            template,
            principal=self.visitor.principal if self.visitor else None,
            navigation=self._navigation() if self.visitor else (),
            services=self._services() if self.visitor else (),
            xsrf=token,
            xsrf_field=Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, token),
            **context,
        )
        response = HTMLResponse(body, status_code=status)
        self.edge.cookies.put_xsrf(self.request, response, token)
        if self._new_visitor:
            self.edge.cookies.put_visitor(self.request, response, self._new_visitor)
        return response

    def show_to_anybody(self, template: str, /, *, status: int, **context: Any) -> HTMLResponse:
        """
        The page made of *template* without name, token and cookie: for errors. Refusals are among them, and
        what was refused to a script must not be in the refusal.
        """
        return HTMLResponse(self.edge.templates.render(template, principal=None, **context), status_code=status)

    def go(self, url: str) -> RedirectResponse:
        """To a path on this host; after a form was posted, by GET."""
        return RedirectResponse(url, status_code=302)

    def go_sign_in(self, then: str) -> RedirectResponse:
        """To the sign-in page and from there to *then*."""
        return self.go(f"{self.hub}login?next={quote(then, safe='')}")

    def sign_in(self, response: Response, signed_in: SignedIn) -> None:
        """Let the browser remember the new session."""
        self.edge.cookies.put_session(self.request, response, signed_in.session, signed_in.secret)
        token = self.edge.csrf.token(csrf.of_session(signed_in.session.id))
        self.edge.cookies.put_xsrf(self.request, response, token)

    def let_in(self, response: Response, *, value: str, path: str, max_age: int) -> None:
        """Give the browser the identity token of one server, which the proxy's door asks for."""
        response.set_cookie(
            IDENTITY_COOKIE,
            value,
            max_age=max_age,
            path=path,
            secure=self.edge.cookies.is_secure(self.request),
            httponly=True,
            samesite="lax",
        )

    @cached_property
    def _new_visitor(self) -> str:
        is_known = self.visitor is not None or self.edge.cookies.visitor(self.request)
        return "" if is_known else self.parts.randomness.token(18)

    @property
    def _binding(self) -> str:
        session = self.visitor.session if self.visitor else None
        if session is not None:
            return csrf.of_session(session.id)
        return csrf.of_visitor(self._new_visitor or self.edge.cookies.visitor(self.request))

    def _navigation(self) -> list[Link]:
        pages = [("Home", "home"), ("Tokens", "token"), ("Sessions", "sessions")]
        if self.parts.about.has_accounts:
            pages.append(("Password", "password"))
        if may(self.principal, "admin:users", AnyResource()):
            pages.append(("People", "people"))
        here = self.request.url.path
        return [Link(text=text, url=f"{self.hub}{name}", current=here == f"{self.hub}{name}") for text, name in pages]

    def _services(self) -> list[Link]:
        """Services that the visitor may enter (contract g, `display`)."""
        base_url = self.parts.settings.base_url
        return [
            Link(text=service.name, url=service_url(base_url, service.name), current=False)
            for service in self.parts.services.remembered
            if service.url and service.display and may(self.principal, "access:services", ServiceResource(service.name))
        ]


def frame_of(request: Request) -> Frame:
    """The frame of *request*; its access has left the visitor."""
    return Frame(request=request, edge=edge_of(request), visitor=getattr(request.state, "visitor", None))


FrameOf = Annotated[Frame, Given(frame_of)]
