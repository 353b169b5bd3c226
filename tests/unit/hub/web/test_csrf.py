from __future__ import annotations

import pytest

from perijove.hub.web.csrf import Csrf, of_session, of_visitor
from perijove.hub.web.errors import BadXsrf


def test_a_token_is_good_for_its_session() -> None:
    csrf = Csrf(secret=b"one")

    csrf.check(of_session("s1"), csrf.token(of_session("s1")))


@pytest.mark.parametrize("other", [of_session("s2"), of_visitor("s1"), "s1"])
def test_a_token_is_worthless_elsewhere(other: str) -> None:
    """
    Somebody who plants a token of their own as a cookie in another's browser gains nothing.
    """
    csrf = Csrf(secret=b"one")

    with pytest.raises(BadXsrf):
        csrf.check(of_session("s1"), csrf.token(other))


@pytest.mark.parametrize("given", ["", "ä", "x" * 10_000])
def test_nonsense_is_refused(given: str) -> None:
    with pytest.raises(BadXsrf):
        Csrf(secret=b"one").check(of_session("s1"), given)


def test_another_secret_makes_other_tokens() -> None:
    with pytest.raises(BadXsrf):
        Csrf(secret=b"one").check("s", Csrf(secret=b"two").token("s"))
