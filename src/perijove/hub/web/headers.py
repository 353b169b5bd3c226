"""
Headers that every answer carries, whoever made it: a middleware, and the policies it writes.

An answer that sets one of these itself keeps its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The version of JupyterHub whose contract the hub keeps; servers compare their major version with it.
JUPYTERHUB_VERSION: Final = "6.1.1"

#: The one page below the API's prefix: JupyterHub has it there (contract b). Below the hub's prefix.
OAUTH_PAGE: Final = "api/oauth2/authorize"
#: below the hub's prefix, where browsers report what the content policy of a page kept out
CSP_REPORT: Final = "security/csp-report"

_EVERYWHERE: Final = {"X-JupyterHub-Version": JUPYTERHUB_VERSION, "X-Content-Type-Options": "nosniff"}
#: Scripts, styles and fonts. No content policy: a worker would take its script's for its own. Shown in a frame or
#: a window, a file would be a document at the hub's address, in the hands of whoever opened it.
FILE_HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    _EVERYWHERE
    | {
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
)


def page_headers(hub_prefix: str, everybody: str = "") -> Mapping[str, str]:
    """
    Of pages; browsers report what the policy keeps out (contract i).

    Args:
        hub_prefix: prefix of the hub.
        everybody: the origins of all servers, where those are others: the answers to forms lead there.
    """
    forms = f"'self' {everybody}" if everybody else "'self'"
    return _EVERYWHERE | {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"form-action {forms}; frame-ancestors 'none'; base-uri 'none'; report-uri {_report_to(hub_prefix)}"
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def api_headers(hub_prefix: str) -> Mapping[str, str]:
    """Of the API's answers (contract d)."""
    return _EVERYWHERE | {
        "Access-Control-Allow-Headers": "accept, content-type, authorization",
        "Content-Security-Policy": (f"frame-ancestors 'none'; report-uri {_report_to(hub_prefix)}; default-src 'none'"),
        # An answer that a script opens in a window of its own must be out of its reach.
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def _report_to(hub_prefix: str) -> str:
    return f"{hub_prefix}{CSP_REPORT}"


_Field: TypeAlias = tuple[bytes, bytes]


def _fields(headers: Mapping[str, str]) -> Sequence[_Field]:
    """As they are sent; names in lower case, as every answer's are."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _replaced(ours: Mapping[str, str], configured: Mapping[str, str]) -> Sequence[_Field]:
    return list((dict(_fields(ours)) | dict(_fields(configured))).items())


_FILE_FIELDS: Final = _fields(FILE_HEADERS)


class DefaultHeaders:
    """Adds the headers of API answers, of files and, everywhere else, of pages."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hub_prefix: str,
        file_prefixes: tuple[str, ...],
        everybody: str = "",
        configured: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            app: what makes the answers.
            hub_prefix: prefix of the hub.
            file_prefixes: prefixes of scripts, styles and fonts.
            everybody: the origins of all servers, where those are others.
            configured: an administrator's, which replace ours of the same name on pages and in the API; checked by
                `config/tornado.py`.
        """
        self._app = app
        self._api_prefix = f"{hub_prefix}api"
        self._oauth_page = f"{hub_prefix}{OAUTH_PAGE}"
        self._page_fields = _replaced(page_headers(hub_prefix, everybody), configured)
        self._api_fields = _replaced(api_headers(hub_prefix), configured)
        self._file_prefixes = file_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on, and the answer back with its headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        defaults = self._defaults(scope["path"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = {name for name, _ in headers}
                message["headers"] = [*headers, *(field for field in defaults if field[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _defaults(self, path: str) -> Sequence[_Field]:
        if path.startswith(self._api_prefix) and path != self._oauth_page:
            return self._api_fields
        return _FILE_FIELDS if path.startswith(self._file_prefixes) else self._page_fields
