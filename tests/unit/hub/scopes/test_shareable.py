from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.scopes.decision import ServerResource, may
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.shareable import bare_scopes, not_held
from tests.unit.hub.scopes.strategies import PLAIN, scope_sets
from tests.unit.hub.scopes.test_decision import Somebody

ADAS = ServerResource("ada", "work")


def test_a_filter_to_the_server_is_the_only_one() -> None:
    assert bare_scopes(["read:servers", "access:servers!server=ada/work", "access:servers"], ADAS) == (
        "access:servers",
        "read:servers",
    )
    for text in ("access:servers!user=ada", "access:servers!server=ada/", "access:servers!server", "self", "inherit"):
        with pytest.raises(BadScope):
            bare_scopes([text], ADAS)


def test_a_scope_that_is_about_the_owner_alone_cannot_be_shared() -> None:
    with pytest.raises(BadScope, match="nothing for one server"):
        bare_scopes(["read:users"], ADAS)


def test_what_comes_with_a_scope_must_be_held_too() -> None:
    giver = Somebody(frozenset({"servers!server=ada/work", "read:servers!server=ada/work"}))

    assert not_held(giver, ["servers", "read:servers"], ADAS) == ("servers",)


@given(scope_sets, st.sets(st.sampled_from(PLAIN), min_size=1, max_size=4))
def test_who_is_given_a_share_may_never_do_what_the_giver_may_not(held: frozenset[str], wanted: set[str]) -> None:
    giver = Somebody(expand(held, Holder(user="ada")))
    shared = [scope for scope in sorted(wanted) if not not_held(giver, [scope], ADAS)]
    taker = Somebody(expand([f"{scope}!server=ada/work" for scope in shared], Holder(user="bob")))

    for scope in PLAIN:
        assert may(giver, scope, ADAS) or not may(taker, scope, ADAS)
