"""
What the hub relies on, asked of every authenticator that comes with perijove.
"""

from __future__ import annotations

import pytest

from perijove.authenticators.base import Authenticator
from perijove.authenticators.dummy import DummyAuthenticator
from perijove.authenticators.native import NativeAuthenticator
from perijove.authenticators.testing import MemoryPasswordBook, check_contract


@pytest.mark.parametrize(
    "authenticator",
    [
        NativeAuthenticator(book=MemoryPasswordBook({"ada": "right horse"})),
        DummyAuthenticator(password="right horse"),
        DummyAuthenticator(),
    ],
    ids=["native", "dummy with a password", "dummy"],
)
async def test_the_authenticator_keeps_the_contract(authenticator: Authenticator) -> None:
    result = await check_contract(authenticator, name="ada", password="right horse")

    assert result.name == "ada"
