"""
The authorization endpoint: a page that a redirect from a server or a service leads to (contract b, 2).

It is below the API's prefix, but a page in every other respect: top-level navigations only, a form with its token,
errors for people to read. Errors for the client are redirects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from perijove.hub.oauth.authorize import origin_of_redirect, refused_url
from perijove.hub.oauth.consent import in_words
from perijove.hub.oauth.errors import AuthorizationRefused, ErrorCode
from perijove.hub.oauth.parameters import Parameters
from perijove.hub.oauth.scopes import required_scopes
from perijove.hub.usecases.oauth_authorize import Asked
from perijove.hub.web.access import SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.forms import read_every_field
from perijove.hub.web.headers import page_headers
from perijove.hub.web.pages.frame import Frame, FrameOf

router = Routes(prefix="/oauth2")

_POLICY: Final = "Content-Security-Policy"
_FORM_ACTION: Final = "form-action 'self'"
#: form field that refuses, and the one that agrees to a scope
DENY, SCOPES = "deny", "scopes"


@router.get("/authorize", access=SIGNED_IN)
async def get_authorize(frame: FrameOf) -> Response:
    """The client's answer at once, or the page that asks the person."""
    try:
        asked = await frame.parts.oauth.authorize.ask(frame.principal, _query(frame.request))
        if asked.needs_consent:
            return _consent_page(frame, asked)
        return frame.go(await frame.parts.oauth.authorize.agree(frame.principal, asked))
    except AuthorizationRefused as refusal:
        return frame.go(refused_url(refusal))


@router.post("/authorize", access=SIGNED_IN)
async def post_authorize(frame: FrameOf) -> Response:
    """The person has decided. What is asked is judged anew: things may have changed since the page was made."""
    fields = await read_every_field(frame.request)
    try:
        asked = await frame.parts.oauth.authorize.ask(frame.principal, _query(frame.request))
        if DENY in fields:
            raise asked.request.refused(ErrorCode.ACCESS_DENIED, "The person does not agree.")
        return frame.go(await frame.parts.oauth.authorize.agree(frame.principal, asked, _chosen(fields)))
    except AuthorizationRefused as refusal:
        return frame.go(refused_url(refusal))


def _query(request: Request) -> Parameters:
    parameters: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        parameters.setdefault(name, []).append(value)
    return parameters


def _chosen(fields: Parameters) -> Sequence[str]:
    return [scope for scope in fields.get(SCOPES, ()) if scope]


def _consent_page(frame: Frame, asked: Asked) -> Response:
    client, user = asked.client, frame.principal.name
    always, custom = frozenset(required_scopes(client)), frame.parts.roles.custom.definitions
    response = frame.show(
        "consent.html",
        title="Allow access?",
        client=client,
        origin=origin_of_redirect(client.redirect_uri),
        always=in_words([scope for scope in asked.scopes if scope in always], user, custom),
        more=in_words([scope for scope in asked.scopes if scope not in always], user, custom),
        action=f"{frame.request.url.path}?{frame.request.url.query}",
    )
    origin = origin_of_redirect(client.redirect_uri)
    if origin:
        # Browsers hold the redirect that answers a form to the form's policy, too.
        policy = page_headers(frame.hub, frame.parts.origins.everybody)[_POLICY]
        response.headers[_POLICY] = policy.replace(_FORM_ACTION, f"{_FORM_ACTION} {origin}")
    return response
