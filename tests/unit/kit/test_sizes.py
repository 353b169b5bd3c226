from __future__ import annotations

import pytest

from perijove.kit.sizes import amount


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1 KB"),
        (1536, "1.5 KB"),
        (512 * 2**20, "512 MB"),
        (int(1.5 * 2**30), "1.5 GB"),
        (2**30 - 1, "1 GB"),
        (3 * 2**40, "3 TB"),
        (5000 * 2**40, "5000 TB"),
    ],
)
def test_amounts_are_read_by_people(count: int, text: str) -> None:
    assert amount(count) == text
