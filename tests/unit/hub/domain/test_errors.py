from __future__ import annotations

import inspect

import pytest

from perijove.hub.domain import errors
from perijove.hub.domain.errors import HubError, LaunchFailed, TooMany

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HubError)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_says_a_sentence_by_itself(kind: type[HubError]) -> None:
    message = kind().message

    assert message == str(kind())
    assert message.endswith(".")
    assert kind("another").message == "another"


def test_errors_carry_what_helps() -> None:
    assert TooMany(retry_after=7).retry_after == 7
    assert LaunchFailed(log_tail=("last",)).log_tail == ("last",)


def test_the_tree_in_the_docstring_names_every_error() -> None:
    for kind in ALL:
        assert kind.__name__ in (errors.__doc__ or "")
