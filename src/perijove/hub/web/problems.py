"""
Every error, as an answer: one table from what went wrong to a status. The API answers JSON (contract d),
everything else a page. Nobody else in the hub turns errors into answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from perijove.hub.domain import errors as domain
from perijove.hub.web import errors as web
from perijove.hub.web.edge import edge_of
from perijove.hub.web.headers import OAUTH_PAGE, api_headers, page_headers
from perijove.hub.web.pages.frame import frame_of

log = structlog.get_logger(__name__)

#: The first class of an error's ancestry that stands here decides.
STATUS: Final[Mapping[type[Exception], int]] = MappingProxyType(
    {
        domain.NotFound: 404,
        domain.Refused: 403,
        # contract d13: these two are 400 there, not 409
        domain.AlreadyRunning: 400,
        domain.IllegalTransition: 400,
        # contract d42
        domain.FixedByConfiguration: 405,
        domain.Conflict: 409,
        domain.Invalid: 400,
        domain.TooMany: 429,
        domain.LaunchFailed: 500,
        domain.Unavailable: 503,
        domain.HubError: 500,
        web.SignInNeeded: 403,
        web.MissingCredentials: 403,
        web.MissingScopes: 403,
        web.HiddenResource: 404,
        web.ForeignRequest: 403,
        web.BadXsrf: 403,
        web.TwinCookies: 403,
        web.BadBody: 400,
        web.BadParameter: 400,
    }
)
#: Headlines of error pages.
TITLES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "That request was not understood",
        403: "You may not see this",
        404: "There is nothing here",
        405: "That cannot be done here",
        413: "That is too long",
        424: "The server is not running",
        429: "Too much at once",
        500: "Something went wrong",
        502: "The server gave no proper answer",
        503: "Back in a moment",
        504: "The server took too long",
    }
)
#: What to do about it, where the error itself does not say.
ADVICE: Final[Mapping[int, str]] = MappingProxyType(
    {
        403: "Your account is not allowed to do this. If it should be, ask an administrator.",
        404: "The address may be wrong, or it is something that you may not see.",
        500: "It has been logged. Trying again may help.",
        503: "This part is starting or being restarted. The page tries again by itself.",
    }
)
#: Seconds after which the page of a 503 tries again.
RETRY_SECONDS: Final = 3


def status_of(error: Exception) -> int:
    """The status that *error* comes to."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


async def on_hub_error(request: Request, error: Exception) -> Response:
    """A use case or the web edge refuses."""
    retry_after = getattr(error, "retry_after", RETRY_SECONDS if isinstance(error, domain.Unavailable) else None)
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    # Which scope is missing helps those who write programs; people get the advice.
    for_programs_alone = isinstance(error, web.MissingScopes) and not _is_api(request)
    says_nothing = for_programs_alone or isinstance(error, web.Nobody)
    return answer(request, status_of(error), None if says_nothing else str(error), headers=headers)


async def on_sign_in_needed(request: Request, error: Exception) -> Response:
    """A navigation is sent to the sign-in page, anything else is refused (contract i)."""
    if request.method not in {"GET", "HEAD"}:
        return answer(request, 403, str(error))
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    hub = edge_of(request).parts.settings.hub_prefix
    return RedirectResponse(f"{hub}login?next={quote(wanted, safe='')}", status_code=302)


async def on_twin_cookies(request: Request, error: Exception) -> Response:
    """Neither of them is believed, and both are removed, so that signing in again helps."""
    log.warning("cookies.twins", path=request.url.path)
    response = answer(request, status_of(error), str(error))
    edge_of(request).cookies.drop_twins(request, response)
    return response


async def on_http_error(request: Request, error: Exception) -> Response:
    """The router found nothing, or a handler said so in HTTP's own words."""
    if not isinstance(error, HTTPException):
        raise error
    stated = error.detail if error.detail != HTTPStatus(error.status_code).phrase else None
    return answer(request, error.status_code, stated, headers=error.headers or {})


async def on_disconnect(_request: Request, _error: Exception) -> Response:
    """The client went away, or was cut off because it sent too much: nobody reads this, and nothing is wrong here."""
    return Response(status_code=400)


async def on_surprise(request: Request, error: Exception) -> Response:
    """Nobody expected this: the process goes on, the log has it, the visitor learns no details."""
    log.error("request.failed", method=request.method, path=request.url.path, exc_info=error)
    # This handler answers outside of the middleware, which would add these.
    hub = edge_of(request).parts.settings.hub_prefix
    headers = api_headers(hub) if _is_api(request) else page_headers(hub)
    return answer(request, 500, "Internal Server Error" if _is_api(request) else None, headers=headers)


def answer(request: Request, status: int, message: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """JSON for the API, a page for people."""
    if _is_api(request):
        return JSONResponse({"status": status, "message": message}, status_code=status, headers=dict(headers or {}))
    return error_page(request, status, message, headers=headers)


def error_page(
    request: Request,
    code: int,
    message: str | None = None,
    *,
    again: str = "",
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The page about *code*; its own status is another one only for the proxy (contract i, `/hub/error`)."""
    page = frame_of(request).show_to_anybody(
        "error.html",
        status=code if status is None else status,
        title=TITLES.get(code, "That did not work"),
        message=message or ADVICE.get(code, ""),
        code=code,
        again=again,
        retry=RETRY_SECONDS if code == HTTPStatus.SERVICE_UNAVAILABLE else 0,
    )
    page.headers.update(headers or {})
    return page


def _is_api(request: Request) -> bool:
    hub = edge_of(request).parts.settings.hub_prefix
    return request.url.path.startswith(f"{hub}api") and request.url.path != f"{hub}{OAUTH_PAGE}"
