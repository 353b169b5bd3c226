from __future__ import annotations

import pytest

from perijove.hub.domain.urls import is_redirect_uri, server_route, server_url, service_url, split_audience


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


@pytest.mark.parametrize(
    ("base", "service", "url"),
    [("/", "grader", "/services/grader/"), ("/jupyter/", "a+b@c", "/jupyter/services/a%2Bb@c/")],
)
def test_a_service_has_an_address_of_its_own(base: str, service: str, url: str) -> None:
    assert service_url(base, service) == url


@pytest.mark.parametrize(("audience", "parts"), [("ada/", ("ada", "")), ("ada/work", ("ada", "work")), ("", ("", ""))])
def test_an_audience_is_owner_and_server(audience: str, parts: tuple[str, str]) -> None:
    assert split_audience(audience) == parts


@pytest.mark.parametrize(
    "uri",
    ["/services/a/oauth_callback", "/cb?x=1", "https://app.example/cb", "http://127.0.0.1:8080/cb", "http://[::1]:1/"],
)
def test_answers_of_oauth_may_go_to_paths_and_to_web_addresses(uri: str) -> None:
    assert is_redirect_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "cb",
        "//evil.example/cb",
        "/\\evil.example",
        "/cb#x",
        "/a b",
        "/cb\n",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://",
        "https://:1/",
        "https://user@app.example/cb",
        "https://user:secret@app.example/cb",
        "https://app.example;script-src/cb",
        "https://app.example,evil.example/cb",
        "https://app.example:port/cb",
        "https://app.example:0/cb",
        "https://app.example:99999/cb",
        "https://ápp.example/cb",
    ],
)
def test_answers_of_oauth_go_nowhere_else(uri: str) -> None:
    """
    What is in the host goes into the content policy of the page that asks.
    """
    assert not is_redirect_uri(uri)
