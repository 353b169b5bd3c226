from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.errors import InvalidName
from perijove.hub.domain.users import MAX_NAME, check, normalise


@pytest.mark.parametrize(
    "name", ["ada", "a", "ada.b", "ada-b_c", "ada@example.org", "9lives", "ångström", "x" * MAX_NAME]
)
def test_ordinary_names_are_fine(name: str) -> None:
    assert check(normalise(name)) == normalise(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a..b",
        "a/b",
        "a b",
        " ",
        "a\nb",
        "a\x00",
        "-ada",
        ".ada",
        "a%2fb",
        "a!b",
        "a?b",
        "x" * (MAX_NAME + 1),
        "a💥",
    ],
)
def test_names_that_break_a_path_or_a_url_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check(normalise(name))


def test_names_are_compared_without_case_and_outer_spaces() -> None:
    assert normalise("  Ada ") == "ada"
    assert normalise("A\u030angstro\u0308m") == "ångström"


@given(st.text())
def test_a_name_that_passes_is_one_plain_path_segment(text: str) -> None:
    try:
        name = check(normalise(text))
    except InvalidName:
        return
    assert name == normalise(name)
    assert not set(name) & set("/\\%?#!:;, \t\n\x00")
    assert name not in (".", "..")


@given(st.text(max_size=20))
def test_a_name_is_the_same_in_every_form_that_a_keyboard_may_send(text: str) -> None:
    """
    Two accounts that look alike and are two: who knows one name must not come as somebody else by the other.
    """
    name = normalise(text)

    assert normalise(name) == name
    for form in ("NFC", "NFD"):
        assert normalise(unicodedata.normalize(form, text)) == name


@pytest.mark.parametrize(
    "twin", ["ÅNGSTRÖM", "A\u030angstro\u0308m", "\u212bngstr\u00f6m", " Ångström\t", "a\u030aNGSTRO\u0308M"]
)
def test_twins_of_a_name_are_the_name(twin: str) -> None:
    assert normalise(twin) == "ångström"


@pytest.mark.parametrize("name", ["a\u200dda", "ada\u200b", "\u202eada", "q\u0307da", "ada\ufeff"])
def test_what_cannot_be_seen_is_in_no_name(name: str) -> None:
    """
    Marks that combine with nothing, joiners and changes of direction: a name would look like another.
    """
    with pytest.raises(InvalidName):
        check(normalise(name))
