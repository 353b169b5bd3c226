from __future__ import annotations

import json
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from perijove.proxy.control.api import Call, ControlApi, read_revocation
from perijove.proxy.core.answers import Answer
from perijove.proxy.core.errors import BadControlCall, Outdated
from perijove.wire.control import Revocation


@dataclass
class FakeBackend:
    """Remembers what was asked of it."""

    table: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: Sequence[Mapping[str, Any]] = ()
    revocations: list[Revocation] = field(default_factory=list)

    async def routes(self) -> dict[str, dict[str, Any]]:
        return {path: {**body, "last_activity": 0.0} for path, body in self.table.items()}

    async def put_route(self, path: str, body: Mapping[str, Any]) -> None:
        self.table["/" + path.strip("/")] = dict(body)

    async def remove_route(self, path: str) -> bool:
        return self.table.pop("/" + path.strip("/"), None) is not None

    def version(self) -> str:
        return "a-1"

    async def replace_routes(
        self, bodies: Mapping[str, Mapping[str, Any]], *, versions: Collection[str] | None
    ) -> None:
        if versions is not None and self.version() not in versions:
            raise Outdated
        self.table = {path: dict(body) for path, body in bodies.items()}

    async def set_keys(self, jwks: Sequence[Mapping[str, Any]]) -> None:
        self.keys = jwks

    async def revoke(self, revocation: Revocation) -> None:
        self.revocations.append(revocation)

    async def door(self) -> dict[str, Any]:
        return {"keys": []}


def done(work: Coroutine[Any, Any, Answer]) -> Answer:
    """What *work* answers, which waits for nothing here."""
    with pytest.raises(StopIteration) as end:
        work.send(None)
    answer = end.value.value
    assert isinstance(answer, Answer)
    return answer


def call(api: ControlApi, method: str, target: str, content: Any = None) -> tuple[int, bytes]:
    body = b"" if content is None else json.dumps(content).encode()
    answer = done(api.answer(Call(method=method, target=target, authorization="token s", body=body)))
    return answer.status, answer.body


def test_activity_is_told_as_javascript_does() -> None:
    backend = FakeBackend(table={"/x": {}})

    _, body = call(ControlApi(backend=backend, auth_token="s"), "GET", "/api/routes/x")

    assert json.loads(body) == {"last_activity": "1970-01-01T00:00:00.000Z"}


def test_a_moment_without_a_zone_is_utc() -> None:
    api = ControlApi(backend=FakeBackend(table={"/x": {}}), auth_token="s")

    before = call(api, "GET", "/api/routes?inactive_since=1970-01-01T00:00:00")
    after = call(api, "GET", "/api/routes?inactive_since=1970-01-01T00:00:01")

    assert (before, after[1] != b"{}") == ((200, b"{}"), True)


def test_revocations_and_keys_reach_the_backend() -> None:
    backend = FakeBackend()
    api = ControlApi(backend=backend, auth_token="s")
    revocation = Revocation(before=1, sid="s1", audience="ada/")

    statuses = [
        call(api, "POST", "/api/revocations", revocation.to_body())[0],
        call(api, "PUT", "/api/keys", {"keys": [{"kid": "k"}]})[0],
    ]

    assert statuses == [204, 204]
    assert backend.revocations == [revocation]
    assert backend.keys == [{"kid": "k"}]


@pytest.mark.parametrize(
    "authorization", ["", "token", "token  ", "token x", "Token s", "bearer s", "token s x", "tokens"]
)
def test_a_wrong_token_is_refused(authorization: str) -> None:
    backend = FakeBackend()
    api = ControlApi(backend=backend, auth_token="s")

    answer = done(api.answer(Call(method="POST", target="/api/routes/x", authorization=authorization, body=b"{}")))

    assert (answer.status, answer.body) == (403, b"")
    assert backend.table == {}


def put_if_match(backend: FakeBackend, if_match: str | None) -> Answer:
    api = ControlApi(backend=backend, auth_token="s")
    return done(
        api.answer(
            Call(method="PUT", target="/api/routes", authorization="token s", body=b'{"/y": {}}', if_match=if_match)
        )
    )


@pytest.mark.parametrize(
    "if_match", [None, "*", " * ", '"a-1"', '"b-1", "a-1"', 'W/"a-1","a-1"', ', "a-1" ,,'], ids=repr
)
def test_a_table_of_the_version_asked_for_is_replaced(if_match: str | None) -> None:
    backend = FakeBackend(table={"/x": {}})

    answer = put_if_match(backend, if_match)

    assert (answer.status, backend.table) == (204, {"/y": {}})


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ('"a-2"', 412), ('"A-1"', 412), ('W/"a-1"', 412), ('"b-1", "c-1"', 412), ('"*"', 412), ('""', 412),
        ("a-1", 400), ("", 400), ('"a-1', 400), ('*, "a-1"', 400), ('"b" "a-1"', 400), ('w/"a-1"', 400),
    ],
)  # fmt: skip
def test_a_table_of_any_other_version_is_left_alone(if_match: str, status: int) -> None:
    backend = FakeBackend(table={"/x": {}})

    answer = put_if_match(backend, if_match)

    assert (answer.status, backend.table) == (status, {"/x": {}})


def test_the_list_of_routes_says_its_version() -> None:
    api = ControlApi(backend=FakeBackend(table={"/x": {}}), auth_token="s")

    answer = done(api.answer(Call(method="GET", target="/api/routes", authorization="token s", body=b"")))

    assert answer.fields == b'ETag: "a-1"\r\n'


@pytest.mark.parametrize(
    "body",
    [{}, {"before": True, "sid": "s"}, {"before": 1.5, "sid": "s"}, {"before": 1, "sid": "s", "audience": 1}],
)
def test_what_is_no_revocation_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BadControlCall):
        read_revocation(body)
