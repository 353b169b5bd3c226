"""
Seals text with the administrator's keys: Fernet (AES-128-CBC and HMAC-SHA256), as JupyterHub does.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from perijove.hub.ports import CannotOpen


class FernetVault:
    """`Vault` with several keys: the first seals, all open."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """At least one key of 32 bytes."""
        each = [Fernet(base64.urlsafe_b64encode(key)) for key in keys]
        self._newest = each[0]
        self._all = MultiFernet(each)

    def seal(self, text: str) -> str:
        """*text*, unreadable and unchangeable without a key."""
        return self._newest.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises CannotOpen."""
        try:
            return self._all.decrypt(sealed.encode()).decode()
        except InvalidToken as exc:
            raise CannotOpen from exc

    def is_current(self, sealed: str) -> bool:
        """Whether the first key sealed it."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True
