from __future__ import annotations

from typing import Any

import pytest
from traitlets import TraitError
from traitlets.config import Configurable

from perijove.config.amounts import ByteSpecification, parse_bytes


class Holder(Configurable):
    limit = ByteSpecification(None, allow_none=True)


@pytest.mark.parametrize(
    ("text", "bytes_"),
    [("1024", 1024), ("1K", 1024), ("512M", 2**29), ("2G", 2**31), ("1.5g", 3 * 2**29), ("1T", 2**40), ("1 GB", 2**30)],
)
def test_amounts_are_powers_of_1024(text: str, bytes_: int) -> None:
    assert parse_bytes(text) == bytes_


@pytest.mark.parametrize("value", ["", "G", "-1G", "1X", "lots", -1, float("nan"), True, []])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(TraitError):
        Holder(limit=value)


def test_none_is_unlimited_and_numbers_are_bytes() -> None:
    assert Holder(limit=None).limit is None
    assert Holder(limit=1e9).limit == 10**9
