"""
Who may call which route. Every route of the hub is declared with one `Access`; a handler runs only after its
access has decided.

    LEFT_OPEN                    scripts of a page of a server that has stopped, at that server's own origin
    PUBLIC                       anybody: health, static files, the error page
    CONTROL                      the proxy, which knows the control token
    SCRAPE                       Prometheus
    CALLER, needs(...)           REST API: any identified caller; one who holds any of some scopes
    ONESELF                      whoever asks who they are
    REPORTER                     a browser in which somebody is signed in, reporting by itself
    OPEN_PAGE                    pages for people who are not signed in
    SIGNED_IN, page_needs(...)   pages for people who are; who hold any of some scopes

An identified visitor is left in `request.state.visitor` for the handler.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, cast

from starlette.requests import Request

from perijove.hub.scopes.decision import (
    Allowed,
    AnyResource,
    GroupResource,
    Reach,
    Resource,
    ServerResource,
    ServiceResource,
    UserResource,
    may_any,
    reach,
)
from perijove.hub.web import csrf, fetch_metadata
from perijove.hub.web.edge import Edge, edge_of
from perijove.hub.web.errors import (
    BadXsrf,
    HiddenResource,
    MissingCredentials,
    MissingScopes,
    Nobody,
    SignInNeeded,
    WebError,
)
from perijove.hub.web.forms import read_form
from perijove.hub.web.handlers import Given
from perijove.hub.web.identify import Visitor, by_cookie, by_token, has_authorization
from perijove.wire.identity import IDENTITY_COOKIE

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Access(ABC):
    """Decides before the handler runs."""

    @abstractmethod
    async def decide(self, request: Request) -> None:
        """Let the request through, or raise a `WebError`."""


class Public(Access):
    """Everybody may call this, from wherever."""

    async def decide(self, request: Request) -> None:
        """Yes."""


class Control(Access):
    """Only who knows the control token: the proxy (wire/door.py)."""

    async def decide(self, request: Request) -> None:
        """Compare in constant time. A hub without a control token has no proxy, so nobody may ask."""
        token = edge_of(request).parts.settings.control_token
        wanted = f"token {token}"
        given = request.headers.get("authorization", "")
        if not token or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise MissingCredentials


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller(Access):
    """The REST API: a token, or the cookie of a page of ours; then the scopes."""

    #: any one of them suffices; none stated: being somebody does
    scopes: tuple[str, ...] = ()
    on: Callable[[Request], Resource]
    #: lists: a filtered scope that reaches any of these is enough, and the handler cuts the list
    partly: Callable[[Reach], bool] | None = None
    #: what an unknown caller is told
    unknown: type[WebError] = MissingCredentials
    #: how else somebody may say who they are who comes with neither token nor cookie
    otherwise: Callable[[Request], Awaitable[Visitor | None]] | None = None

    async def decide(self, request: Request) -> None:
        """Identify, then judge."""
        edge = edge_of(request)
        visitor = await by_token(request, edge) if has_authorization(request) else await self._by_cookie(request, edge)
        if visitor is None and self.otherwise is not None and not has_authorization(request):
            visitor = await self.otherwise(request)
        if visitor is None:
            raise self.unknown
        _judge(visitor, self.scopes, self.on(request), partly=self.partly)
        request.state.visitor = visitor

    async def _by_cookie(self, request: Request, edge: Edge) -> Visitor | None:
        visitor = await by_cookie(request, edge)
        if visitor is None or visitor.session is None:
            return None
        if request.method not in _READS:
            fetch_metadata.check_change(request.headers)
            # contract d: a form of another site can send anything but JSON
            if not _may_be_json(request):
                return None
        elif not fetch_metadata.reads_by_script(request.headers):
            return visitor
        given = _xsrf_of_call(request)
        if not given:
            raise BadXsrf(f"'_xsrf' argument missing from {request.method}")
        try:
            edge.csrf.check(csrf.of_session(visitor.session.id), given)
        except BadXsrf as exc:
            raise BadXsrf(f"XSRF cookie does not match {request.method} argument") from exc
        return visitor


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPage(Access):
    """A page for everybody. Forms carry a token; nothing but a navigation gets to see it."""

    async def decide(self, request: Request) -> None:
        """Identify if possible, check the form."""
        edge = edge_of(request)
        visitor = await by_cookie(request, edge)
        request.state.visitor = visitor
        await _check_page(request, edge, visitor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Access):
    """A page for people who are signed in and hold any of some scopes."""

    scopes: tuple[str, ...] = ()
    on: Callable[[Request], Resource]

    async def decide(self, request: Request) -> None:
        """Identify, check the form, judge."""
        edge = edge_of(request)
        visitor = await by_cookie(request, edge)
        if visitor is None:
            raise SignInNeeded
        request.state.visitor = visitor
        await _check_page(request, edge, visitor)
        _judge(visitor, self.scopes, self.on(request))


class Scrape(Access):
    """Metrics: whoever may read them, or everybody if the administrator says so."""

    async def decide(self, request: Request) -> None:
        """As configured."""
        if edge_of(request).parts.settings.authenticate_prometheus:
            await Caller(scopes=("read:metrics",), on=deployment).decide(request)


class Reporter(Access):
    """
    A browser that reports what it kept out of a page: it sends its cookie, but no token of a form. Nothing is changed
    by it.
    """

    async def decide(self, request: Request) -> None:
        """Identify."""
        visitor = await by_cookie(request, edge_of(request))
        if visitor is None:
            raise MissingCredentials
        request.state.visitor = visitor


class UserServerPage(Access):
    """
    What the proxy sends here because a server has no route. Asked for by browsers and by programs alike, so
    both kinds of credentials count, and it is the handler that knows which answer each kind needs.
    """

    async def decide(self, request: Request) -> None:
        """Identify if possible."""
        edge = edge_of(request)
        token = has_authorization(request)
        request.state.visitor = await by_token(request, edge) if token else await by_cookie(request, edge)


class LeftOpen(Access):
    """
    A page of a server that has stopped, at an origin where no cookie of the hub is: its visitor is known by what the
    door let them in with. Only for requests of that very origin.
    """

    async def decide(self, request: Request) -> None:
        """Identify if possible."""
        edge = edge_of(request)
        request.state.visitor = None
        if request.headers.get("sec-fetch-site") != "same-origin":
            return
        owner, first = request.path_params["user_name"], request.path_params["rest"].partition("/")[0]
        principal = await edge.parts.doorstep.left_open(
            request.cookies.get(IDENTITY_COOKIE, ""),
            (f"{owner}/{first}", f"{owner}/"),
            host=request.headers.get("host", ""),
            cookie=edge.cookies.browser_cookie(request),
            verifier=edge.cookies.browser(request),
        )
        request.state.visitor = None if principal is None else Visitor(principal=principal)


def deployment(_request: Request) -> Resource:
    """The decision is about no particular thing."""
    return AnyResource()


def the_user(request: Request) -> Resource:
    """The decision is about the user in the path."""
    return UserResource(request.path_params["user_name"])


def the_server(request: Request) -> Resource:
    """The decision is about the server in the path; without a name it is the default server."""
    return ServerResource(request.path_params["user_name"], request.path_params.get("server_name", ""))


def the_group(request: Request) -> Resource:
    """The decision is about the group in the path."""
    return GroupResource(request.path_params["group_name"])


def the_service(request: Request) -> Resource:
    """The decision is about the service in the path."""
    return ServiceResource(request.path_params["service_name"])


def reaches_users(extent: Reach) -> bool:
    """Whether a list of users has a place for anybody; the members of a group count, even while it has none."""
    return bool(extent.users or extent.groups)


def reaches_groups(extent: Reach) -> bool:
    """Whether a list of groups has a place for any."""
    return bool(extent.groups)


def reaches_services(extent: Reach) -> bool:
    """Whether a list of services has a place for any."""
    return bool(extent.services)


def needs(
    *scopes: str,
    on: Callable[[Request], Resource] = deployment,
    partly: Callable[[Reach], bool] | None = None,
    otherwise: Callable[[Request], Awaitable[Visitor | None]] | None = None,
) -> Caller:
    """The caller of the API must hold any one of *scopes* for what *on* finds in the request."""
    return Caller(scopes=scopes, on=on, partly=partly, otherwise=otherwise)


def page_needs(*scopes: str, on: Callable[[Request], Resource] = deployment) -> Page:
    """The visitor of the page must hold any one of *scopes* for what *on* finds in the request."""
    return Page(scopes=scopes, on=on)


PUBLIC: Final = Public()
CONTROL: Final = Control()
CALLER: Final = needs()
ONESELF: Final = Caller(on=deployment, unknown=Nobody)
REPORTER: Final = Reporter()
SCRAPE: Final = Scrape()
OPEN_PAGE: Final = OpenPage()
SIGNED_IN: Final = page_needs()
LEFT_OPEN: Final = LeftOpen()
USER_SERVER_PAGE: Final = UserServerPage()


def visitor_of(request: Request) -> Visitor:
    """Who was let through."""
    return cast("Visitor", request.state.visitor)


VisitorOf = Annotated[Visitor, Given(visitor_of)]


def _judge(
    visitor: Visitor,
    scopes: tuple[str, ...],
    resource: Resource,
    *,
    partly: Callable[[Reach], bool] | None = None,
) -> None:
    if not scopes:
        return
    if partly is not None and any(partly(reach(visitor.principal, scope)) for scope in scopes):
        return
    decision = may_any(visitor.principal, scopes, resource)
    if isinstance(decision, Allowed):
        return
    if decision.hidden:
        raise HiddenResource
    raise MissingScopes(scopes)


async def _check_page(request: Request, edge: Edge, visitor: Visitor | None) -> None:
    if request.method in _READS:
        fetch_metadata.check_page(request.headers)
        return
    fetch_metadata.check_change(request.headers)
    session = visitor.session if visitor else None
    binding = csrf.of_session(session.id) if session else csrf.of_visitor(edge.cookies.visitor(request))
    edge.csrf.check(binding, (await read_form(request)).get(csrf.FIELD, ""))


def _may_be_json(request: Request) -> bool:
    stated = request.headers.get("content-type", "application/json")
    return stated.partition(";")[0].strip().lower() == "application/json"


def _xsrf_of_call(request: Request) -> str:
    by_header = (request.headers.get(name, "") for name in csrf.HEADERS)
    return next(filter(None, by_header), "") or request.query_params.get(csrf.FIELD, "")
