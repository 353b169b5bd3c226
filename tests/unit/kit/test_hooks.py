from __future__ import annotations

from perijove.kit.hooks import settled


async def test_an_answer_and_a_coroutine_come_to_the_same() -> None:
    async def later() -> int:
        return 1

    assert [await settled(1), await settled(later())] == [1, 1]
