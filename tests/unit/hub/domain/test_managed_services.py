from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_services import (
    LONGEST_PAUSE,
    ManagedService,
    Run,
    fingerprint_of,
    next_pause,
    read_managed,
    with_token,
)

DECLARED = {"name": "grader", "command": ["python3", "-m", "grader"]}
SERVICE = ManagedService(name="grader", command=("python3",))


def test_a_declaration_says_how_to_run_it() -> None:
    more = {"cwd": "/srv", "environment": {"A": "1"}, "user": "ada", "url": "http://127.0.0.1:99/", "timeout": 5}

    assert read_managed({**DECLARED, **more}) == ManagedService(
        name="grader",
        command=("python3", "-m", "grader"),
        cwd="/srv",
        environment={"A": "1"},
        user="ada",
        url="http://127.0.0.1:99",
        timeout=5.0,
    )


def test_a_command_may_be_one_text() -> None:
    service = read_managed({"name": "grader", "command": "run 'two words'"})

    assert service is not None
    assert service.command == ("run", "two words")


def test_a_service_without_command_is_not_the_hubs_to_run() -> None:
    assert read_managed({"name": "grader", "url": "http://127.0.0.1:99"}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"command": [], "cwd": "/srv"}, "has cwd but no command"),
        ({"command": ["a", 1]}, "list of words"),
        ({"command": 5}, "list of words"),
        ({"command": "a 'b"}, "cannot be read"),
        ({"cwd": 5}, "cwd must be text"),
        ({"user": ["x"]}, "user must be text"),
        ({"environment": {"A": 1}}, "dictionary of texts"),
        ({"environment": ["A"]}, "dictionary of texts"),
        ({"timeout": 0}, "number of seconds"),
        ({"timeout": True}, "number of seconds"),
    ],
)
def test_what_cannot_be_run_is_refused_by_name(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as refused:
        read_managed({**DECLARED, **change})

    assert "grader" in refused.value.message


def test_a_token_is_made_up_for_whom_the_hub_runs_and_is_the_same_in_every_hub() -> None:
    made = with_token(DECLARED, b"secret")

    assert len(made["api_token"]) == 32
    assert with_token(DECLARED, b"secret") == made
    assert with_token(DECLARED, b"another")["api_token"] != made["api_token"]
    assert with_token({**DECLARED, "name": "board"}, b"secret")["api_token"] != made["api_token"]


@pytest.mark.parametrize("declared", [{"name": "grader"}, {**DECLARED, "api_token": "stated-by-hand"}])
def test_no_token_is_made_up_for_others(declared: dict[str, Any]) -> None:
    assert with_token(declared, b"secret") == declared


@pytest.mark.parametrize("change", [{"command": ("other",)}, {"cwd": "/srv"}, {"user": "ada"}])
def test_another_way_to_run_it_has_another_fingerprint(change: dict[str, Any]) -> None:
    assert fingerprint_of(SERVICE, {}) == fingerprint_of(SERVICE, {})
    assert fingerprint_of(replace(SERVICE, **change), {}) != fingerprint_of(SERVICE, {})
    assert fingerprint_of(SERVICE, {"TOKEN": "x"}) != fingerprint_of(SERVICE, {})


def test_a_run_is_read_as_it_was_written() -> None:
    run = Run(generation=7, fingerprint="f")

    assert Run.from_text(run.to_text()) == run
    assert Run.from_text(None) is None


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_good_run() -> None:
    pauses = [next_pause(0, lasted=0.1)]
    while len(pauses) < 10:
        pauses.append(next_pause(pauses[-1], lasted=0.1))

    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == LONGEST_PAUSE
    assert next_pause(LONGEST_PAUSE, lasted=3600) == 1
