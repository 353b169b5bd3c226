from __future__ import annotations

import pytest

from perijove.proxy.core.changes import Change, PutRoute, RemoveRoute, ReplaceRoutes, Revoke, SetKeys
from perijove.proxy.core.errors import BadControlCall
from perijove.proxy.core.state import State
from perijove.wire.control import Revocation

BODY = {"target": "http://127.0.0.1:1", "access": "open"}
ELSEWHERE = {"target": "http://127.0.0.1:2", "access": "open"}
CHANGES: list[Change] = [
    PutRoute("/a", BODY),
    PutRoute("/b", BODY),
    SetKeys([{"kid": "k"}]),
    Revoke(Revocation(before=3, sid="s")),
    PutRoute("/a", ELSEWHERE),
    RemoveRoute("/b"),
    ReplaceRoutes({"/c": BODY, "/a": ELSEWHERE}),
]


def told(*changes: Change) -> State:
    state = State()
    for now, change in enumerate(changes):
        state.apply(change, now=float(now))
    return state


def shown(state: State) -> object:
    routes = {entry.path: (entry.body, entry.last_activity) for entry in state.table}
    return routes, state.jwks, [revocation.to_body() for revocation in state.revocations], state.door


@pytest.mark.parametrize("length", range(len(CHANGES) + 1))
def test_a_copy_says_the_same(length: int) -> None:
    state = told(*CHANGES[:length])

    assert shown(state.copy()) == shown(state)


def test_a_copy_shares_nothing() -> None:
    state = told(*CHANGES)
    copy = state.copy()

    copy.apply(ReplaceRoutes({}), now=9.0)
    copy.apply(SetKeys([]), now=9.0)
    copy.apply(Revoke(Revocation(before=1, user="u")), now=9.0)

    assert shown(state) == shown(told(*CHANGES))


def test_a_replaced_route_is_retired() -> None:
    state = told(PutRoute("/a", BODY))
    old = state.table.get("/a")

    assert state.apply(PutRoute("/a", ELSEWHERE), now=1.0) == [old]


def test_a_door_that_lost_its_keys_stays_shut() -> None:
    assert told(SetKeys([{"kid": "k"}]), SetKeys([])).door
    assert not told(SetKeys([])).door


def test_a_change_that_is_refused_changes_nothing() -> None:
    state = told(*CHANGES)

    with pytest.raises(BadControlCall):
        state.apply(ReplaceRoutes({"/x": BODY, "/y": {}}), now=9.0)

    assert shown(state) == shown(told(*CHANGES))


def test_activity_that_a_worker_saw_moves_forward_only() -> None:
    state = told(PutRoute("/a", BODY), PutRoute("/b", BODY))

    state.note_activity({"/a": 7.0, "/b": 0.5, "/gone": 8.0})

    assert {entry.path: entry.last_activity for entry in state.table} == {"/a": 7.0, "/b": 1.0}
    assert state.activity_since(1.0) == {"/a": 7.0}


def test_replacing_all_routes_is_no_use_of_those_that_stay() -> None:
    state = told(PutRoute("/a", BODY))

    state.apply(ReplaceRoutes({"/a": BODY, "/b": BODY}), now=5.0)

    assert {entry.path: entry.last_activity for entry in state.table} == {"/a": 0.0, "/b": 5.0}
