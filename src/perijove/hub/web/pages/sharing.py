"""
Sharing one's servers: who has access, more or fewer of them, links that give it; and taking what others share.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perijove.hub.domain.errors import HubError, Invalid, NoSuchServer, NoSuchShareCode, NoSuchUser
from perijove.hub.scopes.decision import Resource, ServerResource, UserResource
from perijove.hub.usecases.share_codes import OwnServer
from perijove.hub.usecases.shares import Recipient
from perijove.hub.web.access import SIGNED_IN, page_needs, the_server, visitor_of
from perijove.hub.web.api.shares import ACCEPT, accept_path
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.sharing_views import knows_people, levels, link_views, may_do, share_views, title_of
from perijove.hub.web.pages.way_in import addresses
from perijove.hub.web.problems import status_of

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
#: seconds and words
LIFETIMES: Final = ((_HOUR, "an hour"), (_DAY, "a day"), (30 * _DAY, "30 days"), (365 * _DAY, "a year"))


def _oneself(request: Request) -> Resource:
    """The decision is about the visitor."""
    return UserResource(visitor_of(request).principal.name)


_SHARE: Final = page_needs("shares", on=the_server)
_LEAVE: Final = page_needs("users:shares", on=_oneself)

router = Routes(include_in_schema=False)


@router.get("/sharing/{user_name}", access=_SHARE)
@router.get("/sharing/{user_name}/{server_name}", access=_SHARE)
async def get_sharing(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Who has access to a server."""
    return await _page(frame, user_name, server_name)


@router.post("/sharing/{user_name}", access=_SHARE)
@router.post("/sharing/{user_name}/{server_name}", access=_SHARE)
async def post_sharing(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Give somebody exactly as much as the form says."""
    form = await frame.form()
    name, kind = form.get("name", "").strip(), form.get("kind", "user")
    try:
        if not name:
            raise Invalid("Say with whom to share.")
        to = Recipient(group=name) if kind == "group" else Recipient(user=name)
        await frame.parts.shares.set_to(frame.principal, user_name, server_name, to, [form.get("scope", "")])
    except HubError as error:
        return await _page(frame, user_name, server_name, error=error)
    return _back(frame, user_name, server_name)


@router.post("/unshare/{user_name}", access=_SHARE)
@router.post("/unshare/{user_name}/{server_name}", access=_SHARE)
async def post_unshare(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Take everything back from somebody."""
    form = await frame.form()
    to = Recipient(user=form.get("user", ""), group=form.get("group", ""))
    await frame.parts.shares.revoke(frame.principal, user_name, server_name, to)
    return _back(frame, user_name, server_name)


@router.post("/share-link/{user_name}", access=_SHARE)
@router.post("/share-link/{user_name}/{server_name}", access=_SHARE)
async def post_link(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Make a link, and show it this once: the answer to this form is the only place that has it."""
    form = await frame.form()
    seconds = form.get("seconds", "")
    try:
        if not seconds.isdecimal() or len(seconds) > len(str(LIFETIMES[-1][0])):
            raise Invalid("Say how long the link is good for.")
        _, code = await frame.parts.share_codes.create(
            frame.principal, user_name, server_name, scopes=[form.get("scope", "")], seconds=int(seconds)
        )
    except HubError as error:
        return await _page(frame, user_name, server_name, error=error)
    return await _page(frame, user_name, server_name, link=f"{frame.origin}{accept_path(frame.hub, code)}")


@router.post("/unshare-link/{user_name}", access=_SHARE)
@router.post("/unshare-link/{user_name}/{server_name}", access=_SHARE)
async def post_unlink(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Take a link back; who has taken it keeps the share."""
    form = await frame.form()
    codes = frame.parts.share_codes
    await codes.revoke(frame.principal, user_name, server_name, public_id=form.get("id", "") or "none")
    return _back(frame, user_name, server_name)


@router.post("/leave-share", access=_LEAVE)
async def post_leave(frame: FrameOf) -> Response:
    """Give back what somebody else shares."""
    form = await frame.form()
    oneself = Recipient(user=frame.principal.name)
    await frame.parts.shares.leave(frame.principal, oneself, form.get("owner", ""), form.get("server", ""))
    return frame.go(f"{frame.hub}home")


@router.get(f"/{ACCEPT}", access=SIGNED_IN)
async def get_accept(frame: FrameOf, code: str = "") -> Response:
    """What a code gives, and a button that takes it."""
    offer = await frame.parts.share_codes.look_at(code, await frame.user())
    return frame.show(
        "accept_share.html",
        title="A server is shared with you",
        server=title_of(offer.server.user_name, offer.server.name),
        owner=offer.server.user_name,
        may=may_do(offer.code.scopes),
        code=code,
        accept_url=f"{frame.hub}{ACCEPT}",
        next=frame.next(),
    )


@router.post(f"/{ACCEPT}", access=SIGNED_IN)
async def post_accept(frame: FrameOf, code: str = "") -> Response:
    """Take it, and go there, if there is something to go to."""
    form = await frame.form()
    try:
        granted = await frame.parts.share_codes.take(
            form.get("code", "") or code, await frame.user(), by=frame.principal
        )
    except (NoSuchShareCode, OwnServer) as error:
        # contract i: whoever posts a code had a page that said whether it is good
        raise Invalid(error.message) from error
    server = granted.server
    there = addresses(frame).entrance(server.user_name, server.name) if server.is_ready else f"{frame.hub}home"
    return frame.go(frame.next(form.get("next", "")) or frame.next() or there)


def _back(frame: Frame, owner: str, server_name: str) -> Response:
    return frame.go(addresses(frame).page("sharing", owner, server_name))


async def _page(
    frame: Frame, owner: str, server_name: str, *, error: HubError | None = None, link: str = ""
) -> Response:
    parts, where = frame.parts, addresses(frame)
    now = parts.clock.now()
    try:
        granted = await parts.shares.of_server(owner, server_name)
        offers = await parts.share_codes.of_server(owner, server_name)
    except NoSuchUser:
        raise NoSuchServer from None
    return frame.show(
        "sharing.html",
        status=status_of(error) if error else 200,
        title="Sharing",
        error=str(error) if error else "",
        link=link,
        server="your server" if not server_name else f"your server {server_name}",
        is_own=owner == frame.principal.name,
        whose=title_of(owner, server_name),
        shares=share_views(granted, now),
        links=link_views(offers, now),
        levels=levels(frame.principal, ServerResource(owner, server_name)),
        lifetimes=LIFETIMES,
        knows_people=knows_people(frame.principal),
        share_url=where.page("sharing", owner, server_name),
        unshare_url=where.page("unshare", owner, server_name),
        link_url=where.page("share-link", owner, server_name),
        unlink_url=where.page("unshare-link", owner, server_name),
    )
