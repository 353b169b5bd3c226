from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.grammar import Filter, FilterKind, Scope, parse


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("read:users", Scope("read:users")),
        ("read:users!user=ada", Scope("read:users", Filter(FilterKind.USER, "ada"))),
        ("read:users!group=g", Scope("read:users", Filter(FilterKind.GROUP, "g"))),
        ("access:servers!server=ada/", Scope("access:servers", Filter(FilterKind.SERVER, "ada/"))),
        ("access:servers!server=ada/work", Scope("access:servers", Filter(FilterKind.SERVER, "ada/work"))),
        ("access:services!service=culler", Scope("access:services", Filter(FilterKind.SERVICE, "culler"))),
        ("read:users!user=a=b", Scope("read:users", Filter(FilterKind.USER, "a=b"))),
        ("users:activity!user", Scope("users:activity", Filter(FilterKind.USER))),
        ("access:servers!server", Scope("access:servers", Filter(FilterKind.SERVER))),
        ("inherit", Scope("inherit")),
    ],
)
def test_a_scope_is_read_and_written_back(text: str, scope: Scope) -> None:
    assert parse(text) == scope
    assert str(scope) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "READ:USERS",
        " read:users",
        "read:users!",
        "read:users!user=",
        "read:users!colour=red",
        "read:users!group",
        "access:servers!server=ada",
        "access:servers!server=/work",
        "self!user=ada",
        "inherit!user",
    ],
)
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(BadScope):
        parse(text)


@given(st.text())
def test_any_text_is_a_scope_or_is_refused(text: str) -> None:
    try:
        scope = parse(text)
    except BadScope:
        return
    assert str(scope) == text


@pytest.mark.parametrize(
    ("narrowed", "owner"),
    [
        (Filter(FilterKind.USER, "ada"), "ada"),
        (Filter(FilterKind.SERVER, "ada/work"), "ada"),
        (Filter(FilterKind.GROUP, "ada"), ""),
    ],
)
def test_a_filter_knows_whose_things_it_lets_through(narrowed: Filter, owner: str) -> None:
    assert narrowed.owner == owner
