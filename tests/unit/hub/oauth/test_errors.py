from __future__ import annotations

import pytest

from perijove.hub.oauth.errors import AuthorizationRefused, ErrorCode, TokenRefused, describable


@pytest.mark.parametrize(
    ("text", "described"),
    [
        ("The code is wrong.", "The code is wrong."),
        ('There is no scope "x".', "There is no scope 'x'."),
        ("a\\b\r\nSet-Cookie: é", "a'b''Set-Cookie: '"),
    ],
)
def test_a_description_has_only_the_characters_that_it_may_have(text: str, described: str) -> None:
    """
    RFC 6749, 4.1.2.1: what a client asked for is in it, and goes into a URL and a log of somebody else's.
    """
    refusal = AuthorizationRefused(ErrorCode.INVALID_SCOPE, text, redirect_uri="/cb", state=None)

    assert describable(text) == refusal.description == described
    assert TokenRefused(ErrorCode.INVALID_REQUEST, text).description == described


def test_a_refusal_without_words_is_its_code() -> None:
    assert str(TokenRefused(ErrorCode.INVALID_GRANT)) == "invalid_grant"
