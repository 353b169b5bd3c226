from __future__ import annotations

from perijove.hub.domain.progress import ProgressEvent


def test_empty_members_are_left_out() -> None:
    assert ProgressEvent(progress=0, message="Server requested").to_json() == {
        "progress": 0,
        "message": "Server requested",
    }


def test_a_failure_shows_the_last_lines() -> None:
    frame = ProgressEvent(progress=100, message="Spawn failed: x", failed=True, log=("a", "b")).to_json()

    assert frame == {"progress": 100, "failed": True, "message": "Spawn failed: x", "log": ["a", "b"]}
