from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from structlog.testing import capture_logs

from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.watch_roles import WatchRoles


async def told_at_start(store: MemoryStore, *roles: Mapping[str, Any]) -> Sequence[tuple[str, Sequence[str]]]:
    with capture_logs() as logged:
        await WatchRoles(store=store, roles=load_roles(roles=roles, services=())).run()
    return [(entry["role"], entry["scopes"]) for entry in logged if entry["event"] == "role.gained_scopes"]


async def test_a_role_that_allows_more_than_at_the_last_start_is_told_of_once() -> None:
    store = MemoryStore()
    first = await told_at_start(store, {"name": "culling", "scopes": ["list:users"]})
    wider = {"name": "culling", "scopes": ["list:users", "delete:servers"]}

    assert first == []
    assert await told_at_start(store, wider) == [("culling", ["delete:servers"])]
    assert await told_at_start(store, wider) == []


async def test_a_role_that_is_new_is_told_of_with_all_that_it_allows_and_one_that_shrinks_is_not() -> None:
    store = MemoryStore()
    await told_at_start(store, {"name": "culling", "scopes": ["list:users", "delete:servers"]})

    smaller = {"name": "culling", "scopes": ["list:users"]}
    assert await told_at_start(store, smaller, {"name": "grading", "scopes": ["tokens"]}) == [("grading", ["tokens"])]


async def test_what_the_role_of_everybody_gains_is_told() -> None:
    store = MemoryStore()
    await told_at_start(store)

    assert await told_at_start(store, {"name": "user", "scopes": ["self", "shares!user"]}) == [
        ("user", ["shares!user"])
    ]
