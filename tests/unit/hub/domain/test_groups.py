from __future__ import annotations

from typing import Any

import pytest

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.groups import GroupDeclaration, read_groups


def test_a_group_is_a_list_of_users_or_a_dictionary_with_properties() -> None:
    groups = read_groups({"class-a": ["Ada", "bob"], "staff": {"users": {"carol"}, "properties": {"room": 7}}, "b": {}})

    assert groups == [
        GroupDeclaration(name="class-a", users=frozenset({"ada", "bob"})),
        GroupDeclaration(name="staff", users=frozenset({"carol"}), properties={"room": 7}),
        GroupDeclaration(name="b"),
    ]


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ({"": []}, "needs a name"),
        ({" a": []}, "needs a name"),
        ({7: []}, "needs a name"),
        ({"x" * 256: []}, "needs a name"),
        ({"a": "ada"}, "'a' needs a list"),
        ({"a": 7}, "'a' needs a list"),
        ({"a": [7]}, "'a' needs a list"),
        ({"a": {"users": "ada"}}, "'a' needs a list"),
        ({"a": ["a/b"]}, "'a/b' can be nobody's name"),
        ({"a": {"members": []}}, "unknown key 'members'; known are properties, users"),
        ({"a": {"properties": []}}, "properties must be a dictionary"),
    ],
)
def test_a_wrong_group_is_refused_by_name(declared: dict[Any, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_groups(declared)
