"""
Who asks, as the browser tells it in Sec-Fetch-* (W3C Fetch Metadata), which no script can forge.

Script of a user's server runs on the hub's own origin. It must not be able to read a page of the hub
(there are tokens in it) nor to change anything there. Browsers too old to send these headers, and
programs that are no browsers, are let through: cookies are SameSite and changes need a token besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from perijove.hub.web.errors import ForeignRequest


def check_page(headers: Mapping[str, str]) -> None:
    """
    Pages answer top-level navigations only: not `fetch`, not a frame, not a script tag.

    Raises:
        ForeignRequest: it is something else.
    """
    mode = headers.get("sec-fetch-mode", "navigate")
    destination = headers.get("sec-fetch-dest", "document")
    if mode != "navigate" or destination != "document":
        raise ForeignRequest


def check_change(headers: Mapping[str, str]) -> None:
    """
    What changes something comes from this very origin, or from the browser's own chrome.

    Raises:
        ForeignRequest: another site asks, or a sibling domain.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        if site not in {"same-origin", "none"}:
            raise ForeignRequest
        return
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise ForeignRequest


def is_own_navigation(headers: Mapping[str, str]) -> bool:
    """Whether the browser says that this is a top-level navigation from this origin or typed by the user."""
    is_navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return is_navigation and headers.get("sec-fetch-site") in {"same-origin", "none"}


def reads_by_script(headers: Mapping[str, str]) -> bool:
    """Whether a cookie-carrying GET on the API comes from a script and so must carry a token (contract d)."""
    is_navigation = headers.get("sec-fetch-mode", "navigate") == "navigate"
    # A frame, an <object>: whatever a script put there, it can look into.
    return not (is_navigation and headers.get("sec-fetch-dest", "document") == "document")
