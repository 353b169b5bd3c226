"""
The short way to the routes that programs ask most: past the framework's routing and its solving of dependencies,
which take several times as long as what these routes do.

The short way is no second door. It is made of the declared routes: the same access decides, then the same function
answers, and what it raises becomes an answer in the same error handlers. Law: who is refused is asked again the long
way, whose refusal counts, and no function answers twice. So an access on the short way must leave the request as it
was: `Public` and `Caller` look at the head alone, those of pages read forms.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from fastapi.routing import APIRoute
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from perijove.hub.web.access import Access, Caller, Public
from perijove.hub.web.api.caller import call_of

#: annotations of parameters that come from the address
_TEXTS: Final = frozenset({"str", "str | None"})
_CALL: Final = "call"
#: what looks at nothing but the head
_LIGHT: Final = (Public, Caller)
#: where in the scope stands what the function raised
_RAISED: Final = "perijove.raised"

ErrorHandler: TypeAlias = Callable[[Request, Exception], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quick:
    """One declared route."""

    path: str
    access: Access
    endpoint: Callable[..., Awaitable[Response]]
    #: the parameter in the path; empty: there is none
    name: str
    #: whether it is given the call
    takes_call: bool
    #: parameters that are given with the query, and their defaults
    query: Mapping[str, str | None]


class QuickTable:
    """Which addresses have a short way. Filled once the routes are declared."""

    def __init__(self) -> None:
        #: by method, and what stands before and behind the parameter; without one, all stands before it
        self._routes: dict[tuple[str, str, str], _Quick] = {}

    def fill(self, routes: Iterable[BaseRoute], endpoints: Iterable[Callable[..., Any]]) -> None:
        """Give those of *routes* that lead to *endpoints* a short way."""
        wanted = frozenset(endpoints)
        for route in routes:
            if isinstance(route, APIRoute) and route.endpoint in wanted:
                self._add(route)

    def find(self, method: str, path: str) -> tuple[_Quick, dict[str, str]] | None:
        """The route of *path* and its parameters."""
        quick = self._routes.get((method, path, ""))
        if quick is not None and not quick.name:
            return quick, {}
        before, _, last = path.rpartition("/")
        quick = self._routes.get((method, f"{before}/", ""))
        if quick is not None and quick.name and last:
            return quick, {quick.name: last}
        before, _, value = before.rpartition("/")
        quick = self._routes.get((method, f"{before}/", f"/{last}"))
        return (quick, {quick.name: value}) if quick is not None and value else None

    def clear(self) -> None:
        """Leave no short way."""
        self._routes.clear()

    @property
    def endpoints(self) -> Mapping[tuple[str, str], tuple[Callable[..., Any], Access]]:
        """What answers and what decides, by method and path."""
        return {(method, quick.path): (quick.endpoint, quick.access) for (method, _, _), quick in self._routes.items()}

    def _add(self, route: APIRoute) -> None:
        path = route.path
        methods = list(route.methods or ())
        if len(methods) != 1:
            raise ValueError(f"{path}: a short way has one method.")
        owners = (getattr(dependency.call, "__self__", None) for dependency in route.dependant.dependencies)
        (access,) = (owner for owner in owners if isinstance(owner, Access))
        if not isinstance(access, _LIGHT):
            raise TypeError(f"{path}: its access may look at more than the head, so there is no short way.")
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        if "{" in after or after.count("/") > 1:
            raise ValueError(f"{path}: a short way has one parameter at most, and one segment behind it.")
        parameters = inspect.signature(route.endpoint).parameters
        place = (methods[0], before, after)
        if place in self._routes:
            raise ValueError(f"{path}: {self._routes[place].path} has this short way already.")
        self._routes[place] = _Quick(
            path=path,
            access=access,
            endpoint=route.endpoint,
            name=name,
            takes_call=_CALL in parameters,
            query=_query(path, parameters.values(), name),
        )


class QuickRoutes:
    """
    Middleware that takes the short way where there is one.

    Args:
        app: the long way.
        table: where there is a short one.
        on_errors: what makes answers of errors, by their type, on either way.
    """

    def __init__(self, app: ASGIApp, *, table: QuickTable, on_errors: Mapping[type[Exception], ErrorHandler]) -> None:
        self._app = app
        self._table = table
        handlers: dict[Any, Any] = {kind: handler for kind, handler in on_errors.items() if kind is not Exception}
        # The framework's own, so that one that is not expected is also told to the server, which logs it.
        self._failures = ServerErrorMiddleware(ExceptionMiddleware(_fail, handlers), on_errors.get(Exception))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the call on."""
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self._table.find(scope["method"], scope["path"])
            if found is not None and await _is_allowed(*found, request := Request(scope, receive, send)):
                await self._answer(*found, request, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, quick: _Quick, parameters: dict[str, str], request: Request, send: Send) -> None:
        request.scope["endpoint"] = quick.endpoint
        try:
            given = request.query_params if quick.query else {}
            texts = {name: given.get(name, default) for name, default in quick.query.items()}
            if quick.takes_call:
                response = await quick.endpoint(call=call_of(request), **parameters, **texts)
            else:
                response = await quick.endpoint(**parameters, **texts)
        except Exception as exc:  # noqa: BLE001  # the handlers of errors sort them, and log what nobody expected
            await self._failures({**request.scope, _RAISED: exc}, request.receive, send)
        else:
            await response(request.scope, request.receive, send)


async def _is_allowed(quick: _Quick, parameters: dict[str, str], request: Request) -> bool:
    request.scope["path_params"] = parameters
    try:
        await quick.access.decide(request)
    except Exception:  # noqa: BLE001  # the long way meets it again, and knows what to say and to log
        del request.scope["path_params"]
        return False
    return True


async def _fail(scope: Scope, _receive: Receive, _send: Send) -> None:
    raise scope[_RAISED]


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
