"""
Answers that the proxy gives itself: refusals, redirects, error pages.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

#: Added to an answer after which the connection is closed (RFC 9112 section 9.6).
CLOSE: Final = b"Connection: close\r\n"
#: What the server behind the proxy must have said for the client's handshake to be complete.
#: Seconds after which a page about a hub that is down looks again.
RETRY_SECONDS: Final = 2

_EXPLANATIONS: Final[dict[int, str]] = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.BAD_GATEWAY: "The server behind this address gave an answer that makes no sense.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server behind this address is not running, or still starting.",
    HTTPStatus.GATEWAY_TIMEOUT: "The server behind this address took too long to answer.",
}
_HUB_DOWN: Final = "The hub is restarting. Running notebooks are not affected; this page looks again by itself."
_HUB_DOWN_TITLE: Final = "Back in a moment"
#: The colours of the hub's own pages, which this page stands in for.
_STYLE: Final = (
    ":root{color-scheme:light dark;--paper:#f7f6f3;--ink:#1f2229;--quiet:#5d6370}"
    "@media(prefers-color-scheme:dark){:root{--paper:#14161b;--ink:#e9e7e2;--quiet:#a3a8b4}}"
    "body{font:1rem/1.55 system-ui,sans-serif;background:var(--paper);color:var(--ink);text-align:center;"
    "max-width:27rem;margin:clamp(1.5rem,9vh,6rem) auto;padding:0 1.25rem}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 .25rem}p{color:var(--quiet);margin:0 0 1.25rem}"
)
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}<title>{title}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><style>{style}</style></head>'
    "<body><main><h1>{heading}</h1><p>{text}</p><p>{status}</p></main></body></html>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer."""

    status: int
    body: bytes = b""
    content_type: str = ""
    #: further field lines, each with its CRLF
    fields: bytes = b""

    def render(self, *, close: bool, head_only: bool) -> bytes:
        """Its bytes; *head_only* for HEAD."""
        kind = f"Content-Type: {self.content_type}\r\n".encode("ascii") if self.content_type else b""
        return b"HTTP/1.1 %d %b\r\nContent-Length: %d\r\nCache-Control: no-store\r\n%b%b%b\r\n%b" % (
            self.status,
            phrase(self.status).encode("ascii"),
            len(self.body),
            kind,
            self.fields,
            CLOSE if close else b"",
            b"" if head_only else self.body,
        )


def phrase(status: int) -> str:
    """The reason phrase of *status*."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def refusal(status: int, message: str) -> Answer:
    """An answer for programs: JSON, as Jupyter Server's API gives it."""
    body = json.dumps({"status": status, "message": message}).encode()
    return Answer(status=status, body=body, content_type="application/json")


def redirect(location: str) -> Answer:
    """Send the browser to *location*, which is ASCII without controls."""
    return Answer(status=HTTPStatus.FOUND, fields=f"Location: {location}\r\n".encode("ascii"))


def plain_page(status: int, *, is_hub: bool) -> Answer:
    """The error page when the hub has none: self-contained; it looks again by itself if the hub is down."""
    retries = is_hub and status == HTTPStatus.SERVICE_UNAVAILABLE
    title = html.escape(f"{status} {phrase(status)}")
    text = _HUB_DOWN if retries else _EXPLANATIONS.get(status, "This did not work.")
    refresh = f'<meta http-equiv="refresh" content="{RETRY_SECONDS}">' if retries else ""
    heading = _HUB_DOWN_TITLE if retries else phrase(status)
    page = _PAGE.format(
        refresh=refresh, title=title, style=_STYLE, heading=html.escape(heading), text=html.escape(text), status=status
    )
    fields = f"Retry-After: {RETRY_SECONDS}\r\n".encode() if retries else b""
    return Answer(status=status, body=page.encode(), content_type="text/html; charset=utf-8", fields=fields)
