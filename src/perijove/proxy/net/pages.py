"""
Error pages: the hub's, or a plain one if the hub has none to give.
"""

from __future__ import annotations

from urllib.parse import quote

import structlog

from perijove.proxy.core.answers import Answer, phrase, plain_page, refusal
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.targets import Target
from perijove.proxy.net.hub import HubAnswer, HubUnreachable, ask
from perijove.proxy.net.tls import OutgoingTls

log = structlog.get_logger(__name__)


class ErrorPages:
    """Finds what to show for a status (contract section h, `--error-target`)."""

    def __init__(self, *, target: Target | None, timeout: float, tls: OutgoingTls | None = None) -> None:
        """
        Args:
            target: `<target>/<status>?url=<path>` is asked for the page; None: plain pages only.
            timeout: seconds to wait for it.
            tls: for a target that speaks https.
        """
        self._target = target
        self._tls = tls or OutgoingTls()
        self._timeout = timeout

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
        if request.fields.accepts_html:
            return plain_page(status, is_hub=is_hub)
        return refusal(status, phrase(status))

    async def _fetch(self, status: int, request: RequestHead) -> HubAnswer | None:
        if self._target is None:
            return None
        where = f"{self._target.base}/{status}?url={quote(request.target.decode('ascii'), safe='')}"
        accept = {"Accept": "text/html"}
        try:
            return await ask(self._target, where, fields=accept, payload=None, patience=self._timeout, tls=self._tls)
        except HubUnreachable as exc:
            log.info("error_page.missing", status=status, reason=str(exc))
            return None
