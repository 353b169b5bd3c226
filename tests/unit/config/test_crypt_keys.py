from __future__ import annotations

import base64

import pytest

from perijove.config.crypt_keys import read_keys
from perijove.config.errors import WrongValue

KEY = bytes(range(32))
OTHER = bytes(range(100, 132))


@pytest.mark.parametrize(
    "stated",
    [
        KEY,
        KEY.hex(),
        KEY.hex().upper(),
        base64.b64encode(KEY).decode(),
        base64.b64encode(KEY),
        base64.urlsafe_b64encode(b"\xff\xfe" + KEY[2:]).decode(),
        "a" * 32,
    ],
)
def test_a_key_is_32_bytes_however_it_is_written(stated: str | bytes) -> None:
    (key,) = read_keys([stated], "")

    assert len(key) == 32


def test_the_same_key_is_the_same_in_every_spelling() -> None:
    spellings: list[str | bytes] = [KEY, KEY.hex(), base64.b64encode(KEY).decode()]

    assert read_keys(spellings, "") == (KEY, KEY, KEY)


def test_the_variable_has_several_and_the_configuration_goes_before_it() -> None:
    assert read_keys([], f"{KEY.hex()};{OTHER.hex()};") == (KEY, OTHER)
    assert read_keys([OTHER], KEY.hex()) == (OTHER,)
    assert read_keys([], "") == ()


@pytest.mark.parametrize("stated", ["x", "g" * 64, "=" * 44, "!" * 44, KEY[1:], KEY.hex()[2:], "ä" * 32])
def test_what_is_no_key_is_refused_and_not_repeated(stated: str | bytes) -> None:
    with pytest.raises(WrongValue, match=r"^a key is 32 bytes, as 64 hexadecimal digits or in base64: "):
        read_keys([stated], "")
