"""
Lists in pages (contract d): opted into by media type; without it a bare list of at most a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

from starlette.requests import Request

from perijove.hub.domain.errors import Invalid
from perijove.hub.web.client_address import is_tls

MEDIA_TYPE: Final = "application/jupyterhub-pagination+json"
#: More than any list has; keeps the number within what databases take.
MAX_OFFSET: Final = 2**31


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of a list is asked for, and in which form."""

    offset: int
    limit: int
    in_pages: bool

    @classmethod
    def of(cls, request: Request, *, default_limit: int, max_limit: int) -> Self:
        """
        Read the query.

        Raises:
            Invalid: offset or limit is no number.
        """
        accepted = request.headers.get("accept", "").split(",")
        in_pages = MEDIA_TYPE in {part.partition(";")[0].strip() for part in accepted}
        offset = _number(request, "offset", 0)
        limit = _number(request, "limit", default_limit if in_pages else max_limit)
        return cls(offset=min(offset, MAX_OFFSET), limit=max(1, min(limit, max_limit)), in_pages=in_pages)

    def wrap(self, items: Sequence[Any], total: int, request: Request) -> Any:
        """The list as it was asked for."""
        if not self.in_pages:
            return list(items)
        page = {"offset": self.offset, "limit": self.limit, "total": total, "next": self._next(total, request)}
        return {"items": list(items), "_pagination": page}

    def _next(self, total: int, request: Request) -> dict[str, Any] | None:
        offset = self.offset + self.limit
        if offset >= total:
            return None
        kept = [(key, value) for key, value in request.query_params.multi_items() if key not in {"offset", "limit"}]
        query = urlencode([*kept, ("offset", offset), ("limit", self.limit)])
        scheme = "https" if is_tls(request) else "http"
        host = request.headers.get("host", "")
        return {"offset": offset, "limit": self.limit, "url": f"{scheme}://{host}{request.url.path}?{query}"}


def _number(request: Request, name: str, default: int) -> int:
    stated = request.query_params.get(name)
    if stated is None:
        return default
    try:
        return abs(int(stated))
    except ValueError:
        raise Invalid(f"{name} must be an integer, not {stated[:40]!r}") from None
