from __future__ import annotations

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


async def test_warming_up_compiles_every_page(tasks: TaskGroup) -> None:
    """
    Whatever would be made when it is first asked for is there before.
    """
    rig = Rig(tasks=tasks, settings=make_settings())

    await rig.app.warm_up()

    assert len(rig.app.state.edge.templates._environment.cache) >= 12


async def test_a_page_can_be_had_before_anything_is_warm(rig: Rig) -> None:
    async with rig.client() as client:
        answer = await client.get("/hub/login")

    assert answer.status_code == 200
