from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from perijove.hub.domain.errors import ProxyAway
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.origins import Origins
from perijove.hub.domain.servers import OWN_SIGN_IN, Server
from perijove.hub.usecases.route_table import Routes, RouteTable
from perijove.hub.usecases.testing import START, FakeProxy
from perijove.kit.tasks import TaskGroup
from perijove.wire.routes import Route

SERVER = Server(
    id=1,
    user_id=2,
    user_name="ada",
    name="work",
    state=State.ROUTING,
    generation=1,
    created=START,
    target="http+unix://x",
)


class SlowProxy(FakeProxy):
    """Takes a second for an addition."""

    async def add(self, route: Route) -> None:
        """Late, and not to be stopped: it is another process."""
        await asyncio.sleep(1)
        await super().add(route)


async def test_a_removal_comes_after_an_addition_that_was_cancelled() -> None:
    """
    Otherwise the addition that is still on its way would leave a route to nowhere.
    """
    proxy = SlowProxy()
    async with TaskGroup("test") as tasks:
        table = RouteTable(proxy=proxy, tasks=tasks, base_url="/")
        routes = Routes([table])
        adding = tasks.start("adding", routes.add(SERVER))
        await asyncio.sleep(0.5)
        adding.cancel()
        await asyncio.wait({adding})

        await routes.remove(SERVER)

    assert adding.cancelled()
    assert proxy.table == {}


async def test_a_removal_that_the_proxy_did_not_hear_puts_the_table_in_doubt() -> None:
    proxy = FakeProxy()
    async with TaskGroup("test") as tasks:
        table = RouteTable(proxy=proxy, tasks=tasks, base_url="/")

        async def nothing() -> None:
            return None

        await table.replace(nothing)
        settled = table.is_doubtful
        proxy.is_away = True
        routes = Routes([table])
        await routes.remove(SERVER)

        assert (settled, table.is_doubtful) == (False, True)
        with pytest.raises(ProxyAway):
            await routes.add(SERVER)


@pytest.mark.parametrize(
    ("handle", "access", "audience"), [({}, "gated", "ada/work"), ({OWN_SIGN_IN: True}, "open", "")]
)
async def test_only_a_server_that_signs_visitors_in_itself_has_an_open_route(
    handle: dict[str, object], access: str, audience: str
) -> None:
    async with TaskGroup("test") as tasks:
        route = RouteTable(proxy=FakeProxy(), tasks=tasks, base_url="/").route_of(replace(SERVER, handle=handle))

    assert (route.access, route.audience) == (access, audience)


async def test_with_subdomains_a_route_begins_with_its_owner_s_host() -> None:
    origins = Origins(hub="https://hub.example", domain="hub.example")
    proxy = FakeProxy()
    async with TaskGroup("test") as tasks:
        table = RouteTable(proxy=proxy, tasks=tasks, base_url="/", origins=origins)
        await Routes([table]).add(SERVER)
        during = list(proxy.table)
        await Routes([table]).remove(SERVER)

    assert during == ["/ada.hub.example/user/ada/work"]
    assert not proxy.table
