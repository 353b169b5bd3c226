from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.launcher.names import MAX_SYSTEM_NAME, deployment_name, directory_name, short_name, system_name

VALID = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@pytest.mark.parametrize("name", ["ada", "_bob", "jupyter-eve", "a" * 32, "x9"])
def test_a_plain_name_stays_itself(name: str) -> None:
    assert system_name(name) == name


@given(st.text(max_size=400))
def test_every_name_becomes_one_that_a_system_accepts(name: str) -> None:
    mapped = system_name(name)

    assert VALID.fullmatch(mapped)
    assert len(mapped) <= MAX_SYSTEM_NAME


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_people_never_share_an_account(one: str, other: str) -> None:
    assert (system_name(one) == system_name(other)) == (one == other)


def test_nobody_can_sign_up_as_somebodys_mapped_name() -> None:
    """
    "Ada" becomes ada-xxxxxxxxxxxxxxxx; a person who is really called that must become something else.
    """
    mapped = system_name("Ada")

    assert system_name(mapped) != mapped


@given(st.text(max_size=400))
def test_a_directory_name_is_one_safe_component(key: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_-]{17,23}", directory_name(key))


def test_keys_that_look_alike_have_different_directories() -> None:
    keys = ["ada/", "ada//", "Ada/", "ada/x", "a/da", "ada", "../ada"]

    assert len({directory_name(key) for key in keys}) == len(keys)


def test_a_mapped_name_has_a_hash_that_nobody_can_meet_on_purpose() -> None:
    """
    With 32 bits, somebody would find a name with the slug and the hash of another's within minutes.
    """
    assert re.fullmatch(r"ada-example-com-[0-9a-f]{16}", system_name("ada@example-com"))


def test_nobody_can_be_called_like_a_shortened_name() -> None:
    """
    Whoever could would be given the other's runtime directory.
    """
    shortened = short_name("a" * 32)

    assert short_name(shortened) != shortened


def test_long_names_are_shortened_without_meeting() -> None:
    assert short_name("ada") == "ada"
    assert len(short_name("a" * 32)) == 16
    assert short_name("a" * 32) != short_name("a" * 31)


@pytest.mark.parametrize("runtime", ["/run/p", "/run/perijove/of/a/longer/name", "/run/\udcff"])
def test_what_a_launcher_has_elsewhere_is_named_by_a_single_step_of_a_path(runtime: str) -> None:
    assert re.fullmatch(r"perijove-[0-9a-f]{12}", deployment_name(Path(runtime)))


def test_two_launchers_share_no_name() -> None:
    assert deployment_name(Path("/run/a")) != deployment_name(Path("/run/b"))
