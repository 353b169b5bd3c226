"""
The API's description to browse: the document that programs get, as a page that needs nothing from anywhere else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from perijove.hub.web.access import SIGNED_IN
from perijove.hub.web.declared import Routes
from perijove.hub.web.pages.frame import FrameOf

router = Routes(include_in_schema=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One call."""

    method: str
    path: str
    summary: str
    needs: str
    #: name and what it says
    parameters: tuple[tuple[str, str], ...]
    #: name of the shape of its body
    takes: str
    #: status, its phrase, and the name of a shape or a media type
    answers: tuple[tuple[str, str, str], ...]


@router.get("/rest-api", access=SIGNED_IN)
async def get_reference(frame: FrameOf) -> Response:
    """The page."""
    described = frame.request.app.described
    groups: dict[str, list[CallView]] = {}
    for tag, call in _calls(described):
        groups.setdefault(tag, []).append(call)
    return frame.show(
        "reference.html",
        title="REST API",
        groups=groups,
        shapes=_shapes(json.dumps(described["components"]["schemas"])),
    )


def _calls(described: Mapping[str, Any]) -> Iterator[tuple[str, CallView]]:
    for path, calls in described["paths"].items():
        for method, said in calls.items():
            body = said.get("requestBody", {}).get("content", {})
            yield (
                said["tags"][0],
                CallView(
                    method=method.upper(),
                    path=path,
                    summary=said["summary"],
                    needs=said.get("description", ""),
                    parameters=tuple((item["name"], item["description"]) for item in said["parameters"]),
                    takes=_shape_of(body),
                    answers=tuple(
                        (status, answer["description"], _shape_of(answer.get("content", {})))
                        for status, answer in said["responses"].items()
                    ),
                ),
            )


def _shape_of(content: Mapping[str, Any]) -> str:
    """The name of a shape, or the media type of what has none; empty: there is no body."""
    if "application/json" in content:
        return str(content["application/json"]["schema"]["$ref"]).rpartition("/")[2]
    return next(iter(content), "")


@lru_cache(maxsize=1)
def _shapes(schemas: str) -> Mapping[str, str]:
    return {name: json.dumps(schema, indent=2) for name, schema in json.loads(schemas).items()}
