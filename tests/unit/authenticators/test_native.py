from __future__ import annotations

import pytest

from perijove.authenticators.errors import ApprovalPending
from perijove.authenticators.native import NativeAuthenticator
from perijove.authenticators.testing import MemoryPasswordBook, form


def native(*, waiting: frozenset[str] = frozenset()) -> NativeAuthenticator:
    return NativeAuthenticator(book=MemoryPasswordBook({"ada": "right horse"}, waiting=waiting))


async def test_the_right_password_is_believed() -> None:
    result = await native().authenticate(form("Ada", "right horse"))

    assert result is not None
    assert result.name == "ada"


async def test_a_wrong_password_and_an_unknown_name_are_the_same() -> None:
    authenticator = native()

    assert await authenticator.authenticate(form("ada", "wrong")) is None
    assert await authenticator.authenticate(form("eve", "wrong")) is None


async def test_spaces_around_a_password_count() -> None:
    assert await native().authenticate(form("ada", " right horse ")) is None


async def test_a_waiting_account_says_so_only_to_its_owner() -> None:
    authenticator = native(waiting=frozenset({"ada"}))

    assert await authenticator.authenticate(form("ada", "wrong")) is None
    with pytest.raises(ApprovalPending):
        await authenticator.authenticate(form("ada", "right horse"))


def test_whoever_has_an_account_may_enter() -> None:
    """
    Accounts are made by invitation or approved one by one: asking for a second list would be asking twice.
    """
    assert native().is_allowed("ada", exists=False)
