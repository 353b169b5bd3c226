"""
How secrets are kept: cookies, API tokens and one-time codes are stored as SHA-256 only.

They carry at least 128 random bits, so a fast hash is enough; passwords are not kept like this (`PasswordHasher`).
"""

from __future__ import annotations

import hashlib


def hash_secret(text: str) -> str:
    """SHA-256 of *text*, lower-case hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
