from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.errors import InvalidRequest, InvalidServerName
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import OWN_SIGN_IN, Server, check_display_name, check_server_name, first_generation

SERVER = Server(
    id=1,
    user_id=2,
    user_name="ada",
    name="work",
    state=State.STOPPED,
    generation=0,
    created=datetime(2026, 1, 2, tzinfo=UTC),
)


@pytest.mark.parametrize("name", ["", "a", "work", "work-2", "a1-b2-c3", "x" * 30])
def test_server_names_of_the_contract_are_fine(name: str) -> None:
    assert check_server_name(name) == name


@pytest.mark.parametrize("name", ["Work", "1work", "-a", "a-", "a--b", "a_b", "a/b", "ä", "x" * 31, "a\n"])
def test_other_server_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidServerName, match="Invalid server_name"):
        check_server_name(name)


@pytest.mark.parametrize(("text", "shown"), [("", ""), ("My work ☕", "My work ☕"), ("e\u0301", "é")])
def test_display_names_are_shown_in_one_form(text: str, shown: str) -> None:
    assert check_display_name(text) == shown


@pytest.mark.parametrize("text", ["two  spaces", " outer", "tab\t", "line\nbreak", "x" * 256, "\u202eevil"])
def test_display_names_that_mislead_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="display_name"):
        check_display_name(text)


@pytest.mark.parametrize(
    ("state", "pending", "ready", "active"),
    [
        (State.STOPPED, None, False, False),
        (State.LAUNCHING, "spawn", False, True),
        (State.PROBING, "spawn", False, True),
        (State.ROUTING, "spawn", False, True),
        (State.READY, None, True, True),
        (State.STOPPING, "stop", False, True),
    ],
)
def test_each_state_in_the_words_of_the_contract(state: State, pending: str | None, ready: bool, active: bool) -> None:  # noqa: FBT001
    server = replace(SERVER, state=state)

    assert (server.pending, server.is_ready, server.is_active) == (pending, ready, active)


def test_the_key_names_owner_and_server() -> None:
    assert SERVER.key == "ada/work"
    assert replace(SERVER, name="").key == "ada/"


def test_a_server_made_anew_is_younger_than_every_start_of_the_one_before() -> None:
    """
    The launcher refuses old generations of a name: a user deleted and added again could start nothing.
    """
    before = first_generation(SERVER.created)
    starts = 50

    assert first_generation(SERVER.created + timedelta(seconds=1)) > before + starts


@pytest.mark.parametrize("handle", [{}, {OWN_SIGN_IN: "yes"}, {OWN_SIGN_IN: 1}, {"pid": 1}])
def test_a_run_is_behind_the_door_unless_its_handle_says_otherwise(handle: dict[str, object]) -> None:
    assert not replace(SERVER, handle=handle).does_own_sign_in
    assert replace(SERVER, handle={**handle, OWN_SIGN_IN: True}).does_own_sign_in
