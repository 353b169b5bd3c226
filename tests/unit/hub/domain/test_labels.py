"""
Labels: valid, nobody's twice, and JupyterHub's where it has one that is safe.
"""

from __future__ import annotations

import re
from typing import Literal

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.hub.domain.labels import (
    MAX_LABEL,
    Kind,
    host_of,
    idna_label,
    is_below,
    is_label,
    legacy_label,
)

NAMES = st.one_of(
    st.text(min_size=1, max_size=70),
    st.from_regex(r"[\w][\w.@+-]{0,63}", fullmatch=True),
    st.from_regex(r"[a-z0-9._-]{1,66}", fullmatch=True),
    st.from_regex(r"(xn--|u-)?[a-z]{0,4}-{0,2}[0-9a-f]{0,4}(--service)?", fullmatch=True),
    st.sampled_from(["services", "a.services", "_c3_bcni", "üni", "xn--ni-wka"]),
)
KINDS = st.sampled_from(["user", "service"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("safe", "safe"),
        ("has--doubledash", "u-hasdoubl--cb052ae"),
        ("uhasdoubl--cb052ae", "u-uhasdoub--3c0d1c9"),
        ("üni", "xn--ni-wka"),
        ("xn--ni-wka", "u-xnniwka--ceb4edd"),
        ("x", "x"),
        ("-pre", "u-pre--0e46e7b"),
        ("É", "u-x--a755f65"),
        ("é", "xn--9ca"),
        ("a" * 64, "u-aaaaaaaa--ffe054f"),
        ("a.b", "u-ab--2e7336d"),
        ("123", "u-123--a665a45"),
    ],
)
def test_a_user_s_label_is_jupyterhub_s_but_for_a_longer_hash(name: str, expected: str) -> None:
    label = idna_label(name, "user")

    assert label == expected or ("--" in expected and re.fullmatch(f"{expected}[0-9a-f]{{25}}", label))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("safe", "safe"), ("üni", "_c3_bcni"), ("x", "x"), ("é", "_c3_a9"), ("a.b", "a.b"), ("a_b~c", "a_5fb_7ec")],
)
def test_a_legacy_label_is_jupyterhub_s(name: str, expected: str) -> None:
    assert legacy_label(name, "user") == expected


@pytest.mark.parametrize(
    "name", ["-pre", "a" * 64, "a..b", "services", "a.services", "has--two", "Ada", "é" * 20, "a.-b", "1.2.3.4"]
)
def test_a_legacy_label_that_would_be_none_or_another_s_is_hashed(name: str) -> None:
    assert re.fullmatch(r"u-[a-z0-9]{1,8}--[0-9a-f]{32}", legacy_label(name, "user"))


@given(name=NAMES, kind=KINDS)
def test_every_label_is_one(name: str, kind: Kind) -> None:
    label = idna_label(name, kind)

    assert is_label(label)
    assert len(label) <= MAX_LABEL
    assert not label.startswith("xn--") or idna.decode(label) == name


@given(one=NAMES, other=NAMES, kinds=st.tuples(KINDS, KINDS))
def test_two_names_never_share_a_label(one: str, other: str, kinds: tuple[Kind, Kind]) -> None:
    is_same = (one, kinds[0]) == (other, kinds[1])

    assert (idna_label(one, kinds[0]) == idna_label(other, kinds[1])) is is_same


@given(one=NAMES, other=NAMES)
def test_two_users_never_share_a_legacy_label(one: str, other: str) -> None:
    assert (legacy_label(one, "user") == legacy_label(other, "user")) is (one == other)
    assert legacy_label(one, "user") != legacy_label(other, "service")


@given(name=NAMES)
def test_what_a_label_came_from_is_never_a_user_s_own_label(name: str) -> None:
    """
    A label that was made must not be a name that stays as it is: whoever may choose a name would choose that.
    """
    label = idna_label(name, "user")

    assert label == name or idna_label(label, "user") != label


def test_a_service_has_a_host_of_its_own() -> None:
    assert host_of("grades", "hub.example", "service", "idna") == "grades--service.hub.example"
    assert idna_label("a" * 60, "service").endswith("--service")


def test_a_service_in_unicode_is_hashed() -> None:
    """
    An A-label with something behind it is none: browsers refuse the whole address.
    """
    assert idna_label("üni", "service").startswith("u-ni--")


def test_legacy_has_all_services_at_one_host() -> None:
    assert host_of("grades", "hub.example", "service", "legacy") == "services.hub.example"


def test_an_administrator_s_hook_is_followed() -> None:
    def hook(name: str, domain: str, kind: str) -> str:
        return f"{name}.{kind}s.{domain}".upper()

    assert host_of("ada", "hub.example", "user", hook) == "ada.users.hub.example"


@pytest.mark.parametrize(
    "made", ["elsewhere.example", "hub.example", "evilhub.example", "a b.hub.example", ".hub.example",
             "a..hub.example", "a/.hub.example", "a@b.hub.example", f"{'a' * 64}.hub.example", None, 7]
)  # fmt: skip
def test_a_hook_s_answer_that_is_no_host_below_the_hub_is_not_taken(made: object) -> None:
    host = host_of("ada", "hub.example", "user", lambda *_: made)

    assert host == "ada.hub.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("ada.hub.example", True), ("ADA.HUB.example", True), ("hub.example", False), ("xhub.example", False),
     ("example", False), ("a.b.hub.example", True)],
)  # fmt: skip
def test_below_is_a_whole_label_at_least(host: str, expected: Literal[True, False]) -> None:
    assert is_below(host, "hub.example") is expected
