"""
Tokens that prove that a form or script call comes from a page that the hub itself gave to this browser.

A token is an HMAC over what it is bound to: the session of somebody signed in, or the random visitor
cookie of somebody who is not. So a token fetched by one person is worthless in another's browser, even if
script on the same host plants it there as a cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

from perijove.hub.web.errors import BadXsrf

#: form field, query argument and cookie (contract i)
FIELD: Final = "_xsrf"
#: header names that scripts may use instead
HEADERS: Final = ("X-XSRFToken", "X-CSRFToken")


class Csrf:
    """Makes and checks tokens with the hub's cookie secret."""

    def __init__(self, *, secret: bytes) -> None:
        self._secret = secret

    def token(self, binding: str) -> str:
        """The token for *binding*."""
        digest = hmac.digest(self._secret, b"xsrf:" + binding.encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def check(self, binding: str, given: str) -> None:
        """
        Compare in constant time.

        Raises:
            BadXsrf: *given* is not the token for *binding*.
        """
        if not hmac.compare_digest(self.token(binding).encode(), given.encode()):
            raise BadXsrf


def of_session(session_id: str) -> str:
    """What the tokens of a signed-in browser are bound to."""
    return f"session:{session_id}"


def of_visitor(visitor: str) -> str:
    """What the tokens of a browser that is not signed in are bound to."""
    return f"visitor:{visitor}"
