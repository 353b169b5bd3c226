"""
Proof Key for Code Exchange (RFC 7636): whoever comes with the code is who asked for it.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from perijove.hub.oauth.errors import BadChallenge
from perijove.wire.identity import digest_of

#: 4.1 and 4.2: 43 to 128 unreserved characters
_FORM: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")


class Method(Enum):
    """How a challenge is made of its verifier (4.2)."""

    S256 = "S256"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What an authorization request commits itself to."""

    text: str
    method: Method


def read_challenge(text: str, method: str) -> Challenge | None:
    """
    The challenge of a request (4.3); None if there is none. Without a method it is `plain`.

    Raises:
        BadChallenge: it has not the form of one, or its method is not known.
    """
    if not text:
        if method:
            raise BadChallenge("A code_challenge_method without a code_challenge.")
        return None
    if not _FORM.fullmatch(text):
        raise BadChallenge("The code_challenge must have 43 to 128 unreserved characters.")
    try:
        return Challenge(text=text, method=Method(method or Method.PLAIN.value))
    except ValueError:
        raise BadChallenge("The code_challenge_method must be S256 or plain.") from None


def challenge_of(verifier: str) -> str:
    """The challenge that is made of *verifier* by S256 (4.2)."""
    return digest_of(verifier)


def is_met(challenge: Challenge, verifier: str) -> bool:
    """Whether *verifier* is what *challenge* was made of (4.6). In constant time."""
    if not _FORM.fullmatch(verifier):
        return False
    made = challenge_of(verifier) if challenge.method is Method.S256 else verifier
    return hmac.compare_digest(made.encode(), challenge.text.encode())
