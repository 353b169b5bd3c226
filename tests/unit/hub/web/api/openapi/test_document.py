from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from perijove.hub.web.api.openapi.document import described, document
from perijove.hub.web.api.openapi.operations import OPERATIONS, PATH, QUERY
from perijove.hub.web.api.openapi.schemas import SCHEMAS
from perijove.hub.web.app import API

DECLARED = [route for part in API for route in part.router.declared]
DOCUMENT = document(DECLARED, prefix="/hub/api")


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (item for key, item in value.items() if key == "$ref")
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_call_is_described_and_nothing_else() -> None:
    declared = {
        (method, route.path or "/") for route in described(DECLARED) for method in set(route.methods) - {"HEAD"}
    }

    assert declared == set(OPERATIONS)


def test_every_shape_that_is_named_is_there_and_every_one_is_named() -> None:
    named = {name.removeprefix("#/components/schemas/") for name in references(json.loads(json.dumps(DOCUMENT)))}

    assert named == set(SCHEMAS)


def test_no_row_names_a_parameter_that_is_not_explained() -> None:
    assert {name for row in OPERATIONS.values() for name in row.query} == set(QUERY)
    told = {
        parameter["name"]
        for calls in DOCUMENT["paths"].values()
        for call in calls.values()
        for parameter in call["parameters"]
        if parameter["in"] == "path"
    }
    assert told == set(PATH)


def test_names_of_calls_are_not_used_twice() -> None:
    names = [call["operationId"] for calls in DOCUMENT["paths"].values() for call in calls.values()]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("path", "method", "is_open"),
    [("/hub/api/", "get", True), ("/hub/api/user", "get", False), ("/hub/api/users", "post", False)],
)
def test_what_needs_a_token_says_so(path: str, method: str, *, is_open: bool) -> None:
    call = DOCUMENT["paths"][path][method]

    assert ("security" not in call) == is_open
    assert ("403" not in call["responses"]) == is_open
