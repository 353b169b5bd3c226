from __future__ import annotations

from tests.unit.hub.web.rig import Rig


async def test_every_call_of_the_api_is_on_the_page_with_the_shapes_that_it_names(rig: Rig) -> None:
    browser = await rig.signed_in("bob")

    page = await browser.get("/hub/rest-api")

    for path in rig.app.described["paths"]:
        assert path in page.text
    for name in rig.app.described["components"]["schemas"]:
        assert f'id="{name}"' in page.text


async def test_the_reference_is_for_those_who_are_signed_in(rig: Rig) -> None:
    async with rig.client() as client:
        answer = await client.get("/hub/rest-api")

    assert answer.status_code == 302
    assert answer.headers["location"].startswith("/hub/login")
