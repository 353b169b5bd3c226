"""
The control API as configurable-http-proxy's clients know it, and what perijove adds to it.

JupyterHub drives a proxy with exactly these calls.
"""

from __future__ import annotations

from typing import Any

import pytest

from perijove.kit.jws import SigningKey
from tests.contract.proxy.conftest import MakeSite
from tests.integration.proxy.support import TOKEN, Site, request, running

TARGET = "http://127.0.0.1:47721"
ADA: dict[str, Any] = {"user": "ada", "server_name": "", "target": TARGET, "jupyterhub": True}


async def test_a_route_is_added_listed_and_removed(site: Site) -> None:
    added = await site.control("POST", "/api/routes/user/ada", ADA)
    listed = (await site.control("GET", "/api/routes")).json()
    one = (await site.control("GET", "/api/routes/user/ada")).json()
    removed = await site.control("DELETE", "/api/routes/user/ada")
    empty = (await site.control("GET", "/api/routes")).json()

    assert (added.status, added.body) == (201, b"")
    assert listed == {"/user/ada": one}
    assert {key: value for key, value in one.items() if key != "last_activity"} == ADA
    assert one["last_activity"].endswith("Z")
    assert (removed.status, removed.body) == (204, b"")
    assert empty == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/api/routes/user/eve", None, 404, ""),
        ("DELETE", "/api/routes/user/eve", None, 404, ""),
        ("POST", "/api/routes/x", {}, 400, "Must specify 'target' as string"),
        ("POST", "/api/routes/x", {"target": 5}, 400, "Must specify 'target' as string"),
        ("POST", "/api/routes/x", {"target": "ftp://x"}, 400, "A target must look like"),
        ("POST", "/api/routes/x", {"target": TARGET, "access": "public"}, 400, "'access' must be"),
        ("POST", "/api/routes/x", [1], 400, "Body must be a JSON object"),
        ("GET", "/api/routes?inactive_since=soon", None, 400, "Invalid datestamp 'soon' must be ISO8601."),
        ("PATCH", "/api/routes/x", {}, 405, "Method not supported"),
        ("PUT", "/api/routes/x", {}, 405, "Method not supported"),
        ("PUT", "/api/routes", {"/x": 1}, 400, "Every route must be an object"),
        ("PUT", "/api/routes", {"/x": {}}, 400, "Must specify 'target' as string"),
        ("GET", "/api/keys", None, 405, "Method not supported"),
        ("PUT", "/api/keys", {"keys": 1}, 400, "Must specify 'keys'"),
        ("PUT", "/api/keys", {"keys": [{"kid": "x"}]}, 400, "'keys' must be a list of ES256"),
        ("POST", "/api/revocations", {"sid": "s"}, 400, "Must specify 'before'"),
        ("POST", "/api/revocations", {"before": 1}, 400, "exactly one of"),
        ("POST", "/api/revocations", {"before": 1, "sid": "a", "user": "b"}, 400, "exactly one of"),
        ("POST", "/api/revocations", {"before": 1, "sid": 7}, 400, "must be strings"),
        ("GET", "/api", None, 404, "Not Found"),
        ("GET", "/", None, 404, "Not Found"),
        ("GET", "/api/routesx", None, 404, "Not Found"),
    ],
)
async def test_wrong_calls_say_what_is_wrong(
    site: Site, method: str, path: str, body: object, status: int, text: str
) -> None:
    answer = await site.control(method, path, body)

    assert answer.status == status
    assert text in answer.body.decode()


async def test_bad_json_is_a_400(site: Site) -> None:
    client = await site.connect_to_control()
    client.send(request("/api/routes/x", f"Authorization: token {TOKEN}", method="POST", body=b"{"))

    assert (await client.response()).status == 400


@pytest.mark.parametrize(
    "header",
    ["", "Authorization: token wrong", f"Authorization: Bearer {TOKEN}", f"Authorization: Token {TOKEN}",
     f"Authorization: {TOKEN}", f"Authorization: token {TOKEN}x"],
)  # fmt: skip
async def test_without_the_token_nothing_is_told_or_changed(site: Site, header: str) -> None:
    client = await site.connect_to_control()
    client.send(request("/api/routes", *filter(None, [header])))
    answer = await client.response()

    assert (answer.status, answer.body) == (403, b"")


async def test_without_a_token_configured_the_api_is_open() -> None:
    async with running(auth_token="") as site:
        answer = await site.control("GET", "/api/routes", token="whatever")

    assert answer.status == 200


@pytest.mark.parametrize("path", ["/api/routes", "/api/routes/"])
async def test_the_default_route_has_two_paths(site: Site, path: str) -> None:
    added = await site.control("POST", path, {"target": TARGET, "hub": True})
    listed = (await site.control("GET", "/api/routes")).json()
    one = (await site.control("GET", "/api/routes/")).json()
    removed = await site.control("DELETE", "/api/routes/")

    assert (added.status, removed.status) == (201, 204)
    assert list(listed) == ["/"]
    assert one["hub"] is True


async def test_paths_are_decoded_and_a_trailing_slash_is_tolerated(site: Site) -> None:
    await site.control("POST", "/api/routes/user/a%20b/", ADA)
    listed = (await site.control("GET", "/api/routes")).json()
    one = await site.control("GET", "/api/routes/user/a%20b/")
    removed = await site.control("DELETE", "/api/routes/user/a%20b/")

    assert list(listed) == ["/user/a b"]
    assert (one.status, removed.status) == (200, 204)


@pytest.mark.parametrize("name", ["inactive_since", "inactiveSince"])
async def test_inactive_routes_can_be_asked_for(site: Site, name: str) -> None:
    await site.control("POST", "/api/routes/user/ada", ADA)
    future = (await site.control("GET", f"/api/routes?{name}=2999-01-01T00:00:00.000Z")).json()
    past = (await site.control("GET", f"/api/routes?{name}=2001-01-01T00:00:00Z")).json()

    assert (list(future), list(past)) == (["/user/ada"], [])


async def test_posting_again_replaces(site: Site) -> None:
    await site.control("POST", "/api/routes/user/ada", ADA)
    await site.control("POST", "/api/routes/user/ada", {"target": "http://127.0.0.1:2", "extra": [1]})
    one = (await site.control("GET", "/api/routes/user/ada")).json()
    one.pop("last_activity")

    assert one == {"target": "http://127.0.0.1:2", "extra": [1]}


async def test_the_whole_table_can_be_replaced(site: Site) -> None:
    await site.control("POST", "/api/routes/user/ada", ADA)
    answer = await site.control("PUT", "/api/routes", {"/": {"target": TARGET}, "/user/bob": ADA})
    listed = (await site.control("GET", "/api/routes")).json()

    assert (answer.status, answer.body) == (204, b"")
    assert sorted(listed) == ["/", "/user/bob"]


async def version_of(site: Site) -> str:
    """The `ETag` of the table."""
    tag = (await site.control("GET", "/api/routes")).field("ETag")
    assert tag is not None
    return tag


async def test_the_version_changes_with_the_table_and_not_with_its_use(site: Site) -> None:
    versions = [await version_of(site)]
    for method, path, content in (
        ("POST", "/api/routes/user/ada", ADA),
        ("POST", "/api/routes/user/ada", ADA | {"user": "eve"}),
        ("PUT", "/api/routes", {"/user/ada": ADA}),
        ("DELETE", "/api/routes/user/ada", None),
    ):
        await site.control(method, path, content)
        versions.append(await version_of(site))
    await site.control("PUT", "/api/routes", {})
    await site.control("DELETE", "/api/routes/user/ada")
    await site.ask("/user/ada")

    assert len(set(versions)) == len(versions)
    assert await version_of(site) == versions[-1]


async def test_a_whole_table_is_not_replaced_by_who_has_read_an_older_one(site: Site) -> None:
    """
    Of several hubs none undoes by a whole table what another has just added.
    """
    old = await version_of(site)
    await site.control("POST", "/api/routes/user/ada", ADA)
    refused = await site.control("PUT", "/api/routes", {"/user/bob": ADA}, fields=(f"If-Match: {old}",))
    between = await site.control("GET", "/api/routes")
    accepted = await site.control(
        "PUT", "/api/routes", {"/user/bob": ADA}, fields=(f"If-Match: {between.field('ETag')}",)
    )
    after = (await site.control("GET", "/api/routes")).json()

    assert (refused.status, list(between.json())) == (412, ["/user/ada"])
    assert (accepted.status, list(after)) == (204, ["/user/bob"])


async def test_a_table_may_be_replaced_whatever_it_is(site: Site) -> None:
    await site.control("POST", "/api/routes/user/ada", ADA)
    answer = await site.control("PUT", "/api/routes", {}, fields=("If-Match: *",))

    assert (answer.status, (await site.control("GET", "/api/routes")).json()) == (204, {})


async def test_two_proxies_never_have_the_same_version(make_site: MakeSite) -> None:
    async with make_site() as one, make_site() as other:
        versions = await version_of(one), await version_of(other)
        answer = await other.control("PUT", "/api/routes", {}, fields=(f"If-Match: {versions[0]}",))

    assert versions[0] != versions[1]
    assert answer.status == 412


async def test_a_table_of_ten_thousand_routes_is_one_call(site: Site) -> None:
    bodies = {f"/user/u{number}": ADA | {"user": f"u{number}"} for number in range(10_000)}
    answer = await site.control("PUT", "/api/routes", bodies)
    listed = (await site.control("GET", "/api/routes")).json()

    assert answer.status == 204
    assert len(listed) == 10_000


async def test_keys_and_revocations_are_accepted(site: Site) -> None:
    keys = await site.control("PUT", "/api/keys", {"keys": [SigningKey.generate().public_jwk]})
    revocation = {"before": 100, "sid": "", "user": "ada", "audience": "ada/"}
    revoked = await site.control("POST", "/api/revocations", revocation)

    assert (keys.status, revoked.status) == (204, 204)


async def test_a_connection_serves_many_calls(site: Site) -> None:
    client = await site.connect_to_control()
    for _ in range(3):
        client.send(request("/api/routes", f"Authorization: token {TOKEN}"))
        assert (await client.response()).status == 200


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /api/routes HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /api/routes HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET /api/routes HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /api/routes HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_calls_are_bounded_and_strict(site: Site, raw: bytes, status: int) -> None:
    client = await site.connect_to_control()
    client.send(raw)

    assert (await client.response()).status == status


async def test_a_call_that_asks_first_is_told_to_go_on(site: Site) -> None:
    client = await site.connect_to_control()
    body = b'{"target": "http://127.0.0.1:1"}'
    lines = (f"Authorization: token {TOKEN}", "Expect: 100-continue")
    client.send(request("/api/routes/x", *lines, method="POST", body=body))
    first, second = await client.response(), await client.response()

    assert (first.status, second.status) == (100, 201)
