"""
What a handler is given, made from its parameters when its route is declared.

    call: CallOf              an annotation with `Given`: made of the request
    request: Request          the request itself
    user_name: str            a name in the path of the route
    offset: int = 0           in the query; has a default. `str`, `str | None` and `int` are understood

A name in the path of any route of a handler never comes from the query: the access of a route decides about what is in
its path, and whoever may have one server must not name another behind the question mark.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final, TypeAlias, get_args

from starlette.requests import Request
from starlette.responses import Response

from perijove.hub.web.answers import QuickJson
from perijove.hub.web.errors import BadParameter

Endpoint: TypeAlias = Callable[..., Awaitable[Any]]

#: what fits into a column of a database
_WHOLE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Given:
    """In an annotation: how a parameter is made of the request. `CallOf = Annotated[Call, Given(call_of)]`"""

    make: Callable[[Request], Any]


@dataclass(frozen=True, slots=True)
class _Text:
    """A parameter that comes as text."""

    name: str
    read: Callable[[str, str], Any]
    default: Any


class Handler:
    """A function that answers, with all that it takes to call it."""

    def __init__(self, endpoint: Endpoint, *, in_path: Collection[str], never_in_query: Collection[str] = ()) -> None:
        """
        Args:
            endpoint: the function.
            in_path: names in the path of the route.
            never_in_query: names in the paths of other routes to the same function.

        Raises:
            TypeError: a parameter is of no kind that is known here, or comes with the query and has no default.
        """
        self._endpoint = endpoint
        self._given: list[tuple[str, Callable[[Request], Any]]] = []
        self._in_path: list[_Text] = []
        self._in_query: list[_Text] = []
        # Annotations are texts until somebody evaluates them.
        for parameter in inspect.signature(endpoint, eval_str=True).parameters.values():
            name, make = parameter.name, _maker(parameter.annotation)
            if make is not None:
                self._given.append((name, make))
                continue
            text = _Text(name, _reader(endpoint, parameter), parameter.default)
            if name in in_path:
                self._in_path.append(text)
            elif parameter.default is parameter.empty:
                raise TypeError(f"{endpoint.__qualname__}: {name} comes with the query and has no default.")
            elif name not in never_in_query:
                self._in_query.append(text)

    async def __call__(self, request: Request) -> Response:
        """
        The answer. What is no response yet is sent as JSON.

        Raises:
            BadParameter: a number is none.
        """
        values = {name: make(request) for name, make in self._given}
        if self._in_path:
            found: Mapping[str, str] = request.path_params
            for text in self._in_path:
                values[text.name] = text.read(text.name, found[text.name])
        if self._in_query:
            asked = request.query_params
            for text in self._in_query:
                value = asked.get(text.name)
                values[text.name] = text.default if value is None else text.read(text.name, value)
        answer = await self._endpoint(**values)
        return answer if isinstance(answer, Response) else QuickJson(answer)


def _itself(request: Request) -> Request:
    return request


def _maker(annotation: Any) -> Callable[[Request], Any] | None:
    if annotation is Request:
        return _itself
    return next((mark.make for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Given)), None)


def _reader(endpoint: Endpoint, parameter: inspect.Parameter) -> Callable[[str, str], Any]:
    kinds = set(get_args(parameter.annotation)) - {NoneType} or {parameter.annotation}
    if kinds == {str}:
        return _text
    if kinds == {int}:
        return _number
    raise TypeError(f"{endpoint.__qualname__}: {parameter.name} is neither given nor a text nor a whole number.")


def _text(_name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(value):
        raise BadParameter(f"{name} is a whole number.")
    return int(value)
