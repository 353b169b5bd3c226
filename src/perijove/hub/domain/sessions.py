"""
A browser's sign-in, kept by the server; the browser holds only an unguessable secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sign-in of one browser."""

    #: public id: `sid` of identity tokens, and `jupyterhub-session-id` (contract i)
    id: str
    user_id: int
    #: SHA-256 of the cookie's secret, hex
    secret_hash: str
    created: datetime
    last_seen: datetime
    expires_at: datetime
    address: str = ""
    user_agent: str = ""
