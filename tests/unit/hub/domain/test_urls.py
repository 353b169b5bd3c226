from __future__ import annotations

import pytest

from perijove.hub.domain.urls import server_route, server_url, split_audience


@pytest.mark.parametrize(
    ("base", "user", "server", "url", "route"),
    [
        ("/", "ada", "", "/user/ada/", "/user/ada"),
        ("/", "ada", "work", "/user/ada/work/", "/user/ada/work"),
        ("/jupyter/", "ada", "", "/jupyter/user/ada/", "/jupyter/user/ada"),
        ("/", "ada@example.org", "", "/user/ada@example.org/", "/user/ada@example.org"),
        ("/", "ada+x", "", "/user/ada%2Bx/", "/user/ada+x"),
        ("/", "ångström", "", "/user/%C3%A5ngstr%C3%B6m/", "/user/ångström"),
    ],
)
def test_urls_are_encoded_and_routes_are_not(base: str, user: str, server: str, url: str, route: str) -> None:
    assert server_url(base, user, server) == url
    assert server_route(base, user, server) == route


@pytest.mark.parametrize(("audience", "parts"), [("ada/", ("ada", "")), ("ada/work", ("ada", "work")), ("", ("", ""))])
def test_an_audience_is_owner_and_server(audience: str, parts: tuple[str, str]) -> None:
    assert split_audience(audience) == parts
