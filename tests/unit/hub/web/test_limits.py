from __future__ import annotations

from collections.abc import AsyncIterator

from perijove.hub.web.limits import MAX_BODY
from tests.unit.hub.web.rig import Rig


async def test_a_longer_body_is_not_read(rig: Rig) -> None:
    async with rig.program(await rig.token("ada")) as program:
        answer = await program.post("/hub/api/users", content=b" " * (MAX_BODY + 1))

    assert answer.status_code == 413


async def test_a_body_that_does_not_say_how_long_it_is_is_cut_off(rig: Rig) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    async with rig.program(await rig.token("ada")) as program:
        answer = await program.post("/hub/api/users", content=endless())

    assert answer.status_code == 400


async def test_a_form_with_too_many_fields_is_refused(rig: Rig) -> None:
    browser = await rig.signed_in("bob")
    await browser.get("/hub/token")

    answer = await browser.post("/hub/token", **{f"field{number}": "x" for number in range(60)})

    assert answer.status_code == 400
