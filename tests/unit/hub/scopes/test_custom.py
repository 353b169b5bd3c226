from __future__ import annotations

from typing import Any

import pytest

from perijove.hub.scopes.custom import NO_CUSTOM_SCOPES, is_custom, read_custom_scopes
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.grammar import parse
from perijove.hub.scopes.intersection import intersect

GRADES = {
    "custom:grades": {"description": "Everything about grades.", "subscopes": ["custom:grades:write"]},
    "custom:grades:write": {"description": "Change grades.", "subscopes": ["custom:grades:read"]},
    "custom:grades:read": {"description": "Read grades."},
}


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("custom:grades:read", True),
        ("custom:a-b_c:*", True),
        ("custom:", False),
        ("custom:A", False),
        ("custom:grades:", False),
        ("grades:read", False),
        ("custom:grades read", False),
    ],
)
def test_names_of_custom_scopes_are_the_contracts(name: str, *, is_one: bool) -> None:
    assert is_custom(name) == is_one


def test_a_custom_scope_brings_along_its_subscopes_under_the_same_filter() -> None:
    custom = read_custom_scopes(GRADES)

    assert custom.widen(expand(["custom:grades!group=class", "proxy"], Holder())) == {
        "custom:grades!group=class",
        "custom:grades:write!group=class",
        "custom:grades:read!group=class",
        "proxy",
    }


def test_those_that_go_round_in_a_circle_end() -> None:
    circle = read_custom_scopes(
        {f"custom:{a * 3}": {"description": "x", "subscopes": [f"custom:{b * 3}"]} for a, b in ("ab", "ba")}
    )

    assert circle.widen(frozenset({"custom:aaa"})) == {"custom:aaa", "custom:bbb"}


def test_a_token_gets_no_more_of_them_than_its_owner_has() -> None:
    custom = read_custom_scopes(GRADES)
    owner = custom.widen(expand(["custom:grades:write!user=ada"], Holder()))

    assert intersect(custom.widen(expand(["custom:grades"], Holder())), owner) == owner


def test_what_is_not_declared_does_not_exist() -> None:
    assert parse("custom:other:thing").name == "custom:other:thing"
    with pytest.raises(BadScope, match="custom:other:thing"):
        read_custom_scopes(GRADES).check(["proxy", "custom:other:thing!user=ada"])
    with pytest.raises(BadScope):
        NO_CUSTOM_SCOPES.check(["custom:grades"])


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"grades": {"description": "x"}}, "must begin with custom:"),
        ({"custom:grades": {}}, "needs a description"),
        ({"custom:grades": "x"}, "needs a description"),
        ({"custom:grades": {"description": "x", "sub": []}}, "unknown key 'sub'"),
        ({"custom:grades": {"description": "x", "subscopes": "read"}}, "must be a list"),
        ({"custom:grades": {"description": "x", "subscopes": ["proxy"]}}, "'proxy', which is no custom scope"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(declared: dict[str, Any], words: str) -> None:
    with pytest.raises(BadScope, match=words) as refused:
        read_custom_scopes(declared)

    assert next(iter(declared)) in str(refused.value)
