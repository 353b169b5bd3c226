"""
Routes as the files of the web edge declare them; `web/app.py` puts all of them into one table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from perijove.hub.web.access import Access
from perijove.hub.web.handlers import Endpoint, Handler
from perijove.hub.web.table import Route, RouteTable, names_in

Function = TypeVar("Function", bound=Endpoint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One route."""

    path: str
    methods: tuple[str, ...]
    endpoint: Endpoint
    #: decides before the endpoint runs
    access: Access
    include_in_schema: bool


class Routes:
    """The routes of one file, below a prefix."""

    def __init__(self, *, prefix: str = "", include_in_schema: bool = True) -> None:
        self._prefix = prefix
        self._include_in_schema = include_in_schema
        self.declared: list[Declared] = []

    def get(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a GET."""
        return self.api_route(path, methods=["GET"], **options)

    def post(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a POST."""
        return self.api_route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a PUT."""
        return self.api_route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a PATCH."""
        return self.api_route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare a DELETE."""
        return self.api_route(path, methods=["DELETE"], **options)

    def options(self, path: str, **options: Any) -> Callable[[Function], Function]:
        """Declare an OPTIONS."""
        return self.api_route(path, methods=["OPTIONS"], **options)

    def api_route(
        self, path: str, *, methods: Sequence[str], access: Access, include_in_schema: bool = True
    ) -> Callable[[Function], Function]:
        """Declare a route of several methods. Without an access there is none."""

        def declare(endpoint: Function) -> Function:
            self.declared.append(
                Declared(
                    path=f"{self._prefix}{path}",
                    methods=tuple(methods),
                    endpoint=endpoint,
                    access=access,
                    include_in_schema=include_in_schema and self._include_in_schema,
                )
            )
            return endpoint

        return declare

    def add_to(self, table: RouteTable, *, prefix: str = "") -> None:
        """Put them into *table*, below *prefix*."""
        in_any_path: dict[Endpoint, set[str]] = {}
        for declared in self.declared:
            in_any_path.setdefault(declared.endpoint, set()).update(names_in(declared.path))
        for declared in self.declared:
            names = names_in(declared.path)
            never_in_query = in_any_path[declared.endpoint]
            table.add(
                Route(
                    path=f"{prefix}{declared.path}",
                    methods=declared.methods,
                    access=declared.access,
                    endpoint=declared.endpoint,
                    handler=Handler(declared.endpoint, in_path=names, never_in_query=never_in_query),
                    names=names,
                )
            )
