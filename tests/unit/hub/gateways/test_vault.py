from __future__ import annotations

from collections.abc import Callable

import pytest

from perijove.hub.gateways.vault import FernetVault
from perijove.hub.ports import CannotOpen, Vault
from perijove.hub.usecases.testing import FakeVault

ONE, OTHER, THIRD = b"1" * 32, b"2" * 32, b"3" * 32


def real(*keys: bytes) -> Vault:
    return FernetVault(keys)


def fake(*keys: bytes) -> Vault:
    return FakeVault(*(key.decode() for key in keys))


@pytest.mark.parametrize("vault", [real, fake])
def test_what_is_sealed_is_opened_and_cannot_be_read_before(vault: Callable[..., Vault]) -> None:
    sealed = vault(ONE).seal("a secret, ü")

    assert "a secret" not in sealed
    assert vault(ONE).open(sealed) == "a secret, ü"


@pytest.mark.parametrize("vault", [real, fake])
def test_the_first_key_seals_and_all_open(vault: Callable[..., Vault]) -> None:
    old = vault(ONE).seal("x")
    both = vault(OTHER, ONE)

    assert both.open(old) == "x"
    assert (both.is_current(old), both.is_current(both.seal("y"))) == (False, True)
    assert vault(OTHER).open(both.seal("y")) == "y"


@pytest.mark.parametrize("vault", [real, fake])
def test_another_key_opens_nothing(vault: Callable[..., Vault]) -> None:
    with pytest.raises(CannotOpen):
        vault(THIRD).open(vault(ONE).seal("x"))


@pytest.mark.parametrize("damage", ["", "x", "gAAAA", "ä" * 80])
def test_what_is_damaged_does_not_open(damage: str) -> None:
    with pytest.raises(CannotOpen):
        FernetVault([ONE]).open(damage)
    sealed = FernetVault([ONE]).seal("x")
    with pytest.raises(CannotOpen):
        FernetVault([ONE]).open(sealed[:-6] + ("AAAA" if sealed[-6:-2] != "AAAA" else "BBBB") + sealed[-2:])
