from __future__ import annotations

import pytest

from perijove.hub.domain.accounts import MAX_PASSWORD, MIN_PASSWORD, check_password
from perijove.hub.domain.errors import WeakPassword


def test_a_password_of_enough_characters_is_taken_as_it_is() -> None:
    assert check_password("ten chars!") == "ten chars!"
    assert check_password("x" * MAX_PASSWORD) == "x" * MAX_PASSWORD


@pytest.mark.parametrize("password", ["", "x" * (MIN_PASSWORD - 1)])
def test_a_short_password_is_refused_with_the_rule(password: str) -> None:
    with pytest.raises(WeakPassword, match=str(MIN_PASSWORD)):
        check_password(password)


def test_an_absurdly_long_password_is_refused() -> None:
    with pytest.raises(WeakPassword, match="at most"):
        check_password("x" * (MAX_PASSWORD + 1))
