"""
JSON answers, written by a compiled serializer.
"""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import JSONResponse


class QuickJson(JSONResponse):
    """The same as `JSONResponse`, in a fifth of the time: pages of users are some ten kilobytes."""

    def render(self, content: Any) -> bytes:
        """*content* as JSON."""
        try:
            return orjson.dumps(content)
        except orjson.JSONEncodeError:
            # Numbers beyond 64 bits, which options of a start may hold: rare, and known to the other one.
            return super().render(content)
