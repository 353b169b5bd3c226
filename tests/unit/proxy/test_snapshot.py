from __future__ import annotations

from typing import Any

import pytest

from perijove.proxy.snapshot import Snapshot, UnreadableSnapshot, parse_snapshot


def test_a_snapshot_holds_keys_routes_and_revocations() -> None:
    content = {"version": 1, "door": True, "keys": [{"kid": "k"}], "routes": {"/": {}}, "revocations": [{}]}

    assert parse_snapshot(content) == Snapshot(keys=[{"kid": "k"}], routes={"/": {}}, revocations=[{}], door=True)


@pytest.mark.parametrize(
    "content",
    [None, [], {}, {"version": 2, "keys": [], "routes": {}, "revocations": []}, {"version": 1, "keys": {}}],
)
def test_another_shape_or_version_is_not_read(content: Any) -> None:
    with pytest.raises(UnreadableSnapshot):
        parse_snapshot(content)


def test_a_door_that_is_not_clearly_on_is_off() -> None:
    content = {"version": 1, "door": "yes", "keys": [], "routes": {}, "revocations": []}

    assert not parse_snapshot(content).door
