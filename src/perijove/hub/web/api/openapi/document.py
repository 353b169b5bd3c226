"""
The document, from the declared routes, the rows about them and the shapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from perijove import __version__
from perijove.hub.scopes.catalog import CATALOG
from perijove.hub.web.access import Caller, Page, Public
from perijove.hub.web.api.openapi.operations import COMMON, EMPTY, OPERATIONS, PATH, QUERY, Operation
from perijove.hub.web.api.openapi.schemas import SCHEMAS, ref
from perijove.hub.web.declared import Declared
from perijove.hub.web.sessions import SIGN_IN_COOKIE

_PLAIN: Final = "text/plain"
_IN_PATH: Final = re.compile(r"{(\w+)}")


def document(routes: Iterable[Declared], *, prefix: str) -> Mapping[str, Any]:
    """
    The description of *routes*, which are found below *prefix*.

    Raises:
        KeyError: a route has no row in `OPERATIONS`.
    """
    paths: dict[str, dict[str, Any]] = {}
    for route in described(routes):
        for method in sorted(set(route.methods) - {"HEAD"}):
            path = route.path or "/"
            row = OPERATIONS[method, path]
            paths.setdefault(f"{prefix}{path}", {})[method.lower()] = _operation(route, method, path, row)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perijove",
            "version": __version__,
            "description": "The hub's REST API: JupyterHub's, with additions.",
        },
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {"token": _TOKEN, "session": _SESSION, "oauth2": _oauth(prefix)},
        },
    }


_TOKEN: Final = {
    "type": "apiKey",
    "in": "header",
    "name": "Authorization",
    "description": "`token` and a token of a user or a service, with a space between.",
}

_SESSION: Final = {
    "type": "apiKey",
    "in": "cookie",
    "name": SIGN_IN_COOKIE,
    "description": "What a browser has in which somebody is signed in.",
}


def _oauth(prefix: str) -> Mapping[str, Any]:
    """How programs get a token of a person (contract b)."""
    urls = {"authorizationUrl": f"{prefix}/oauth2/authorize", "tokenUrl": f"{prefix}/oauth2/token"}
    scopes = {name: definition.description for name, definition in CATALOG.items()}
    return {"type": "oauth2", "flows": {"authorizationCode": {**urls, "scopes": scopes}}}


def described(routes: Iterable[Declared]) -> Iterable[Declared]:
    """Those of *routes* that are calls for programs, each address once."""
    seen: set[tuple[str, str]] = set()
    for route in routes:
        key = (route.methods[0], route.path or "/")
        if route.include_in_schema and key not in seen:
            seen.add(key)
            yield route


def _operation(route: Declared, method: str, path: str, row: Operation) -> Mapping[str, Any]:
    access = route.access
    said: dict[str, Any] = {
        "operationId": _operation_id(method, path),
        "summary": (route.endpoint.__doc__ or "").strip().splitlines()[0],
        "tags": [path.split("/")[1] or "hub"],
        "parameters": [*_path_parameters(path), *_query_parameters(row)],
        "responses": {str(status): _answer(status, shape) for status, shape in row.answers.items()},
    }
    if row.may_be_empty:
        for status in row.answers:
            said["responses"][str(status)]["content"] |= {_PLAIN: {"schema": {"type": "string", "maxLength": 0}}}
    if isinstance(access, Caller):
        said["description"] = _needed(access)
    if not isinstance(access, Public):
        said["security"] = [{"session" if isinstance(access, Page) else "token": []}]
        errors = {*COMMON, *row.errors}
        said["responses"] |= {str(status): _answer(status, row.errors_are) for status in sorted(errors)}
    if row.takes:
        schema = ref(row.takes)
        said["requestBody"] = {"required": row.needs_body, "content": {row.media: {"schema": schema}}}
    return said


def _operation_id(method: str, path: str) -> str:
    words = f"{method.lower()}{re.sub(r'[^a-z]+', '_', path)}"
    # An address that ends with a slash is the default server's; without, it would be another one's.
    return f"{words}default" if path.endswith("}/") else words.rstrip("_")


def _needed(access: Caller) -> str:
    if not access.scopes:
        return "Anybody who is somebody."
    return f"Needs {' or '.join(f'`{scope}`' for scope in access.scopes)}."


def _path_parameters(path: str) -> list[Mapping[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": PATH[name][0],
            "example": PATH[name][1],
            # A slash would be another address.
            "schema": {"type": "string", "minLength": 1, "pattern": "^[^/]+$"},
        }
        for name in _IN_PATH.findall(path)
    ]


def _query_parameters(row: Operation) -> list[Mapping[str, Any]]:
    return [
        {
            "name": name.partition(":")[0],
            "in": "query",
            "description": QUERY[name].says,
            "schema": dict(QUERY[name].schema),
        }
        for name in row.query
    ]


def _answer(status: int, shape: str) -> Mapping[str, Any]:
    said: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if shape == EMPTY:
        return said
    if "/" in shape:
        return {**said, "content": {shape: {}}}
    return {**said, "content": {"application/json": {"schema": ref(shape)}}}
