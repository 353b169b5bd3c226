"""
For tests of authenticators and of what uses them: a password book in memory, and the checks that every
authenticator must pass (`tests/contract/authenticators` runs them; authors of plug-ins may too).
"""

from __future__ import annotations

from collections.abc import Mapping

from perijove.authenticators.base import PASSWORD, USERNAME, Authenticator, AuthResult
from perijove.authenticators.native import Verdict


class MemoryPasswordBook:
    """Accounts in a dictionary, in the clear: for tests only."""

    def __init__(self, passwords: Mapping[str, str], *, waiting: frozenset[str] = frozenset()) -> None:
        self._passwords = dict(passwords)
        self._waiting = waiting

    async def judge(self, name: str, password: str) -> Verdict:
        """Right or wrong, or waiting."""
        if self._passwords.get(name) != password:
            return Verdict.WRONG
        return Verdict.WAITING if name in self._waiting else Verdict.RIGHT


def form(name: str, password: str) -> dict[str, str]:
    """The fields of a filled-in sign-in form."""
    return {USERNAME: name, PASSWORD: password}


async def check_contract(authenticator: Authenticator, *, name: str, password: str) -> AuthResult:
    """
    Assert what the hub relies on, with credentials that *authenticator* accepts.

    The answer for the good form is given back, for checks of your own.
    """
    assert await authenticator.authenticate({}) is None, "an empty form proves nothing"
    assert await authenticator.authenticate(form("", password)) is None, "nobody has the empty name"
    result = await authenticator.authenticate(form(name, password))
    assert result is not None, "the credentials given are said to be good"
    normal = authenticator.normalize_username(result.name)
    assert normal == authenticator.normalize_username(normal), "a normal name stays as it is"
    return result
