"""
Contract d11 to d15: servers; and what becomes of them with their user (d9).
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.contract.hub.client import Hub
from tests.contract.hub.deployments import LAST_WORDS


def test_a_server_is_started_read_and_stopped(hub: Hub) -> None:
    name = hub.user("life")

    started = hub("POST", f"/users/{name}/server")
    hub.until(lambda: hub("GET", f"/users/{name}/server").json()["ready"])
    model = hub("GET", f"/users/{name}/server").json()
    user = hub("GET", f"/users/{name}").json()
    twice = hub("POST", f"/users/{name}/server")
    hub.stopped(name)
    again = hub("DELETE", f"/users/{name}/server")

    assert (started.status_code, started.content) in {(201, b""), (202, b"")}
    assert started.headers["content-type"].startswith("text/plain")
    assert (model["name"], model["full_name"], model["url"]) == ("", f"{name}/", f"/user/{name}/")
    assert (model["ready"], model["stopped"], model["pending"]) == (True, False, None)
    assert model["progress_url"] == f"/hub/api/users/{name}/server/progress"
    assert {"last_activity", "started", "user_options", "display_name", "full_url", "full_progress_url"} <= model.keys()
    assert (user["server"], list(user["servers"])) == (f"/user/{name}/", [""])
    assert (twice.status_code, again.status_code) == (400, 204)
    assert "is already running" in twice.json()["message"]


def test_stopped_servers_are_told_on_demand(hub: Hub) -> None:
    name = hub.user("stopped")
    hub.started(name)
    hub.stopped(name)

    for query in ("", "?include_stopped_servers=0", "?include_stopped_servers=false"):
        assert hub("GET", f"/users/{name}{query}").json()["servers"] == {}
    told = hub("GET", f"/users/{name}?include_stopped_servers=1").json()["servers"]
    assert told[""]["stopped"] is True


def test_users_are_found_by_what_their_servers_do(hub: Hub) -> None:
    on, off = hub.user("state-on"), hub.user("state-off")
    hub.started(on)

    found = {
        state: [user["name"] for user in hub("GET", f"/users?state={state}&name_filter={hub.name('state-')}").json()]
        for state in ("active", "ready", "inactive")
    }
    hub.stopped(on)

    assert found == {"active": [on], "ready": [on], "inactive": [off]}


def test_three_addresses_mean_the_default_server(hub: Hub) -> None:
    name = hub.user("default")
    hub.started(name)

    models = [hub("GET", f"/users/{name}/{tail}").json() for tail in ("server", "servers/")]
    hub.stopped(name)

    assert [model["full_name"] for model in models] == [f"{name}/", f"{name}/"]


def test_options_are_kept_until_given_anew(hub: Hub) -> None:
    name = hub.user("options")

    hub.started(name, body={"profile": "large"})
    whole = hub("GET", f"/users/{name}/server").json()["user_options"]
    hub.stopped(name)
    hub.started(name)
    kept = hub("GET", f"/users/{name}/server").json()["user_options"]
    hub.stopped(name)
    hub.started(name, body={"user_options": {"profile": "small"}})
    named = hub("GET", f"/users/{name}/server").json()["user_options"]
    hub.stopped(name)

    assert (whole, kept, named) == ({"profile": "large"}, {"profile": "large"}, {"profile": "small"})


@pytest.mark.parametrize("body", [{"user_options": []}, {"display_name": 7}, [1]])
def test_a_start_with_a_body_that_means_nothing_is_refused(hub: Hub, body: object) -> None:
    name = hub.somebody()

    assert hub("POST", f"/users/{name}/server", body).status_code == 400


def test_a_named_server_is_made_started_renamed_and_removed(hub: Hub) -> None:
    name = hub.user("named")
    servers = f"/users/{name}/servers"

    made = hub("PUT", f"{servers}/work", {"display_name": "My work", "user_options": {"a": 1}})
    twice = hub("PUT", f"{servers}/work")
    default = hub("PUT", f"/users/{name}/server")
    hub.started(name, "work")
    active = hub("PATCH", f"{servers}/work", {"name": "play"})
    hub.stopped(name, "work")
    renamed = hub("PATCH", f"{servers}/work", {"name": "play", "user_options": {"a": 2}})
    hub.started(name, "play")
    model = hub("GET", f"{servers}/play").json()
    hub.stopped(name, "play")
    removed = hub("DELETE", f"{servers}/play", {"remove": True})

    assert (made.status_code, made.json()["display_name"], made.json()["stopped"]) == (201, "My work", True)
    assert (twice.status_code, default.status_code, active.status_code) == (409, 409, 400)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "play")
    assert (model["display_name"], model["user_options"], model["url"]) == ("My work", {"a": 2}, f"/user/{name}/play/")
    assert model["progress_url"] == f"/hub/api/users/{name}/servers/play/progress"
    assert removed.status_code == 204
    gone = [hub(method, f"{servers}/play", {"name": "x"}).status_code for method in ("GET", "DELETE", "PATCH")]
    assert gone == [404, 404, 404]


def test_a_named_server_that_runs_is_removed_once_it_has_stopped(hub: Hub) -> None:
    name = hub.user("removed")
    hub.started(name, "work")

    answer = hub("DELETE", f"/users/{name}/servers/work", {"remove": True})

    assert answer.status_code in {202, 204}
    hub.until(lambda: hub("GET", f"/users/{name}/servers/work").status_code == 404)


def test_a_server_without_a_name_to_be_shown_shows_its_own(hub: Hub) -> None:
    name = hub.user("shown")

    assert hub("PUT", f"/users/{name}/servers/work").json()["display_name"] == "work"


@pytest.mark.parametrize("server", ["Work", "two--hyphens", "-a", "a-", "1a", "a.b", "x" * 31])
def test_a_name_that_no_server_can_have_is_refused(hub: Hub, server: str) -> None:
    name = hub.somebody()

    for method in ("PUT", "POST"):
        answer = hub(method, f"/users/{name}/servers/{server}")
        assert answer.status_code == 400
        assert "Invalid server_name" in answer.json()["message"]


@pytest.mark.parametrize("shown", [" outer", "two  spaces", "bell\x07", "x" * 256])
def test_a_name_that_cannot_be_shown_is_refused(hub: Hub, shown: str) -> None:
    name = hub.somebody()

    assert hub("PUT", f"/users/{name}/servers/work", {"display_name": shown}).status_code == 400


def test_the_default_server_is_not_removed(hub: Hub) -> None:
    assert hub("DELETE", f"/users/{hub.user('kept')}/server", {"remove": True}).status_code == 400


def test_a_change_with_an_unknown_key_is_refused(hub: Hub) -> None:
    name = hub.user("typing-error")
    hub("PUT", f"/users/{name}/servers/work")

    assert hub("PATCH", f"/users/{name}/servers/work", {"nmae": "x"}).status_code == 400


@pytest.mark.parametrize("body", [{}, {"user_options": []}, {"name": "No Name"}])
def test_a_change_that_means_nothing_is_refused(hub: Hub, body: object) -> None:
    name = hub.somebody()
    hub("PUT", f"/users/{name}/servers/work")

    assert hub("PATCH", f"/users/{name}/servers/work", body).status_code == 400


def test_a_new_name_must_be_free(hub: Hub) -> None:
    name = hub.user("crowded")
    for server in ("one", "two"):
        hub("PUT", f"/users/{name}/servers/{server}")

    assert hub("PATCH", f"/users/{name}/servers/one", {"name": "two"}).status_code == 409


def test_servers_of_nobody_are_not_found(hub: Hub) -> None:
    nobody = hub.name("nobody")

    for method in ("GET", "PUT", "POST", "PATCH", "DELETE"):
        assert hub(method, f"/users/{nobody}/server", {"name": "x"}).status_code == 404, method


def test_so_many_named_servers_and_no_more(own_hub: Hub) -> None:
    name = own_hub.user("collector")

    answers = [own_hub("PUT", f"/users/{name}/servers/{server}").status_code for server in ("a1", "b1", "c1", "d1")]

    assert answers == [201, 201, 201, 400]
    assert own_hub("POST", f"/users/{name}/servers/e1").status_code == 400


def test_a_start_that_fails_is_an_error_of_the_server(own_hub: Hub) -> None:
    name = own_hub.user("broken")

    answer = own_hub("POST", f"/users/{name}/server")
    model = own_hub("GET", f"/users/{name}").json()

    assert answer.status_code == 500
    assert answer.json()["status"] == 500
    assert (model["server"], model["pending"], model["servers"]) == (None, None, {})


def test_a_start_under_way_is_pending_and_asked_for_twice_is_one(own_hub: Hub) -> None:
    name = own_hub.user("slow")
    _ask_and_leave(own_hub, f"/users/{name}/server")

    model = own_hub("GET", f"/users/{name}").json()
    twice = own_hub("POST", f"/users/{name}/server")
    own_hub.until(lambda: own_hub("GET", f"/users/{name}/server").json()["ready"])
    own_hub.stopped(name)

    assert (model["server"], model["pending"]) == (None, "spawn")
    assert (model["servers"][""]["ready"], model["servers"][""]["pending"]) == (False, "spawn")
    assert twice.status_code in {201, 202}


def test_a_start_under_way_is_interrupted(own_hub: Hub) -> None:
    name = own_hub.user("slow-interrupted")
    _ask_and_leave(own_hub, f"/users/{name}/server")

    answer = own_hub("DELETE", f"/users/{name}/server")

    assert answer.status_code in {202, 204}
    own_hub.until(lambda: own_hub("GET", f"/users/{name}").json()["servers"] == {})


def _ask_and_leave(hub: Hub, where: str) -> None:
    """A client that does not wait for the answer."""
    with httpx.Client(base_url=hub.url, timeout=0.5, trust_env=False) as client, pytest.raises(httpx.ReadTimeout):
        client.post(hub.path(where), headers={"Authorization": f"token {hub.token}"})


def test_deleting_a_user_stops_the_server(hub: Hub) -> None:
    name = hub.user("deleted")
    hub.started(name)

    assert hub("DELETE", f"/users/{name}").status_code == 204
    assert hub("GET", f"/users/{name}/server").status_code == 404


def test_deleting_a_user_stops_all_their_servers(hub: Hub) -> None:
    name = hub.user("deleted-named")
    hub.started(name, "work")

    assert hub("DELETE", f"/users/{name}").status_code == 204


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """What a stream told."""
    lines = answer.text.splitlines()
    assert all(line.startswith("data: ") for line in lines if line)
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]


def test_the_stream_of_a_ready_server_is_one_event(hub: Hub) -> None:
    """
    Contract e.
    """
    name = hub.user("events-ready")
    hub.started(name)

    stream = hub("GET", f"/users/{name}/server/progress")
    hub.stopped(name)

    url = f"/user/{name}/"
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"
    assert events(stream) == [
        {
            "progress": 100,
            "ready": True,
            "message": f"Server ready at {url}",
            "html_message": f'Server ready at <a href="{url}">{url}</a>',
            "url": url,
        }
    ]


def test_the_stream_of_a_start_goes_up_and_ends_once(own_hub: Hub) -> None:
    name = own_hub.user("slow-events")
    _ask_and_leave(own_hub, f"/users/{name}/server")

    told = events(own_hub("GET", f"/users/{name}/server/progress"))
    own_hub.stopped(name)

    assert told[0]["progress"] < 100
    assert [bool(event.get("ready")) for event in told] == [*[False] * (len(told) - 1), True]
    numbers = [event["progress"] for event in told]
    assert numbers == sorted(numbers)


def test_the_stream_of_a_failure_ends_with_it(own_hub: Hub) -> None:
    name = own_hub.user("broken-events")
    own_hub("POST", f"/users/{name}/server")

    (event,) = events(own_hub("GET", f"/users/{name}/server/progress"))

    assert (event["progress"], event["failed"]) == (100, True)
    assert event["message"].startswith("Spawn failed")
    assert LAST_WORDS in event["message"]


def test_there_is_no_stream_where_nothing_starts(hub: Hub) -> None:
    name = hub.user("quiet")
    hub("PUT", f"/users/{name}/servers/work")
    hub.started(name)
    hub.stopped(name)

    # 404 if nobody remembers it, which nobody can rely on.
    assert hub("GET", f"/users/{name}/server/progress").status_code in {400, 404}
    assert hub("GET", f"/users/{name}/servers/none/progress").status_code == 404
    assert hub("GET", f"/users/{hub.name('nobody')}/server/progress").status_code == 404
