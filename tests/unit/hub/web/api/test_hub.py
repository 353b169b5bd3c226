from __future__ import annotations

from dataclasses import replace

import pytest

from perijove.hub.usecases.reload import Reading
from perijove.hub.web.app import renew_app
from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import SCRIPT, Rig, make_settings

SERVICE_TOKEN = "a-service-token-of-some-length"
SERVICES = [{"name": "culler", "api_token": SERVICE_TOKEN}]
ROLES = [{"name": "culler", "scopes": ["list:users", "read:servers", "delete:servers"], "services": ["culler"]}]


@pytest.mark.parametrize("path", ["/hub/api", "/hub/api/"])
async def test_the_version_is_told_to_everybody(rig: Rig, path: str) -> None:
    """
    Servers ask for it at start, without a slash, and compare the header.
    """
    async with rig.client() as client:
        answer = await client.get(path)

    assert answer.json()["version"] == "6.1.1"
    assert answer.headers["x-jupyterhub-version"] == "6.1.1"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_the_keys_of_identity_tokens_are_told_to_everybody_without_what_signs(rig: Rig) -> None:
    async with rig.client() as client:
        keys = (await client.get("/hub/api/identity-keys")).json()["keys"]

    assert [key["kid"] for key in keys] == ["key-1"]
    assert not any("d" in key for key in keys)


async def test_whoever_has_a_token_learns_who_they_are(rig: Rig) -> None:
    async with rig.program(await rig.token("bob")) as program:
        model = (await program.get("/hub/api/user")).json()

    assert model["kind"] == "user"
    assert model["name"] == "bob"
    assert model["groups"] == []
    assert model["token_id"].startswith("a")
    assert model["session_id"] is None
    assert "access:servers!user=bob" in model["scopes"]
    assert model["scopes"] == sorted(model["scopes"])


async def test_a_narrow_token_still_names_its_owner(rig: Rig) -> None:
    async with rig.program(await rig.token("bob", ["users:activity!user"])) as program:
        model = (await program.get("/hub/api/user")).json()

    assert (model["name"], model["groups"]) == ("bob", [])
    assert {"read:users:name!user=bob", "read:users:groups!user=bob"} < set(model["scopes"])
    assert "servers" not in model
    assert "last_activity" in model


async def test_a_service_is_what_the_configuration_says(tasks: TaskGroup) -> None:
    rig = Rig(tasks=tasks, settings=make_settings(services=SERVICES, load_roles=ROLES))
    await rig.add_user("bob")
    async with rig.program(SERVICE_TOKEN) as program:
        model = (await program.get("/hub/api/user")).json()
        users = await program.get("/hub/api/users")
        refused = await program.post("/hub/api/users/bob/server")

    assert (model["kind"], model["name"]) == ("service", "culler")
    assert [user["name"] for user in users.json()] == ["bob"]
    assert refused.status_code == 403


@pytest.mark.parametrize("header", ["token {}", "Bearer {}", "TOKEN {}", "bearer {}"])
async def test_both_words_in_any_case_carry_a_token(rig: Rig, header: str) -> None:
    async with rig.client(Authorization=header.format(await rig.token("bob"))) as client:
        assert (await client.get("/hub/api/user")).status_code == 200


@pytest.mark.parametrize("header", ["token wrong", "Basic YWRhOmFkYQ==", "token", ""])
async def test_anything_else_is_403_and_never_401(rig: Rig, header: str) -> None:
    async with rig.client(Authorization=header) as client:
        answer = await client.get("/hub/api/users")

    assert answer.status_code == 403
    assert answer.json() == {"status": 403, "message": "Missing or invalid credentials."}


async def test_a_token_in_the_address_is_not_accepted(rig: Rig) -> None:
    token = await rig.token("bob")
    async with rig.client() as client:
        assert (await client.get(f"/hub/api/user?token={token}")).status_code == 403


async def test_a_page_of_ours_may_call_with_its_token_only(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")
    call = browser.client

    without = await call.get("/hub/api/user", headers=SCRIPT)
    wrong = await call.get("/hub/api/user", headers={**SCRIPT, "X-XSRFToken": "wrong"})
    by_header = await call.get("/hub/api/user", headers={**SCRIPT, "X-XSRFToken": browser.xsrf})
    by_query = await call.get(f"/hub/api/user?_xsrf={browser.xsrf}", headers=SCRIPT)

    assert without.json()["message"] == "'_xsrf' argument missing from GET"
    assert wrong.json()["message"] == "XSRF cookie does not match GET argument"
    assert by_header.json()["name"] == by_query.json()["name"] == "bob"
    assert by_header.json()["session_id"]


async def test_a_form_cannot_call_the_api(rig: Rig) -> None:
    """
    Contract d: with the cookie only JSON counts, which no form of another site can send.
    """
    browser = await rig.signed_in("bob")
    await browser.get("/hub/home")

    answer = await browser.client.post(
        "/hub/api/users/bob/server", data={"_xsrf": browser.xsrf}, headers={"X-XSRFToken": browser.xsrf}
    )

    assert answer.status_code == 403


async def test_info_says_what_runs_here(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as program:
        info = (await program.get("/hub/api/info")).json()

    assert info["version"] == "6.1.1"
    assert set(info["spawner"]) == set(info["authenticator"]) == {"class", "version"}


async def test_the_table_of_the_proxy_can_be_read_and_mended(rig: Rig) -> None:
    await rig.start("bob")
    rig.proxy.restart()
    async with rig.program(await rig.token("ada")) as program:
        mended = await program.post("/hub/api/proxy")
        table = (await program.get("/hub/api/proxy")).json()

    assert mended.status_code == 200
    assert table["/user/bob/"]["routespec"] == "/user/bob/"
    assert table["/user/bob/"]["data"]["user"] == "bob"


async def test_an_administrator_ends_the_hub(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as program:
        wrong = await program.post("/hub/api/shutdown", json={"proxy": "yes"})
        right = await program.post("/hub/api/shutdown", json={"proxy": True})

    assert wrong.status_code == 400
    assert right.status_code == 202
    assert right.json() == {"message": "Shutting down Hub"}
    assert rig.shutdowns == [(None, True)]


async def test_metrics_keep_their_names(rig: Rig) -> None:
    await rig.start("bob")
    async with rig.program(await rig.token("ada")) as program:
        await program.get("/hub/api/users/bob")
        text = (await program.get("/hub/metrics")).text

    assert "jupyterhub_running_servers 1.0" in text
    assert "jupyterhub_total_users 3.0" in text
    assert 'handler="perijove.hub.web.api.users.get_user",method="GET"' in text


async def test_metrics_are_open_only_if_the_administrator_says_so(rig: Rig, tasks: TaskGroup) -> None:
    open_rig = Rig(tasks=tasks, settings=make_settings(authenticate_prometheus=False))
    async with rig.client() as guarded, open_rig.client() as opened:
        assert (await guarded.get("/hub/metrics")).status_code == 403
        assert (await opened.get("/hub/metrics")).status_code == 200


async def test_errors_are_json(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as program:
        missing = await program.get("/hub/api/nothing")
        method = await program.patch("/hub/api/info")
        options = await program.options("/hub/api/anything/at/all")

    assert missing.json() == {"status": 404, "message": None}
    assert method.json() == {"status": 405, "message": None}
    assert (options.status_code, options.text) == (200, "")


async def test_a_surprise_tells_no_details(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> None:
        raise ZeroDivisionError("secret detail")

    token = await rig.token("bob")
    monkeypatch.setattr(type(rig.parts.get_user), "known_of", fail)
    async with rig.program(token) as program:
        answer = await program.get("/hub/api/user")

    assert answer.status_code == 500
    assert answer.json() == {"status": 500, "message": "Internal Server Error"}
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_schema_names_every_address(rig: Rig) -> None:
    async with rig.client() as client:
        schema = (await client.get("/hub/api/openapi.json")).json()

    assert "/hub/api/users/{user_name}/servers/{server_name}/progress" in schema["paths"]


async def test_reading_the_configuration_again_says_what_counts_now_and_what_does_not(rig: Rig) -> None:
    rig.readings.append(Reading(inputs=None, changed=("Perijove.allow_signup",), needs_restart=("Perijove.port",)))
    async with rig.program(await rig.token("ada")) as program:
        answer = await program.post("/hub/api/reload")
        wrong = await program.post("/hub/api/reload")
        asked = [by.name if by else "" for by in rig.asked_to_reload]
    async with rig.program(await rig.token("bob")) as program:
        refused = await program.post("/hub/api/reload")

    assert asked == ["ada", "ada"]
    assert answer.json() == {"changed": ["Perijove.allow_signup"], "needs_restart": ["Perijove.port"]}
    assert wrong.status_code == 400
    assert wrong.json()["message"].startswith("Nothing was changed. config.py:2:")
    assert refused.status_code == 403


async def test_after_a_reload_the_next_request_is_answered_by_the_new_settings(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as program:
        before = await program.get("/hub/api/users")
        await renew_app(rig.app, replace(rig.parts, settings=replace(rig.parts.settings, api_page_max_limit=1)))
        after = await program.get("/hub/api/users")

    assert (len(before.json()), len(after.json())) == (3, 1)


async def test_who_asks_who_they_are_and_is_nobody_is_told_without_a_word(rig: Rig) -> None:
    async with rig.client() as client:
        answer = await client.get("/hub/api/user")

    assert (answer.status_code, answer.json()) == (403, {"status": 403, "message": None})


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/hub/api/shutdown", "OPTIONS, POST"),
        ("PUT", "/hub/api/users", "GET, OPTIONS, POST"),
        ("PATCH", "/hub/api/groups/class/users", "DELETE, OPTIONS, POST"),
        ("DELETE", "/hub/api/", "GET, OPTIONS"),
    ],
)
async def test_another_method_than_the_known_ones_is_405_in_the_shape_of_the_api(
    rig: Rig, method: str, path: str, allowed: str
) -> None:
    async with rig.client() as client:
        answer = await client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json() == {"status": 405, "message": None}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/hub/api/nothing", "/hub/api/users/", "/hub/api/users/bob/", "/hub/api/info/"])
async def test_an_unknown_address_is_404_whatever_the_method(rig: Rig, method: str, path: str) -> None:
    async with rig.program(await rig.token("ada")) as client:
        answer = await client.request(method, path)

    assert (answer.status_code, answer.json()) == (404, {"status": 404, "message": None})


@pytest.mark.parametrize("path", ["/hub/api", "/hub/api/", "/hub/api/users", "/hub/api/users/bob/server"])
async def test_browsers_may_ask_before_they_ask(rig: Rig, path: str) -> None:
    async with rig.client() as client:
        answer = await client.options(path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["access-control-allow-headers"] == "accept, content-type, authorization"


async def test_an_answer_that_has_not_changed_is_not_sent_again(rig: Rig) -> None:
    async with rig.program(await rig.token("bob")) as client:
        first = await client.get("/hub/api/user")
        again = await client.get("/hub/api/user", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-jupyterhub-version"] == "6.1.1"


async def test_what_the_api_answers_is_no_document(rig: Rig) -> None:
    async with rig.client() as client:
        policy = (await client.get("/hub/api")).headers["content-security-policy"]

    assert policy == "frame-ancestors 'none'; report-uri /hub/security/csp-report; default-src 'none'"
