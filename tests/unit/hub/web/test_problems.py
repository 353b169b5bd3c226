from __future__ import annotations

from collections.abc import Iterator

import pytest

from perijove.hub.domain import errors as domain
from perijove.hub.web import errors as web
from perijove.hub.web.problems import status_of


def below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


#: Gateways and the store have errors of their own below these, which stop the start and are never answered.
ANSWERED = [
    kind
    for kind in (*below(domain.HubError), *below(web.WebError))
    if kind.__module__ in {domain.__name__, web.__name__} and kind is not domain.HubError
]


@pytest.mark.parametrize("kind", ANSWERED)
def test_every_error_has_a_status_of_its_own_kind(kind: type[Exception]) -> None:
    """
    A new error without a row would come out as a 500, as if the hub were broken.
    """
    status = status_of(kind())

    is_fault = issubclass(kind, domain.LaunchFailed) or kind is web.WebError
    assert 400 <= status < 500 or issubclass(kind, domain.Unavailable) or is_fault


def test_bad_credentials_are_never_401() -> None:
    assert status_of(domain.WrongCredentials()) == 403
    assert status_of(web.MissingCredentials()) == 403
