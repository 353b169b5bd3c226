"""
The short way to the routes that programs ask most: past the framework's routing and its solving of dependencies,
which take several times as long as what these routes do.

The short way is no second door. It is made of the declared routes: the same access decides, then the same function
answers. Whatever is refused or goes wrong in it is asked again the long way, whose answer counts; so it can give
nothing but what the long way would have given. That is why only reads may take it.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from perijove.hub.web.access import Access
from perijove.hub.web.api.caller import call_of

#: annotations of parameters that come from the address
_TEXTS: Final = frozenset({"str", "str | None"})
_CALL: Final = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quick:
    """One declared route."""

    access: Access
    endpoint: Callable[..., Awaitable[Response]]
    #: whether it is given the call
    takes_call: bool
    #: parameters that are given with the query, and their defaults
    query: Mapping[str, str | None]


class QuickTable:
    """Which addresses have a short way. Filled once the routes are declared."""

    def __init__(self) -> None:
        self._fixed: dict[str, _Quick] = {}
        #: by what stands before the only parameter, which ends the path
        self._named: dict[str, tuple[str, _Quick]] = {}

    def fill(self, routes: Iterable[BaseRoute], endpoints: Iterable[Callable[..., Any]]) -> None:
        """Give those of *routes* that lead to *endpoints* a short way."""
        wanted = frozenset(endpoints)
        for route in routes:
            if not isinstance(route, APIRoute) or route.endpoint not in wanted:
                continue
            if route.methods != {"GET"}:
                raise ValueError(f"{route.path}: only reads may take the short way.")
            self._add(route.path, route)

    def find(self, path: str) -> tuple[_Quick, dict[str, str]] | None:
        """The route of *path* and its parameters."""
        quick = self._fixed.get(path)
        if quick is not None:
            return quick, {}
        before, slash, value = path.rpartition("/")
        named = self._named.get(before)
        if named is None or not slash or not value:
            return None
        name, quick = named
        return quick, {name: value}

    @property
    def endpoints(self) -> Mapping[str, tuple[Callable[..., Any], Access]]:
        """What answers and what decides, by path."""
        named = {f"{before}/{{{name}}}": quick for before, (name, quick) in self._named.items()}
        return {path: (quick.endpoint, quick.access) for path, quick in (self._fixed | named).items()}

    def _add(self, path: str, route: APIRoute) -> None:
        owners = (getattr(dependency.call, "__self__", None) for dependency in route.dependant.dependencies)
        (access,) = (owner for owner in owners if isinstance(owner, Access))
        before, _, last = path.rpartition("/")
        name = last[1:-1] if last.startswith("{") else ""
        if "{" in before:
            raise ValueError(f"{path}: a short way has one parameter at most, at its end.")
        parameters = inspect.signature(route.endpoint).parameters
        quick = _Quick(
            access=access,
            endpoint=route.endpoint,
            takes_call=_CALL in parameters,
            query=_query(path, parameters.values(), name),
        )
        if name:
            self._named[before] = (name, quick)
        else:
            self._fixed[path] = quick


class QuickRoutes:
    """Middleware that takes the short way where there is one."""

    def __init__(self, app: ASGIApp, *, table: QuickTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the call on."""
        if scope["type"] == "http" and scope["method"] == "GET" and not scope.get("root_path"):
            found = self._table.find(scope["path"])
            if found is not None:
                response = await _answer(*found, Request(scope, receive, send))
                if response is not None:
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)


async def _answer(quick: _Quick, parameters: dict[str, str], request: Request) -> Response | None:
    """None if it is refused or goes wrong."""
    request.scope["path_params"] = parameters
    try:
        await quick.access.decide(request)
        given = request.query_params if quick.query else {}
        texts = {name: given.get(name, default) for name, default in quick.query.items()}
        if quick.takes_call:
            response = await quick.endpoint(call=call_of(request), **parameters, **texts)
        else:
            response = await quick.endpoint(**parameters, **texts)
    except Exception:  # noqa: BLE001  # nothing is lost: see below
        # Whatever it is: the long way meets it again, and knows what to say and to log.
        del request.scope["path_params"]
        return None
    request.scope["endpoint"] = quick.endpoint
    return response


def _query(path: str, parameters: Iterable[inspect.Parameter], name: str) -> dict[str, str | None]:
    """Those of *parameters* that come with the query; *name* is in the path."""
    found: dict[str, str | None] = {}
    for parameter in parameters:
        if parameter.name == _CALL:
            continue
        if parameter.annotation not in _TEXTS:
            raise ValueError(f"{path}: {parameter.name} is no text, so there is no short way.")
        if parameter.name != name:
            found[parameter.name] = parameter.default
    return found
