"""
JSON bodies, read the way JupyterHub's clients send them: whatever the Content-Type says, and often not at all.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from starlette.requests import Request

from perijove.hub.domain.errors import Invalid
from perijove.hub.web.errors import BadBody

Value = TypeVar("Value")


async def json_object(request: Request) -> dict[str, Any] | None:
    """
    The body as an object; None if there is none.

    Raises:
        BadBody: it is not JSON, or not an object.
    """
    raw = await request.body()
    if not raw.strip():
        return None
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise BadBody from exc
    if body is None:
        return None
    if not isinstance(body, dict):
        raise BadBody("Body must be a JSON object")
    return body


def only(body: dict[str, Any], *known: str) -> dict[str, Any]:
    """
    *body*, if it has no member besides *known*.

    Raises:
        Invalid: it has.
    """
    unknown = sorted(body.keys() - set(known))
    if unknown:
        raise Invalid(f"Unknown key: {', '.join(unknown)}; known are {', '.join(known)}")
    return body


def member(body: dict[str, Any], name: str, kind: type[Value]) -> Value | None:
    """
    The member *name*; None if it is missing or null.

    Raises:
        Invalid: it has another type.
    """
    value = body.get(name)
    # bool is a subclass of int, but true is no number of seconds
    if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise Invalid(f"{name} must be {kind.__name__}, not {type(value).__name__}")


def texts(body: dict[str, Any], name: str) -> list[str] | None:
    """
    A list of strings; None if it is missing or null.

    Raises:
        Invalid: it is something else.
    """
    items = member(body, name, list)
    if items is not None and not all(isinstance(item, str) for item in items):
        raise Invalid(f"{name} must be a list of strings")
    return items
