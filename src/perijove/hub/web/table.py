"""
Which route answers a request: the paths of all of them as a tree, walked segment by segment.

    /hub/home                     a segment as it stands
    /hub/api/users/{user_name}    any one segment that is not empty
    /hub/lab-assets/{name:path}   the rest, which may be empty; only at the end

A segment as it stands comes before any one, and that before the rest; the order of declaration does not count. Walking
the tree costs the same however many routes there are, and nothing has to be compiled when the hub starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from perijove.hub.web.access import Access
from perijove.hub.web.handlers import Endpoint, Handler

_REST: Final = ":path"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address of the hub, who may call it and what answers."""

    path: str
    methods: Sequence[str]
    access: Access
    endpoint: Endpoint
    handler: Handler
    #: in the path, from left to right
    names: Sequence[str]


#: by method
_Routes: TypeAlias = dict[str, Route]


@dataclass(slots=True)
class _Node:
    """A place in the tree."""

    texts: dict[str, _Node] = field(default_factory=dict)
    one: _Node | None = None
    ends: _Routes = field(default_factory=dict)
    rests: _Routes = field(default_factory=dict)


class RouteTable:
    """All routes. Filled when the application is made, read by every request."""

    def __init__(self) -> None:
        self._root = _Node()
        self._all: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._all)

    def add(self, route: Route) -> None:
        """
        One more.

        Raises:
            ValueError: the path is none, or another route has it already.
        """
        node, is_rest = self._root, False
        for segment in route.path.split("/"):
            if is_rest:
                raise ValueError(f"{route.path}: nothing comes after the rest.")
            if not segment.startswith("{"):
                node = node.texts.setdefault(segment, _Node())
            elif segment.endswith(f"{_REST}}}"):
                is_rest = True
            else:
                node.one = node.one or _Node()
                node = node.one
        place = node.rests if is_rest else node.ends
        for method in route.methods:
            if method in place:
                raise ValueError(f"{method} {route.path}: {place[method].path} is the same address.")
            place[method] = route
        self._all.append(route)

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of *path*, and what stands for the names in it; None: it has none for *method*."""
        for routes, values in _walk(self._root, path.split("/"), 0, ()):
            route = routes.get(method)
            if route is not None:
                return route, dict(zip(route.names, values, strict=True))
        return None

    def places(self, path: str) -> Iterator[Mapping[str, Route]]:
        """Every place that *path* leads to, as routes by method, the nearest first."""
        return (routes for routes, _ in _walk(self._root, path.split("/"), 0, ()))


def names_in(path: str) -> Sequence[str]:
    """The names in a declared *path*."""
    segments = (segment for segment in path.split("/") if segment.startswith("{"))
    return [segment.strip("{}").removesuffix(_REST) for segment in segments]


def _walk(
    node: _Node, segments: Sequence[str], at: int, values: tuple[str, ...]
) -> Iterator[tuple[_Routes, tuple[str, ...]]]:
    """Every place that *segments* lead to, the nearest first."""
    if at == len(segments):
        if node.ends:
            yield node.ends, values
        return
    segment = segments[at]
    text = node.texts.get(segment)
    if text is not None:
        yield from _walk(text, segments, at + 1, values)
    if node.one is not None and segment:
        yield from _walk(node.one, segments, at + 1, (*values, segment))
    if node.rests:
        yield node.rests, (*values, "/".join(segments[at:]))
