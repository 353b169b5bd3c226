from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.user_info import MAX_BYTES, MAX_NAME, Shown, read_user_info, shown
from perijove.hub.domain.users import User


def user(info: dict[str, Any] | None, display_name: str = "") -> User:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    return User(id=1, name="ada", admin=False, created=created, display_name=display_name, user_info=info)


def nested(depth: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(depth):
        made = {"x": made}
    return made


@pytest.mark.parametrize("told", [{}, {"display_name": "Ada"}, {"groups": ["a", {"b": None}], "n": 0.5}])
def test_what_json_can_say_is_kept(told: dict[str, Any]) -> None:
    assert read_user_info(told) == told


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("Ada", "no dictionary"),
        (["Ada"], "no dictionary"),
        ({1: "Ada"}, "no dictionary"),
        ({"x": object()}, "JSON cannot say"),
        ({"x": float("nan")}, "JSON cannot say"),
        ({"x": "\ud800"}, "JSON cannot say"),
        (nested(100_000), "JSON cannot say"),
        ({"x": "é" * (MAX_BYTES // 2)}, f"{MAX_BYTES} are kept"),
    ],
    ids=["text", "list", "number as a key", "object", "nan", "half a character", "depth", "length"],
)
def test_what_cannot_be_kept_is_refused_in_words(told: Any, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        read_user_info(told)


def test_all_that_jupyter_knows_is_shown() -> None:
    told = {"display_name": "Ada L.", "initials": "AL", "avatar_url": "https://x.example/a.png", "color": "#c0ffee"}

    assert shown(user(told)) == Shown(
        name="Ada L.", initials="AL", avatar_url="https://x.example/a.png", color="#c0ffee"
    )


@pytest.mark.parametrize(
    ("info", "display_name", "name"),
    [
        (None, "", "ada"),
        (None, "Ada", "Ada"),
        ({"name": "Ada Lovelace"}, "Ada", "Ada Lovelace"),
        ({"name": "Ada Lovelace", "display_name": "Countess"}, "Ada", "Countess"),
        ({"display_name": 7}, "", "ada"),
        ({"display_name": " \n\u202e"}, "", "ada"),
        ({"display_name": "Ada\n\tLove\x00lace"}, "", "Ada Lovelace"),
    ],
)
def test_everybody_has_a_name_of_one_line(info: dict[str, Any] | None, display_name: str, name: str) -> None:
    assert shown(user(info, display_name)).name == name


@pytest.mark.parametrize("url", ["http://x.example/a", "/services/faces/ada.png", "data:image/png;base64,aGk="])
def test_a_picture_may_be_anywhere(url: str) -> None:
    assert shown(user({"avatar_url": url})).avatar_url == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//x.example/a.png",
        "data:text/html;base64,aGk=",
        "https://x.example/a b",
        "https://x.example/é",
        "https://x.example/" + "a" * 1024,
        7,
    ],
)
def test_a_picture_that_is_no_picture_is_left_out(url: object) -> None:
    assert shown(user({"avatar_url": url})).avatar_url == ""


@pytest.mark.parametrize(
    ("color", "kept"),
    [("var(--jp-collaborator-color1)", True), ("rgb(1 2 3 / 50%)", True), ("red;background:url(x)", False), (7, False)],
)
def test_a_colour_is_nothing_but_a_colour(color: object, *, kept: bool) -> None:
    assert shown(user({"color": color})).color == (color if kept else "")


@given(st.dictionaries(st.sampled_from(["display_name", "name", "initials", "avatar_url", "color"]), st.text()))
def test_whatever_is_told_what_is_shown_is_short(info: dict[str, str]) -> None:
    seen = shown(user(info))

    assert seen.name
    assert len(json.dumps(seen.name)) - 2 <= MAX_NAME
    assert len(seen.initials) <= 8


def test_a_name_is_cut_between_characters() -> None:
    seen = shown(user({"display_name": "é" * 999}))

    assert seen.name == "é" * (MAX_NAME // 6)
