from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from perijove.hub.domain.errors import TooManyAttempts
from perijove.hub.gateways import hasher as module
from perijove.hub.gateways.hasher import Argon2Hasher


@pytest.fixture
def hasher() -> Iterator[Argon2Hasher]:
    made = Argon2Hasher()
    yield made
    made.close()


async def test_a_password_fits_its_own_hash_only(hasher: Argon2Hasher) -> None:
    hashed = await hasher.hash("correct horse")

    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(hashed, "correct horse")
    assert not await hasher.verify(hashed, "wrong horse")


async def test_equal_passwords_have_different_hashes(hasher: Argon2Hasher) -> None:
    assert await hasher.hash("same") != await hasher.hash("same")


@pytest.mark.parametrize("stored", ["", "nonsense", "$argon2id$v=19$m=1"])
async def test_what_is_no_hash_fits_nothing(hasher: Argon2Hasher, stored: str) -> None:
    assert not await hasher.verify(stored, "")
    assert not await hasher.verify(stored, "anything")


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(hasher: Argon2Hasher) -> None:
    """
    Otherwise the time of the answer tells who has an account.
    """
    hashed = await hasher.hash("correct horse")

    async def seconds(stored: str) -> float:
        before = time.thread_time() + time.perf_counter()
        await hasher.verify(stored, "wrong horse")
        return time.thread_time() + time.perf_counter() - before

    # By turns, and the quickest of each: whatever else the machine does only adds time.
    pairs = [(await seconds(hashed), await seconds("")) for _ in range(7)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))

    assert 0.3 < unknown / known < 3


async def test_a_flood_is_turned_away_rather_than_kept(hasher: Argon2Hasher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 5)

    answers = await asyncio.gather(*(hasher.verify("", "x") for _ in range(15)), return_exceptions=True)

    assert sum(isinstance(answer, TooManyAttempts) for answer in answers) == 10
