"""
Which route an address leads to, whatever the order in which they are declared.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from perijove.hub.web.access import PUBLIC
from perijove.hub.web.handlers import Handler
from perijove.hub.web.table import Route, RouteTable, names_in
from tests.unit.hub.web.rig import Rig


async def _answer() -> Any: ...


def _route(path: str, *methods: str) -> Route:
    names = names_in(path)
    handler = Handler(_answer, in_path=names)
    return Route(path=path, methods=methods or ("GET",), access=PUBLIC, endpoint=_answer, handler=handler, names=names)


def _table(*paths: str) -> RouteTable:
    table = RouteTable()
    for path in paths:
        table.add(_route(path))
    return table


def _found(table: RouteTable, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    found = table.find(method, path)
    return None if found is None else (found[0].path, dict(found[1]))


def test_names_stand_for_what_is_in_the_address() -> None:
    table = _table("/users/{user}/servers/{server}")

    assert _found(table, "/users/ada/servers/a b") == (
        "/users/{user}/servers/{server}",
        {"user": "ada", "server": "a b"},
    )


@pytest.mark.parametrize(
    "path", ["/things/one/two", "/things/", "/things//", "/things", "things/one", "/things/one/", "", "/", "//"]
)
def test_a_name_is_one_segment_that_is_not_empty(path: str) -> None:
    assert _found(_table("/things/{name}"), path) is None


@pytest.mark.parametrize(("path", "rest"), [("/files/", ""), ("/files/a", "a"), ("/files/a/b//c/", "a/b//c/")])
def test_the_rest_may_be_anything(path: str, rest: str) -> None:
    assert _found(_table("/files/{rest:path}"), path) == ("/files/{rest:path}", {"rest": rest})


def test_the_rest_is_behind_a_slash() -> None:
    assert _found(_table("/files/{rest:path}"), "/files") is None


NEAREST = (
    ("/a/list", "/a/list"),
    ("/a/b", "/a/{name}"),
    ("/a/", "/a/"),
    ("/a/list/part", "/a/{name}/part"),
    ("/a/list/other", "/{rest:path}"),
    ("/b", "/{rest:path}"),
)


@pytest.mark.parametrize(("path", "nearest"), NEAREST)
def test_the_nearest_route_answers_in_whatever_order_they_were_declared(path: str, nearest: str) -> None:
    for declared in permutations(("/a/list", "/a/{name}", "/a/", "/a/{name}/part", "/{rest:path}")):
        found = _found(_table(*declared), path)
        assert found is not None
        assert found[0] == nearest


def test_a_route_for_other_methods_does_not_hide_the_next() -> None:
    table = _table("/a/{name}")
    table.add(_route("/a/list", "POST"))

    assert _found(table, "/a/list") == ("/a/{name}", {"name": "list"})
    assert _found(table, "/a/list", "POST") == ("/a/list", {})
    assert _found(table, "/a/list", "PUT") is None
    assert [set(place) for place in table.places("/a/list")] == [{"POST"}, {"GET"}]
    assert list(table.places("/b")) == []


@pytest.mark.parametrize("path", ["/a/{other}", "/a/{name}"])
def test_two_routes_for_one_address_are_refused_at_start(path: str) -> None:
    with pytest.raises(ValueError, match="the same address"):
        _table("/a/{name}", path)


def test_nothing_comes_after_the_rest() -> None:
    with pytest.raises(ValueError, match="after the rest"):
        _table("/a/{rest:path}/b")


def test_every_route_of_the_hub_is_found_at_its_own_address(rig: Rig) -> None:
    for route in rig.app.routes:
        path = route.path
        values = {name: f"the-{name}" for name in route.names}
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
        for method in route.methods:
            assert rig.app.routes.find(method, path) == (route, values)
