from __future__ import annotations

from typing import Any

import pytest

from perijove.launcher.errors import BadRequest
from perijove.launcher.protocol import launch_request
from perijove.wire.launcher import LaunchRequest, Limits

REQUEST = LaunchRequest(
    key="ada/",
    generation=1,
    user="ada",
    server_name="",
    system_user="ada",
    create_user=True,
    home="",
    environment={"A": "1"},
    argv=("sh", "-c", "true"),
    limits=Limits(open_files=10),
)


def frame(**changes: Any) -> dict[str, Any]:
    return {"v": 1, "id": 1, "op": "launch", **REQUEST.to_json(), **changes}


def test_what_a_client_writes_is_what_the_launcher_reads() -> None:
    assert launch_request(frame()) == REQUEST


def test_fields_of_a_newer_client_are_ignored() -> None:
    assert launch_request(frame(something_new=1)) == REQUEST


@pytest.mark.parametrize(
    "changes",
    [
        {"key": ""},
        {"key": None},
        {"user": 7},
        {"home": "/a\0b"},
        {"generation": "1"},
        {"generation": True},
        {"environment": None},
        {"environment": {"A=B": "1"}},
        {"environment": {"A": "1\0"}},
        {"limits": {"unknown": 1}},
        {"argv": 5},
        {"own_port": "yes"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadRequest):
        launch_request(frame(**changes))
