"""
Local accounts: names and passwords that the hub keeps. Where and how they are kept is the
`PasswordBook`, which the hub provides.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol

from traitlets import Bool

from perijove.authenticators.base import PASSWORD, USERNAME, Authenticator, AuthResult
from perijove.authenticators.errors import ApprovalPending


class Verdict(Enum):
    """What the book says about a name and a password."""

    WRONG = "wrong"  #: no such account, or another password; which of them is not told
    WAITING = "waiting"  #: right, but an administrator has not approved the account yet
    RIGHT = "right"


class PasswordBook(Protocol):
    """Where local accounts are kept."""

    async def judge(self, name: str, password: str) -> Verdict:
        """Takes as long for an unknown name as for a wrong password."""
        ...


class NativeAuthenticator(Authenticator):
    """Admits whoever has an approved local account."""

    allow_all = Bool(
        default_value=True,
        help="Admit everybody who has an account: each was made by invitation or approved by an administrator.",
    ).tag(config=True)

    def __init__(self, *, book: PasswordBook, **traits: Any) -> None:
        super().__init__(**traits)
        self._book = book

    async def authenticate(self, form: Mapping[str, str]) -> AuthResult | None:
        """
        Look the name up in the book.

        Raises:
            ApprovalPending: the account is there and the password is right, but nobody has approved it yet.
        """
        name = self.normalize_username(form.get(USERNAME, ""))
        password = form.get(PASSWORD, "")
        if not name or not password:
            return None
        verdict = await self._book.judge(name, password)
        if verdict is Verdict.WAITING:
            raise ApprovalPending
        return AuthResult(name=name) if verdict is Verdict.RIGHT else None
