"""
The way into a server: start it if need be, wait a little, open the door, and send the browser there.

A stopped server is started by visiting it. That changes something by GET, on purpose: a start is so cheap that
it need not be visible, a second visit changes nothing more, and links into one's own server (from a course
page, from mail) must work. Only top-level navigations get here, and only for somebody who may start it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response

from perijove.hub.domain.errors import AlreadyRunning, InvalidRequest, NoSuchServer, NotAllowed
from perijove.hub.domain.principals import Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.users import User
from perijove.hub.scopes.decision import ServerResource, may
from perijove.hub.scopes.rights import ENTER
from perijove.hub.web.pages.frame import Frame
from perijove.hub.web.pages.views import Addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A server, and the address in it that the visitor wants."""

    owner: User
    server: str
    #: path below the server's prefix; "" is its default page
    then: str = ""

    @property
    def key(self) -> str:
        """Its audience."""
        return f"{self.owner.name}/{self.server}"


def addresses(frame: Frame) -> Addresses:
    """Where servers' pages are in this deployment."""
    settings = frame.parts.settings
    # Where people choose what to start, only the server knows what its first page is: its root leads there.
    default_url = "" if frame.parts.start_options.has_form else settings.servers.default_url
    return Addresses(base_url=settings.base_url, hub=settings.hub_prefix, default_url=default_url)


def may_enter(principal: Principal, owner: str, server: str) -> bool:
    """Whether *principal* may look into that server."""
    return bool(may(principal, ENTER, ServerResource(owner, server)))


def may_start(principal: Principal, owner: str, server: str) -> bool:
    """Whether *principal* may start it."""
    return bool(may(principal, "start:servers", ServerResource(owner, server)))


async def find(frame: Frame, owner: User, name: str) -> Server | None:
    """The server's row, if it was ever made."""
    try:
        return await frame.parts.get_server(owner, name)
    except NoSuchServer:
        return None


def below(frame: Frame, destination: Destination) -> str:
    """The wanted address, if it is one of that server; else the server's default page."""
    prefix = server_url(frame.parts.settings.base_url, destination.owner.name, destination.server)
    if destination.then.startswith(prefix):
        return destination.then
    return addresses(frame).home_of(destination.owner.name, destination.server)


async def go_in(
    frame: Frame, destination: Destination, *, patience: float, principal: Principal | None = None
) -> Response:
    """
    Send the browser into the server, or to the page that shows how it comes up.

    Args:
        frame: the request.
        destination: where to.
        patience: seconds to wait for a start; who waits longer gets to see something.
        principal: who goes in, if this very request signs them in.

    Raises:
        NotAllowed: the visitor may not enter it, or it is stopped and they may not start it.
    """
    visitor = principal or frame.principal
    if not may_enter(visitor, destination.owner.name, destination.server):
        raise NotAllowed
    if await must_be_asked(frame, destination):
        page = addresses(frame).page("spawn", destination.owner.name, destination.server)
        return frame.go(f"{page}?next={quote(below(frame, destination), safe='')}")
    server = await running(frame, destination, visitor, patience)
    if not server.is_ready:
        return _go_and_watch(frame, destination)
    return await let_in(frame, frame.go(below(frame, destination)), visitor, server)


async def let_in(frame: Frame, response: Response, visitor: Principal, server: Server) -> Response:
    """*response*, with the key to the door of *server* for *visitor*."""
    if server.does_own_sign_in:
        # It asks who comes by OAuth; there is no door, and a key for none would be in the wrong hands.
        return response
    entry = await frame.parts.door.enter(visitor, server.key)
    frame.let_in(response, value=entry.cookie_value, path=entry.path, max_age=entry.max_age)
    return response


async def must_be_asked(frame: Frame, destination: Destination) -> bool:
    """Whether a start would ask what nobody has answered yet; later visits start with the options of the last time."""
    if not frame.parts.start_options.has_form:
        return False
    server = await find(frame, destination.owner, destination.server)
    return server is None or (not server.is_active and not server.user_options)


async def running(frame: Frame, destination: Destination, visitor: Principal, patience: float) -> Server:
    """The server's row after *patience* at most; READY if all is well."""
    server = await find(frame, destination.owner, destination.server)
    if server is not None and server.is_ready:
        return server
    if server is None or not server.is_active:
        if not may_start(visitor, destination.owner.name, destination.server):
            raise NotAllowed("This server is not running, and you may not start it.")
        server = await _start(frame, destination, visitor)
    return server if server.is_ready else await frame.parts.driver.settled(server.id, patience)


async def _start(frame: Frame, destination: Destination, visitor: Principal) -> Server:
    try:
        return await frame.parts.start_server(destination.owner, destination.server, by=visitor)
    except (AlreadyRunning, InvalidRequest):
        # Somebody else started or stopped it since we looked.
        server = await find(frame, destination.owner, destination.server)
        if server is None or not server.is_active:
            raise
        return server


def _go_and_watch(frame: Frame, destination: Destination) -> Response:
    page = addresses(frame).page("spawn-pending", destination.owner.name, destination.server)
    return frame.go(f"{page}?next={quote(below(frame, destination), safe='')}")
