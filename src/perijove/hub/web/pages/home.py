"""
The home page: one's servers and the buttons on them, and what others share.
"""

from __future__ import annotations

from contextlib import suppress

from starlette.responses import Response

from perijove.hub.domain.errors import HubError, InvalidRequest, StaleGeneration
from perijove.hub.domain.users import User
from perijove.hub.scopes.decision import ServerResource, may
from perijove.hub.web.access import SIGNED_IN, page_needs, the_server
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.sharing_views import SharingView, shared_views, who_has
from perijove.hub.web.pages.views import server_view, visit_views
from perijove.hub.web.pages.way_in import addresses
from perijove.hub.web.problems import status_of

router = Routes(include_in_schema=False)


@router.get("/home", access=SIGNED_IN)
async def get_home(frame: FrameOf) -> Response:
    """The page."""
    return await _home(frame)


@router.post("/home", access=SIGNED_IN)
async def post_home(frame: FrameOf) -> Response:
    """Another named server of one's own: made and started by the page that shows how it comes up."""
    form = await frame.form()
    name = form.get("server_name", "").strip()
    try:
        await frame.parts.create_server(await frame.user(), name)
    except HubError as error:
        return await _home(frame, error=error)
    return frame.go(addresses(frame).page("spawn", frame.principal.name, name))


@router.post("/stop/{user_name}", access=page_needs("delete:servers", on=the_server))
@router.post("/stop/{user_name}/{server_name}", access=page_needs("delete:servers", on=the_server))
async def post_stop(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Stop a server, and wait a little so that the page that follows tells the truth."""
    patience = frame.parts.settings.servers.slow_stop_seconds
    owner = await _owner(frame, user_name)
    await frame.parts.stop_server.and_wait(owner, server_name, timeout=patience, by=frame.principal)
    return await _back(frame)


@router.post("/remove/{user_name}/{server_name}", access=page_needs("delete:servers", on=the_server))
async def post_remove(frame: FrameOf, user_name: str, server_name: str) -> Response:
    """Forget a stopped named server; its files stay."""
    await frame.parts.remove_server(await _owner(frame, user_name), server_name)
    return await _back(frame)


@router.post("/rename/{user_name}/{server_name}", access=page_needs("start:servers", on=the_server))
async def post_rename(frame: FrameOf, user_name: str, server_name: str) -> Response:
    """Another name for a stopped named server, in its address or only to be shown."""
    form = await frame.form()
    name, shown = (form.get(field, "").strip() for field in ("server_name", "display_name"))
    try:
        await frame.parts.change_server(
            await _owner(frame, user_name),
            server_name,
            new_name=name if name not in {"", server_name} else None,
            display_name=shown or None,
        )
    except HubError as error:
        if user_name != frame.principal.name:
            raise
        return await _home(frame, error=error)
    return await _back(frame)


@router.post("/keep/{user_name}", access=page_needs("start:servers", on=the_server))
@router.post("/keep/{user_name}/{server_name}", access=page_needs("start:servers", on=the_server))
async def post_keep(frame: FrameOf, user_name: str, server_name: str = "") -> Response:
    """Give a server more time before it is stopped."""
    owner = await _owner(frame, user_name)
    # Too late, perhaps: the page says that it was stopped, and why.
    with suppress(InvalidRequest, StaleGeneration):
        await frame.parts.keep_server(owner, server_name)
    return await _back(frame)


def _may_share(frame: Frame, owner: str, server: str) -> bool:
    return bool(may(frame.principal, "shares", ServerResource(owner, server)))


async def _owner(frame: Frame, user_name: str) -> User:
    return await frame.parts.get_user(user_name)


async def _back(frame: Frame) -> Response:
    form = await frame.form()
    return frame.go(frame.next(form.get("next", "")) or f"{frame.hub}home")


async def _home(frame: Frame, *, error: HubError | None = None) -> Response:
    parts = frame.parts
    now = parts.clock.now()
    known = await parts.get_user.known(frame.principal.name)
    rows = {row.name: row for row in known.servers}
    deadlines = await parts.deadlines.of(known.servers)
    ends = {row.name: deadlines.get(row.id) for row in known.servers}
    where = addresses(frame)
    name = known.user.name
    shares = await parts.shares.of_owner(name)
    return frame.show(
        "home.html",
        status=status_of(error) if error else 200,
        title="Home",
        error=str(error) if error else "",
        server=server_view(rows.pop("", None), name, "", where, now, ends.get("")),
        visits=visit_views(await parts.audit.visits(known.user), now),
        named_allowed=parts.settings.servers.allow_named_servers,
        sharing={
            server: SharingView(
                url=where.page("sharing", name, server) if _may_share(frame, name, server) else "",
                who=who_has(item.share for item in shares if item.server.name == server),
            )
            for server in {"", *rows}
        },
        shared=shared_views(await parts.shares.with_user(name), where, now),
        named=[server_view(row, name, row.name, where, now, ends[row.name]) for row in rows.values()],
    )
