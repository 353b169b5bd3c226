"""
Error pages: the hub's, or a plain one if the hub has none to give.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

import structlog

from perijove.proxy.core.answers import Answer, phrase, plain_page, refusal
from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.net.hub import HubAnswer, HubClient, HubUnreachable

#: Bytes of a page that is read from a file.
MAX_PAGE: Final = 1024 * 1024
#: The name of the page for statuses that have none of their own.
_ANY: Final = "error"

log = structlog.get_logger(__name__)


class ErrorPages:
    """Finds what to show for a status (contract section h, `--error-target`)."""

    def __init__(
        self,
        *,
        ask: HubClient | None,
        files: Mapping[str, bytes] | None = None,
    ) -> None:
        """
        Args:
            ask: who has the page, at `/<status>?url=<path>`; None: nobody.
            files: pages of an administrator by status, `error` for all others.
        """
        #: may be replaced at any time
        self.files = files or {}
        self._ask = ask

    async def find(self, status: int, request: RequestHead, *, is_hub: bool) -> Answer:
        """
        The answer to *request*.

        Args:
            status: what went wrong.
            request: what was asked.
            is_hub: whether it was the hub that did not answer.
        """
        page = await self._fetch(status, request)
        if page is not None and page.body:
            encoding = f"Content-Encoding: {page.content_encoding}\r\n" if page.content_encoding else ""
            return Answer(
                status=status,
                body=page.body,
                content_type=page.content_type or "text/html",
                fields=encoding.encode("latin-1"),
            )
        file = self.files.get(str(status)) or self.files.get(_ANY)
        if file is not None:
            return Answer(status=status, body=file, content_type="text/html")
        if request.fields.accepts_html:
            return plain_page(status, is_hub=is_hub)
        return refusal(status, phrase(status))

    async def _fetch(self, status: int, request: RequestHead) -> HubAnswer | None:
        if self._ask is None:
            return None
        where = f"{status}?url={quote(request.target.decode('ascii'), safe='')}"
        try:
            return await self._ask.ask(where, fields={"Accept": "text/html"}, payload=None)
        except HubUnreachable as exc:
            # At debug level: there is one a request while the hub is away, which is told elsewhere.
            log.debug("error_page.missing", status=int(status), reason=str(exc))
            return None


def read_pages(folder: Path) -> dict[str, bytes]:
    """
    The error pages in *folder*: `404.html`, `503.html`, …, and `error.html` for all others.

    Raises:
        UnusableSettings: it cannot be read, or a page is too large.
    """
    pages = {}
    try:
        for path in sorted(folder.glob("*.html")):
            if path.stem == _ANY or path.stem.isdecimal():
                pages[path.stem] = path.read_bytes()
    except OSError as exc:
        raise UnusableSettings(f"{exc.filename}: {exc.strerror}") from exc
    large = [name for name, page in pages.items() if len(page) > MAX_PAGE]
    if large:
        raise UnusableSettings(f"{folder}/{large[0]}.html is larger than {MAX_PAGE} bytes.")
    return pages
