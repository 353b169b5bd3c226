"""
Authorization codes of the OAuth 2 provider as they are kept: hashed, for one client, taken once (RFC 6749, 4.1.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthCode:
    """What a user has granted a client that has not come for its token yet."""

    #: SHA-256 of the code, hex
    code_hash: str
    client_id: str
    user_id: int
    #: browser session in which it was granted: the token ends with it
    session_id: str
    redirect_uri: str
    #: granted, as canonical text
    scopes: tuple[str, ...]
    #: PKCE (RFC 7636): empty if the client sent none
    challenge: str = ""
    #: `S256` or `plain`
    challenge_method: str = ""
    expires_at: datetime
