from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.shares import Share
from perijove.hub.scopes.decision import ServerResource
from perijove.hub.web.pages.sharing_views import knows_people, levels, may_do, title_of, who_has

NOW = datetime(2026, 11, 23, tzinfo=UTC)
BOB = Share(id=1, server_id=1, owner="ada", server_name="", user="bob", created=NOW)


def principal(*scopes: str) -> Principal:
    return Principal(kind=Kind.USER, name="ada", scopes=frozenset(scopes))


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        (("access:servers:read",), "look at files and results"),
        (("access:servers:read", "access:servers:write"), "look at files and change them, without running code"),
        (("access:servers",), "do everything: run code, and change and delete files"),
        (("access:servers:read", "start:servers"), "look at files and results; start servers"),
        (("start:servers",), "start servers"),
    ],
)
def test_rights_are_said_in_words(scopes: tuple[str, ...], words: str) -> None:
    assert may_do(scopes) == words


def test_only_what_one_has_oneself_can_be_chosen() -> None:
    server = ServerResource("ada", "")

    some = levels(principal("access:servers:read!user=ada", "access:servers:write!server=ada/"), server)

    assert [level.scope for level in some] == ["access:servers:read", "access:servers:write"]
    assert levels(principal(), server) == []


@pytest.mark.parametrize(
    ("scopes", "known"),
    [
        (("read:users:name!user=ada",), False),
        ((), False),
        (("read:users:name!user=bob",), True),
        (("read:users:name",), True),
        (("read:groups:name!group=lab",), True),
    ],
)
def test_knowing_people_is_knowing_somebody_else(scopes: tuple[str, ...], known: bool) -> None:  # noqa: FBT001
    assert knows_people(principal(*scopes)) is known


def test_a_card_names_a_few_and_counts_the_rest() -> None:
    lab = replace(BOB, user="", group="lab")

    assert who_has([]) == ""
    assert who_has([BOB, lab]) == "bob, group lab"
    assert who_has([BOB, lab, BOB, BOB, BOB]) == "bob, group lab, bob and 2 more"


def test_a_server_is_called_by_its_owner() -> None:
    assert title_of("ada", "") == "The server of ada"
    assert title_of("ada", "gpu") == "The server gpu of ada"
