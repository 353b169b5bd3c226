from __future__ import annotations

import pytest
from hypothesis import given

from perijove.hub.scopes.decision import ServerResource, ServiceResource
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.rights import rights, rights_of, strongest
from perijove.wire.identity import FULL_ACCESS
from tests.unit.hub.scopes.strategies import scope_sets
from tests.unit.hub.scopes.test_decision import Somebody

ADAS = ServerResource("ada", "")
BOB = Holder(user="bob")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ("access:services", FULL_ACCESS),
        ("access:services!service=board", FULL_ACCESS),
        ("access:services!service=other", ()),
        ("access:servers", ()),
        ("admin:services", ()),
    ],
)
def test_who_may_enter_a_service_may_all_that_it_lets_them(held: str, expected: tuple[str, ...]) -> None:
    assert rights(Somebody(expand([held], BOB)), ServiceResource("board")) == expected


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ("access:servers:read!server=ada/", ("read",)),
        ("access:servers:write!server=ada/", ("read", "write")),
        ("access:servers!server=ada/", FULL_ACCESS),
        ("access:servers:write!user=ada", ("read", "write")),
        ("shares!server=ada/", FULL_ACCESS),
        ("access:servers", FULL_ACCESS),
        ("access:servers!server=ada/work", ()),
        ("access:servers!user=bob", ()),
        ("admin:servers", ()),
    ],
)
def test_scopes_give_rights(held: str, expected: tuple[str, ...]) -> None:
    assert rights(Somebody(expand([held], BOB)), ADAS) == expected


@pytest.mark.parametrize(
    ("scopes", "word"),
    [
        (("access:servers:read",), "read"),
        (("access:servers:read", "access:servers:write"), "write"),
        (("access:servers", "read:servers"), "execute"),
        (("start:servers",), ""),
    ],
)
def test_a_share_is_called_by_its_strongest_right(scopes: tuple[str, ...], word: str) -> None:
    assert strongest(scopes) == word
    assert rights_of(scopes) == FULL_ACCESS[: len(rights_of(scopes))]
    assert rights_of(scopes)[-1:] == ((word,) if word else ())


@given(scope_sets, scope_sets)
def test_fewer_scopes_never_give_more_rights_and_rights_have_no_gaps(
    some: frozenset[str], more: frozenset[str]
) -> None:
    few, many = Somebody(expand(some, BOB)), Somebody(expand(some | more, BOB))

    assert set(rights(few, ADAS)) <= set(rights(many, ADAS))
    assert rights(few, ADAS) == FULL_ACCESS[: len(rights(few, ADAS))]
