from __future__ import annotations

import pytest

from perijove.proxy.core.servernames import ServerNames


def table(*rows: str) -> ServerNames[str]:
    """Each row is the names of one certificate, and its own label."""
    names: ServerNames[str] = ServerNames()
    for row in rows:
        names.add(row.split(), row)
    return names


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("hub.example.org", "hub.example.org"),
        ("HUB.Example.ORG", "hub.example.org"),
        ("hub.example.org.", "hub.example.org"),
        ("a.example.org", "*.example.org b.c.example.org"),
        ("b.c.example.org", "*.example.org b.c.example.org"),
        ("x.c.example.org", None),
        ("example.org", None),
        (".example.org", None),
        ("*.example.org", "*.example.org b.c.example.org"),
        ("", None),
        (None, None),
    ],
)
def test_exact_names_come_first_and_a_wildcard_is_one_label(asked: str | None, expected: str | None) -> None:
    names = table("hub.example.org", "*.example.org b.c.example.org")

    assert names.find(asked) == expected


def test_a_name_belongs_to_whoever_came_first() -> None:
    """
    So the order of the flags decides, not the order of a dictionary.
    """
    names = table("a.org b.org", "b.org c.org")

    assert [names.find(name) for name in ("a.org", "b.org", "c.org")] == ["a.org b.org", "a.org b.org", "b.org c.org"]


@pytest.mark.parametrize("odd", ["*", "*.", "h*b.org", "a.*.org", "*.*.org"])
def test_other_wildcards_are_no_names(odd: str) -> None:
    names = table(odd)

    assert [names.find(name) for name in ("hub.org", "a.b.org", "x", odd)] == [None] * 4
