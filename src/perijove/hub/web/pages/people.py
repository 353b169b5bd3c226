"""
The administrators' page: who is here, who asks to be, and whom to invite.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from perijove.hub.domain.errors import Invalid
from perijove.hub.domain.users import normalise
from perijove.hub.web.access import page_needs
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.views import person_view, time_view
from perijove.hub.web.pages.way_in import addresses

#: People on one page.
PAGE_SIZE: Final = 50
_ADMIN: Final = page_needs("admin:users")

router = Routes(include_in_schema=False)


@router.get("/admin", access=_ADMIN)
async def get_admin(frame: FrameOf) -> Response:
    """Where JupyterHub has this page."""
    return frame.go(f"{frame.hub}people")


@router.get("/people", access=_ADMIN)
async def get_people(frame: FrameOf, offset: int = 0) -> Response:
    """The page."""
    return await _page(frame, offset=max(0, offset))


@router.post("/people/invite", access=_ADMIN)
async def post_invite(frame: FrameOf) -> Response:
    """A link that makes an account; the answer to this form is the only place that has it."""
    form = await frame.form()
    _, code = await frame.parts.invitations.invite(frame.principal, name=form.get("name", ""))
    return await _page(frame, link=f"{frame.origin}{frame.hub}invitation?key={code}")


@router.post("/people/withdraw", access=_ADMIN)
async def post_withdraw(frame: FrameOf) -> Response:
    """Make a link useless."""
    form = await frame.form()
    stated = form.get("id", "")
    if not stated.isdecimal():
        raise Invalid
    await frame.parts.invitations.withdraw(frame.principal, int(stated))
    return _done(frame)


@router.post("/people/approve", access=_ADMIN)
async def post_approve(frame: FrameOf) -> Response:
    """Let somebody in who asked for an account."""
    form = await frame.form()
    await frame.parts.sign_up.approve(frame.principal, form.get("name", ""))
    return _done(frame)


@router.post("/people/refuse", access=_ADMIN)
async def post_refuse(frame: FrameOf) -> Response:
    """Forget somebody who asked for an account."""
    form = await frame.form()
    await frame.parts.sign_up.refuse(frame.principal, form.get("name", ""))
    return _done(frame)


@router.post("/people/admin", access=_ADMIN)
async def post_admin(frame: FrameOf) -> Response:
    """Make somebody an administrator, or an ordinary user again."""
    form = await frame.form()
    name, admin = form.get("name", ""), bool(form.get("admin"))
    if normalise(name) == frame.principal.name and not admin:
        # Whoever demotes others stays: so an administrator is always left, whatever is clicked on this page. The API
        # lets a script do it, as JupyterHub's does.
        raise Invalid("You cannot make yourself an ordinary user here: ask another administrator.")
    await frame.parts.patch_user(name, frame.principal, admin=admin)
    return _done(frame)


@router.post("/people/delete", access=page_needs("delete:users"))
async def post_delete(frame: FrameOf) -> Response:
    """Remove somebody with everything that the hub keeps about them; files stay."""
    form = await frame.form()
    await frame.parts.delete_user(form.get("name", ""), frame.principal)
    return _done(frame)


def _done(frame: Frame) -> Response:
    return frame.go(f"{frame.hub}people")


async def _page(frame: Frame, *, offset: int = 0, link: str = "") -> Response:
    parts = frame.parts
    now = parts.clock.now()
    where = addresses(frame)
    people, total = await parts.list_users(offset=offset, limit=PAGE_SIZE, sort="name")
    waiting = await parts.sign_up.waiting(frame.principal)
    invitations = await parts.invitations.list(frame.principal)
    here = f"{frame.hub}people?offset="
    return frame.show(
        "people.html",
        title="People",
        people=[person_view(known, where, now) for known in people],
        total=total,
        waiting=[{"name": account.name, "created": time_view(account.created, now)} for account in waiting],
        invitations=[
            {"id": row.id, "name": row.name, "expires_at": time_view(row.expires_at, now)} for row in invitations
        ],
        link=link,
        warnings=await parts.spawn_place.warnings(),
        has_accounts=parts.about.has_accounts,
        previous=f"{here}{max(0, offset - PAGE_SIZE)}" if offset else "",
        following=f"{here}{offset + PAGE_SIZE}" if offset + PAGE_SIZE < total else "",
    )
