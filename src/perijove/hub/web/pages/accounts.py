"""
Local accounts: asking for one, making one from a link, changing its password. Without local accounts
(`About.has_accounts`) these pages do not exist.
"""

from __future__ import annotations

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from perijove.hub.domain.accounts import Invitation, InvitationKind
from perijove.hub.domain.errors import AlreadyExists, HubError, Invalid, TooMany, WeakPassword, WrongCredentials
from perijove.hub.web.access import OPEN_PAGE, SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.arrival import arrive
from perijove.hub.web.pages.frame import Frame, FrameOf
from perijove.hub.web.pages.sign_in import start_list_url
from perijove.hub.web.problems import status_of

#: Where each kind of link is accepted.
ACTION: Final = {InvitationKind.FIRST_ADMIN: "welcome", InvitationKind.USER: "invitation"}
# The key is in the address until the form is posted: no other page may learn it. Not `no-referrer`, which would
# turn the Origin of the form's post into `null`.
_REFERRER_POLICY: Final = {"Referrer-Policy": "strict-origin"}

router = Routes(include_in_schema=False)


@router.get("/signup", access=OPEN_PAGE)
async def get_signup(frame: FrameOf) -> Response:
    """The form with which strangers ask for an account."""
    _require_signup(frame)
    return _signup_form(frame)


@router.post("/signup", access=OPEN_PAGE)
async def post_signup(frame: FrameOf) -> Response:
    """The account waits for approval; whether the name was free is not told."""
    _require_signup(frame)
    form = await frame.form()
    name = form.get("username", "")
    try:
        password = _chosen(form.get("password", ""), form.get("again", ""))
        await frame.parts.sign_up(name=name, password=password, address=frame.address)
    except (Invalid, TooMany) as error:
        return _signup_form(frame, status=status_of(error), error=str(error), name=name)
    return frame.show("sign_up.html", title="Your account waits for approval", sent=True)


@router.get("/welcome", access=OPEN_PAGE)
@router.get("/invitation", access=OPEN_PAGE)
async def get_link(frame: FrameOf, key: str = "") -> Response:
    """What somebody sees who opens a one-time link."""
    return _account_form(frame, await frame.parts.invitations.look(key), key)


@router.post("/welcome", access=OPEN_PAGE)
@router.post("/invitation", access=OPEN_PAGE)
async def post_link(frame: FrameOf) -> Response:
    """Make the account and sign in."""
    form = await frame.form()
    key, name = form.get("key", ""), form.get("username", "")
    invitation = await frame.parts.invitations.look(key)
    try:
        password = _chosen(form.get("password", ""), form.get("again", ""))
        signed_in = await frame.parts.invitations.accept(key, name=name, password=password, **frame.sender())
    except (Invalid, AlreadyExists) as error:
        return _account_form(frame, invitation, key, error=error, name=name)
    return await arrive(frame, signed_in, then="")


@router.get("/password", access=SIGNED_IN)
async def get_password(frame: FrameOf) -> Response:
    """The form."""
    _require_accounts(frame)
    return _password_form(frame)


@router.post("/password", access=SIGNED_IN)
async def post_password(frame: FrameOf) -> Response:
    """Another password; every other session ends."""
    _require_accounts(frame)
    form = await frame.form()
    session = frame.visitor.session if frame.visitor else None
    try:
        await frame.parts.change_password(
            await frame.user(),
            old=form.get("old", ""),
            new=_chosen(form.get("password", ""), form.get("again", "")),
            keep=session.id if session else "",
            address=frame.address,
        )
    except (Invalid, WrongCredentials, TooMany) as error:
        return _password_form(frame, status=status_of(error), error=str(error))
    return _password_form(frame, message="Your password has been changed.")


def _chosen(password: str, again: str) -> str:
    if password != again:
        raise WeakPassword("The two passwords are not the same.")
    return password


def _require_accounts(frame: Frame) -> None:
    if not frame.parts.about.has_accounts:
        raise HTTPException(404)


def _require_signup(frame: Frame) -> None:
    _require_accounts(frame)
    if not frame.parts.settings.sign_in.allow_signup:
        raise HTTPException(404)


def _signup_form(frame: Frame, *, status: int = 200, error: str = "", name: str = "") -> Response:
    return frame.show("sign_up.html", status=status, title="Ask for an account", sent=False, error=error, name=name)


def _password_form(frame: Frame, *, status: int = 200, error: str = "", message: str = "") -> Response:
    return frame.show("password.html", status=status, title="Change your password", error=error, message=message)


def _account_form(
    frame: Frame, invitation: Invitation, key: str, *, error: HubError | None = None, name: str = ""
) -> Response:
    is_first = invitation.kind is InvitationKind.FIRST_ADMIN
    page = frame.show(
        "new_account.html",
        status=status_of(error) if error else 200,
        title="Welcome" if is_first else "You are invited",
        lead="Make the first administrator's account." if is_first else "Choose how you will sign in.",
        submit="Make it and sign in",
        action=frame.hub + ACTION[invitation.kind],
        error=str(error) if error else "",
        key=key,
        name=invitation.name or name,
        name_is_fixed=bool(invitation.name),
        prefetch=start_list_url(frame),
    )
    page.headers.update(_REFERRER_POLICY)
    return page
