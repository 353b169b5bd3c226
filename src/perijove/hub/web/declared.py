"""
Routes as the files of the web edge declare them; `web/app.py` gives all of them to the framework, once and flat.

The framework's own routers prepare a route when it is declared and again when its router is included, and look for
the route of a request router by router, twice each. That was most of an answer's time, and much of the hub's start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import FastAPI

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One route."""

    path: str
    methods: tuple[str, ...]
    endpoint: Callable[..., Any]
    #: its access is among them (`web/access.py`)
    dependencies: tuple[Any, ...]
    include_in_schema: bool


class Routes:
    """The routes of one file, below a prefix."""

    def __init__(self, *, prefix: str = "", include_in_schema: bool = True) -> None:
        self._prefix = prefix
        self._include_in_schema = include_in_schema
        self.declared: list[Declared] = []

    def get(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a GET."""
        return self.api_route(path, methods=["GET"], **options)

    def post(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a POST."""
        return self.api_route(path, methods=["POST"], **options)

    def put(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PUT."""
        return self.api_route(path, methods=["PUT"], **options)

    def patch(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a PATCH."""
        return self.api_route(path, methods=["PATCH"], **options)

    def delete(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare a DELETE."""
        return self.api_route(path, methods=["DELETE"], **options)

    def options(self, path: str, **options: Any) -> Callable[[Endpoint], Endpoint]:
        """Declare an OPTIONS."""
        return self.api_route(path, methods=["OPTIONS"], **options)

    def api_route(
        self, path: str, *, methods: Sequence[str], dependencies: Sequence[Any], include_in_schema: bool = True
    ) -> Callable[[Endpoint], Endpoint]:
        """Declare a route of several methods."""

        def declare(endpoint: Endpoint) -> Endpoint:
            self.declared.append(
                Declared(
                    path=f"{self._prefix}{path}",
                    methods=tuple(methods),
                    endpoint=endpoint,
                    dependencies=tuple(dependencies),
                    include_in_schema=include_in_schema and self._include_in_schema,
                )
            )
            return endpoint

        return declare

    def add_to(self, app: FastAPI, *, prefix: str = "") -> None:
        """Give them to *app*, in the order of their declaration."""
        for route in self.declared:
            app.add_api_route(
                f"{prefix}{route.path}",
                route.endpoint,
                methods=list(route.methods),
                dependencies=route.dependencies,
                include_in_schema=route.include_in_schema,
                # Answers are made as they are sent: there is nothing to check them against.
                response_model=None,
            )
