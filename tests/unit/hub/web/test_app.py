from __future__ import annotations

from perijove.kit.tasks import TaskGroup
from tests.unit.hub.web.rig import Rig, make_settings


async def test_starting_compiles_every_page(tasks: TaskGroup) -> None:
    """
    A broken template stops the start instead of surprising somebody later.
    """
    rig = Rig(tasks=tasks, settings=make_settings())

    async with rig.app.router.lifespan_context(rig.app):
        loaded = rig.app.state.edge.templates._environment.cache

    assert len(loaded) >= 12
