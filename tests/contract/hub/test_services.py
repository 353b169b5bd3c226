"""
Contract d39 to d42: services.
"""

from __future__ import annotations

import pytest

from tests.contract.hub.client import Hub


def test_services_are_an_object_by_name(own_hub: Hub) -> None:
    services = own_hub("GET", "/services").json()

    shown = services["shown"]
    assert {"contract", "shown"} <= services.keys()
    assert (shown["kind"], shown["name"], shown["admin"]) == ("service", "shown", False)
    assert (shown["prefix"], shown["info"], shown["display"]) == ("/services/shown/", {"a": 1}, True)
    assert (shown["url"], shown["command"], shown["pid"]) == ("http://127.0.0.1:9", [], 0)
    assert own_hub("GET", "/services/contract").json()["prefix"] == ""


@pytest.mark.parametrize(
    ("scope", "members"),
    [
        (
            "read:services",
            {"kind", "name", "admin", "url", "prefix", "command", "pid", "info", "display"},
        ),
        ("read:services:name", {"kind", "name", "admin"}),
        ("read:roles:services", {"kind", "name", "roles", "admin"}),
    ],
)
def test_of_a_service_is_shown_what_the_scope_is_for(own_hub: Hub, scope: str, members: set[str]) -> None:
    token = own_hub.limited(f"{scope}!service=shown")

    # perijove alone says besides whether it guards the service.
    assert own_hub("GET", "/services/shown", token=token).json().keys() - {"access"} == members
    assert own_hub("GET", "/services/contract", token=token).status_code == 404


def test_a_list_is_cut_to_what_a_filter_reaches(own_hub: Hub) -> None:
    token = own_hub.limited("list:services!service=shown")

    assert list(own_hub("GET", "/services", token=token).json()) == ["shown"]


def test_a_service_is_added_identified_and_removed(hub: Hub) -> None:
    name, secret = hub.name("added"), hub.name("0123456789abcdef")

    made = hub("POST", f"/services/{name}", {"api_token": secret, "url": hub.url, "info": {"b": 2}})
    twice = hub("POST", f"/services/{name}", {"api_token": secret})
    who = hub("GET", "/user", token=secret)
    users = hub("GET", "/users", token=secret)
    read = hub("GET", f"/services/{name}").json()
    deleted = hub("DELETE", f"/services/{name}")
    after = hub("GET", "/user", token=secret)
    gone = [hub(method, f"/services/{name}").status_code for method in ("GET", "DELETE")]

    assert [answer.status_code for answer in (made, twice, deleted, after)] == [201, 409, 200, 403]
    assert (who.json()["kind"], who.json()["name"]) == ("service", name)
    assert users.status_code == 403
    assert (read["prefix"], read["info"], read["url"]) == (f"/services/{name}/", {"b": 2}, hub.url)
    assert gone == [404, 404]


@pytest.mark.parametrize(
    "body",
    [None, {}, {"command": ["true"], "api_token": "0123456789abcdef-x"}, {"shoe_size": 44}, {"url": 7}],
)
def test_a_service_that_cannot_be_is_refused(hub: Hub, body: object) -> None:
    assert hub("POST", f"/services/{hub.fresh('wrong')}", body).status_code == 400


def test_nobody_adds_a_service_that_may_more_than_they(hub: Hub) -> None:
    token = hub.limited("admin:services")

    for body in ({"admin": True}, {"oauth_client_allowed_scopes": ["admin:users"]}):
        answer = hub("POST", f"/services/{hub.name('greedy')}", {"api_token": "0123456789-greedy", **body}, token=token)
        assert answer.status_code == 400


def test_a_service_of_the_configuration_stays(own_hub: Hub) -> None:
    assert own_hub("DELETE", "/services/shown").status_code == 405
    assert own_hub("POST", "/services/shown", {"api_token": "0123456789abcdef-y"}).status_code == 409


def test_services_need_a_scope(hub: Hub) -> None:
    token = hub.token_of(hub.user("no-services"))

    answers = [
        hub("GET", "/services", token=token),
        hub("POST", "/services/x", {"api_token": "0123456789abcdef-z"}, token=token),
        hub("DELETE", "/services/x", token=token),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
