"""
The REST API as scripts of JupyterHub's users call it: over the proxy, with tokens, by its promises.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.support.rest import Rest, WithToken
from tests.support.site import Site, eventually

pytestmark = pytest.mark.timeout(120)


def token_of(rest: Rest, name: str, **body: Any) -> dict[str, Any]:
    answer = rest("POST", f"/hub/api/users/{name}/tokens", json=body)
    assert answer.status_code == 201, answer.text
    token: dict[str, Any] = answer.json()
    return token


def frames(stream: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in stream.text.splitlines() if line.startswith("data: ")]


def test_the_version_is_told_to_anybody(with_token: WithToken) -> None:
    nobody = with_token("")

    answer = nobody("GET", "/hub/api/")

    assert answer.json()["version"] == answer.headers["X-JupyterHub-Version"]
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/hub/health", "/hub/api/health"])
def test_health_is_told_to_anybody(path: str, with_token: WithToken) -> None:
    nobody = with_token("")

    assert (nobody("GET", path).status_code, nobody("GET", path).text) == (200, "")


@pytest.mark.parametrize("path", ["/hub/api/info", "/hub/api/user", "/hub/api/users", "/hub/api/metrics"])
@pytest.mark.parametrize("token", ["", "0" * 32])
def test_nothing_else_is_told_without_a_good_token(path: str, token: str, with_token: WithToken) -> None:
    """
    JupyterHub says 403 and never 401, and so do its clients expect (contract d).
    """
    nobody = with_token(token)

    answer = nobody("GET", path)

    assert answer.status_code == 403
    assert answer.json()["status"] == 403


def test_info_says_what_the_hub_is_made_of(rest: Rest) -> None:
    info = rest("GET", "/hub/api/info").json()

    assert {"version", "python", "sys_executable", "spawner", "authenticator"} <= info.keys()
    assert {"class", "version"} <= info["spawner"].keys()


def test_metrics_are_prometheus_text(rest: Rest) -> None:
    answer = rest("GET", "/hub/metrics")

    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert "jupyterhub_total_users" in answer.text


def test_a_service_asks_who_it_is(rest: Rest) -> None:
    me = rest("GET", "/hub/api/user").json()

    assert (me["kind"], me["name"], me["session_id"]) == ("service", "script", None)
    assert "admin:users" in me["scopes"]
    assert me["scopes"] == sorted(me["scopes"])


def test_a_user_s_token_asks_whose_it_is(rest: Rest, with_token: WithToken) -> None:
    rest.user("whoami")
    own = with_token(token_of(rest, "whoami")["token"])

    me = own("GET", "/hub/api/user").json()

    assert (me["kind"], me["name"], me["admin"], me["groups"]) == ("user", "whoami", False, [])
    assert "access:servers!user=whoami" in me["scopes"]
    assert me["token_id"].startswith("a")


def test_users_are_made_listed_read_and_deleted(rest: Rest) -> None:
    many = rest("POST", "/hub/api/users", json={"usernames": ["list-a", "List-B"]})
    one = rest("POST", "/hub/api/users/list-c")
    again = rest("POST", "/hub/api/users/list-c")
    listed = rest("GET", "/hub/api/users?name_filter=list-").json()
    read = rest("GET", "/hub/api/users/list-b").json()
    deleted = rest("DELETE", "/hub/api/users/list-a")
    gone = rest("GET", "/hub/api/users/list-a")

    assert [user["name"] for user in many.json()] == ["list-a", "list-b"]
    assert (many.status_code, one.status_code, again.status_code) == (201, 201, 409)
    assert [user["name"] for user in listed] == ["list-a", "list-b", "list-c"]
    assert (read["kind"], read["admin"], read["server"], read["pending"], read["servers"]) == (
        "user",
        False,
        None,
        None,
        {},
    )
    assert datetime.fromisoformat(read["created"]).tzinfo is not None
    assert read["created"].endswith("Z")
    assert (deleted.status_code, gone.status_code) == (204, 404)


def test_lists_come_in_pages_to_those_who_ask(site: Site, rest: Rest) -> None:
    rest("POST", "/hub/api/users", json={"usernames": ["page-a", "page-b", "page-c"]})
    headers = {"Accept": "application/jupyterhub-pagination+json"}

    first = rest("GET", "/hub/api/users?name_filter=page-&limit=2", headers=headers).json()
    rest_of_them = rest("GET", first["_pagination"]["next"]["url"], headers=headers).json()

    assert [user["name"] for user in first["items"]] == ["page-a", "page-b"]
    assert first["_pagination"]["total"] == 3
    assert first["_pagination"]["next"]["url"].startswith(site.origin)
    assert [user["name"] for user in rest_of_them["items"]] == ["page-c"]
    assert rest_of_them["_pagination"]["next"] is None


def test_a_server_is_started_watched_and_stopped(rest: Rest) -> None:
    rest.user("life")
    never = rest("GET", "/hub/api/users/life/server/progress")

    started = rest("POST", "/hub/api/users/life/server")
    stream = rest("GET", "/hub/api/users/life/server/progress")
    user = rest("GET", "/hub/api/users/life").json()
    twice = rest("POST", "/hub/api/users/life/server")
    stopped = rest("DELETE", "/hub/api/users/life/server")

    assert never.status_code == 404
    assert started.status_code in {201, 202}
    assert stream.headers["Content-Type"].startswith("text/event-stream")
    assert frames(stream)[-1] == {
        "progress": 100,
        "ready": True,
        "message": "Server ready at /user/life/",
        "html_message": 'Server ready at <a href="/user/life/">/user/life/</a>',
        "url": "/user/life/",
    }
    assert (user["server"], user["pending"]) == ("/user/life/", None)
    assert user["servers"][""]["ready"]
    assert user["servers"][""]["progress_url"] == "/hub/api/users/life/server/progress"
    assert twice.status_code == 400
    assert "already running" in twice.json()["message"]
    assert stopped.status_code in {202, 204}


def test_a_named_server_lives_beside_the_default_one(rest: Rest) -> None:
    rest.user("several")
    rest.start("several")
    base = "/hub/api/users/several/servers"

    refused = rest("POST", f"{base}/Not%20A%20Name")
    started = rest("POST", f"{base}/second")
    eventually(lambda: rest("GET", "/user/several/second/api/status").status_code == 200)
    servers = rest("GET", "/hub/api/users/several").json()["servers"]
    default = rest("GET", "/user/several/api/status")
    stopped = rest("DELETE", f"{base}/second", json={"remove": True})
    unknown = rest("DELETE", f"{base}/third")

    assert refused.status_code == 400
    assert started.status_code in {201, 202}
    assert sorted(servers) == ["", "second"]
    assert servers["second"]["full_name"] == "several/second"
    assert default.status_code == 200
    assert (stopped.status_code, unknown.status_code) == (204, 404)
    rest.stop("several")


def test_tokens_are_made_listed_read_and_revoked(rest: Rest) -> None:
    rest.user("tokens")

    made = token_of(rest, "tokens", note="for a script", scopes=["read:users!user=tokens"], expires_in=3600)
    listed = rest("GET", "/hub/api/users/tokens/tokens").json()["api_tokens"]
    read = rest("GET", f"/hub/api/users/tokens/tokens/{made['id']}").json()
    revoked = rest("DELETE", f"/hub/api/users/tokens/tokens/{made['id']}")
    gone = rest("GET", f"/hub/api/users/tokens/tokens/{made['id']}")
    too_much = rest("POST", "/hub/api/users/tokens/tokens", json={"scopes": ["admin:users"]})

    assert len(made["token"]) == 32
    assert (made["note"], made["kind"]) == ("for a script", "api_token")
    assert datetime.fromisoformat(made["expires_at"]) > datetime.fromisoformat(made["created"])
    assert [token["id"] for token in listed] == [made["id"]]
    assert "token" not in read
    assert (revoked.status_code, gone.status_code, too_much.status_code) == (204, 404, 400)


def test_a_revoked_token_opens_nothing_any_more(rest: Rest, with_token: WithToken) -> None:
    """
    Neither at the hub nor at the door, where it has just been used and is remembered.
    """
    rest.user("revoked")
    rest.start("revoked")
    made = token_of(rest, "revoked")
    own = with_token(made["token"])
    before = (own("GET", "/hub/api/user").status_code, own("GET", "/user/revoked/api/contents").status_code)

    rest("DELETE", f"/hub/api/users/revoked/tokens/{made['id']}")
    at_the_hub = own("GET", "/hub/api/user").status_code

    assert before == (200, 200)
    assert at_the_hub == 403
    eventually(lambda: own("GET", "/user/revoked/api/contents").status_code == 403)
    rest.stop("revoked")


def test_an_expired_token_opens_nothing_any_more(rest: Rest, with_token: WithToken) -> None:
    rest.user("expired")
    rest.start("expired")
    own = with_token(token_of(rest, "expired", expires_in=4)["token"])
    before = own("GET", "/user/expired/api/contents").status_code

    assert before == 200
    eventually(lambda: own("GET", "/hub/api/user").status_code == 403)
    eventually(lambda: own("GET", "/user/expired/api/contents").status_code == 403)
    rest.stop("expired")


def test_a_token_opens_no_more_than_its_scopes_say(rest: Rest, with_token: WithToken) -> None:
    rest.user("narrow")
    rest.start("narrow")
    own = with_token(token_of(rest, "narrow", scopes=["read:users!user=narrow"])["token"])

    answers = [
        own("GET", "/hub/api/users/narrow").status_code,
        own("GET", "/user/narrow/api/contents").status_code,
        own("DELETE", "/hub/api/users/narrow/server").status_code,
        own("GET", "/hub/api/users/script").status_code,
    ]

    assert answers == [200, 403, 403, 404]
    rest.stop("narrow")


def test_bad_json_is_refused_with_a_sentence(rest: Rest) -> None:
    answer = rest.raw("POST", "/hub/api/users", b'{"usernames": [')

    assert answer.status_code == 400
    assert answer.json()["message"] == "Invalid JSON in body of request"
