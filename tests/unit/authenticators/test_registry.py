from __future__ import annotations

from pathlib import Path

import pytest

from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.errors import UnknownAuthenticator
from perijove.authenticators.native import NativeAuthenticator
from perijove.authenticators.registry import find


def test_built_in_names_are_found() -> None:
    assert find("native") is NativeAuthenticator
    assert find("default") is NativeAuthenticator
    assert find("dummy") is DummyAuthenticator


def test_a_class_is_found_by_its_path() -> None:
    assert find("perijove.authenticators.dummy.DummyAuthenticator") is DummyAuthenticator


def test_a_class_is_taken_as_it_is() -> None:
    class Directory(DummyAuthenticator):
        """Of a configuration file."""

    assert find(Directory) is Directory
    with pytest.raises(UnknownAuthenticator, match="'Path' is no subclass"):
        find(Path)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownAuthenticator, match="dummy"):
        find("dumy")


@pytest.mark.parametrize("path", ["perijove.nowhere.Thing", "perijove.authenticators.base.AuthResult", "perijove.no"])
def test_what_is_no_authenticator_is_refused(path: str) -> None:
    with pytest.raises(UnknownAuthenticator):
        find(path)
