"""
Contract d, “conventions”: what holds for every call; and d1 to d3, d43 to d46, d52.
"""

from __future__ import annotations

import pytest

from tests.contract.hub.client import API, PAGES, Hub


@pytest.mark.parametrize("path", ["", "/"])
def test_the_version_is_told_to_everybody(hub: Hub, path: str) -> None:
    answer = hub("GET", path, token="")

    assert answer.status_code == 200
    assert answer.json()["version"].startswith("6.")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-jupyterhub-version"] == answer.json()["version"]


@pytest.mark.parametrize("token", ["", "wrong", "x" * 300])
@pytest.mark.parametrize("path", ["/users", "/groups", "/info", "/proxy", "/services", "/users/nobody/server"])
def test_nobody_is_403_and_never_401(hub: Hub, path: str, token: str) -> None:
    answer = hub("GET", path, token=token)

    assert answer.status_code == 403
    assert answer.json() == {"status": 403, "message": "Missing or invalid credentials."}


@pytest.mark.parametrize("token", ["", "wrong"])
def test_whoever_is_nobody_is_told_so_without_a_word(hub: Hub, token: str) -> None:
    answer = hub("GET", "/user", token=token)

    assert (answer.status_code, answer.json()) == (403, {"status": 403, "message": None})


@pytest.mark.parametrize("word", ["token", "Token", "bearer", "Bearer", "BEARER"])
def test_both_words_in_any_case_carry_a_token(hub: Hub, word: str) -> None:
    assert hub("GET", "/user", token="", headers={"Authorization": f"{word} {hub.token}"}).status_code == 200


def test_a_token_in_the_address_is_not_accepted(hub: Hub) -> None:
    assert hub("GET", f"/user?token={hub.token}", token="").status_code == 403


@pytest.mark.parametrize("path", ["/users/", "/info/", "/groups/", "/nothing", "/users/x/nothing"])
def test_an_unknown_address_is_404_in_the_shape_of_the_api(hub: Hub, path: str) -> None:
    answer = hub("GET", path)

    assert answer.status_code == 404
    assert answer.json()["status"] == 404
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize(("method", "path"), [("GET", "/shutdown"), ("PUT", "/users"), ("DELETE", "/proxy")])
def test_another_method_is_405_in_the_shape_of_the_api(hub: Hub, method: str, path: str) -> None:
    answer = hub(method, path)

    assert answer.status_code == 405
    assert answer.json()["status"] == 405


@pytest.mark.parametrize("path", ["", "/", "/users", "/users/x", "/users/x/server", "/groups/x/users", "/services"])
def test_browsers_may_ask_before_they_ask(hub: Hub, path: str) -> None:
    answer = hub("OPTIONS", path, token="")

    assert (answer.status_code, answer.content) == (200, b"")
    assert "authorization" in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["", "/user", "/users/nobody-at-all"])
def test_every_answer_says_what_may_be_done_with_it(hub: Hub, path: str) -> None:
    headers = hub("GET", path).headers

    assert "x-jupyterhub-version" in headers
    assert headers["access-control-allow-headers"] == "accept, content-type, authorization"
    assert headers["content-security-policy"].replace(" ", "").split(";")[:3] == [
        "frame-ancestors'none'",
        "report-uri/hub/security/csp-report",
        "default-src'none'",
    ]


def test_an_answer_that_has_not_changed_is_not_sent_again(hub: Hub) -> None:
    first = hub("GET", "/info")
    again = hub("GET", "/info", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


def test_json_is_read_whatever_it_says_it_is(hub: Hub) -> None:
    name = hub.name("typed")

    made = hub("POST", "/users", {"usernames": [name]}, headers={"Content-Type": "text/plain"})

    assert made.status_code == 201


def test_bad_json_is_refused_with_a_sentence(hub: Hub) -> None:
    answer = hub.raw(
        "POST", f"{API}/users", content=b'{"usernames": [', headers={"Authorization": f"token {hub.token}"}
    )

    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid JSON in body of request")


def test_a_scope_that_is_not_held_is_403_and_one_for_something_else_404(hub: Hub) -> None:
    one, other = hub.user("filter-a"), hub.user("filter-b")
    token = hub.limited(f"read:users!user={one}")

    refused = hub("DELETE", f"/users/{one}", token=token)
    hidden = hub("GET", f"/users/{other}", token=token)
    nobody = hub("GET", f"/users/{hub.name('nobody')}", token=token)

    assert refused.status_code == 403
    assert refused.json()["message"] == ("Action is not authorized with current scopes; requires any of [delete:users]")
    assert (hidden.status_code, hidden.json()) == (nobody.status_code, nobody.json())
    assert hidden.json() == {"status": 404, "message": "No access to resources or resources not found"}


def test_whoever_has_a_token_learns_who_they_are(hub: Hub) -> None:
    name = hub.user("self")
    token = hub.token_of(name, ["users:activity!user"])

    narrow = hub("GET", "/user", token=token).json()
    whole = hub("GET", "/user", token=hub.token_of(name)).json()

    assert (narrow["kind"], narrow["name"], narrow["groups"]) == ("user", name, [])
    assert hub.scopes_of(token) == {f"read:users:activity!user={name}", f"users:activity!user={name}"}
    assert narrow["token_id"].startswith("a")
    assert narrow["session_id"] is None
    assert "servers" not in narrow
    assert f"access:servers!user={name}" in whole["scopes"]
    assert whole["scopes"] == sorted(whole["scopes"])


def test_a_service_learns_who_it_is(hub: Hub) -> None:
    model = hub("GET", "/user").json()

    assert (model["kind"], model["admin"]) == ("service", True)
    assert "admin" in model["roles"]
    assert "admin:users" in model["scopes"]


def test_info_says_what_the_hub_is_made_of(hub: Hub) -> None:
    info = hub("GET", "/info").json()

    assert {"version", "python", "sys_executable", "spawner", "authenticator"} <= info.keys()
    assert {"class", "version"} <= info["spawner"].keys()


def test_the_table_of_the_proxy_is_an_object_and_comes_in_pages(hub: Hub) -> None:
    name = hub.user("routed")
    hub.started(name)

    whole = hub("GET", "/proxy").json()
    page = hub("GET", "/proxy?limit=1", headers={"Accept": PAGES}).json()
    synced = hub("POST", "/proxy")
    hub.stopped(name)

    route = whole[f"/user/{name}/"]
    assert (route["routespec"], route["data"]["user"], route["data"]["server_name"]) == (f"/user/{name}/", name, "")
    assert route["target"].startswith("http")
    assert len(page["items"]) == 1
    assert (synced.status_code, synced.content) == (200, b"")


def test_a_shutdown_that_means_nothing_is_refused(hub: Hub) -> None:
    assert hub("POST", "/shutdown", {"proxy": "yes"}).status_code == 400


@pytest.mark.parametrize("path", ["/hub/health", "/hub/api/health"])
def test_health_asks_for_nothing(hub: Hub, path: str) -> None:
    answer = hub.page(path)

    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("path", ["/hub/metrics", "/hub/api/metrics"])
def test_metrics_need_a_token(hub: Hub, path: str) -> None:
    open_ones = hub.raw("GET", path, headers={})
    allowed = hub.raw("GET", path, headers={"Authorization": f"token {hub.token}"})

    assert (open_ones.status_code, allowed.status_code) == (403, 200)
    assert "jupyterhub_" in allowed.text
