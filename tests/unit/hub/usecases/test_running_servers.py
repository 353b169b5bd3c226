from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.running_servers import PAGE, in_pages

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


async def _servers(store: MemoryStore, count: int, state: State) -> list[Server]:
    async with store.unit() as unit:
        user = await unit.users.add(name="ada", admin=False, created=NOW)
        rows = [await unit.servers.add(user_id=user.id, name=f"s{n:04d}", created=NOW) for n in range(count)]
        return [await unit.servers.swap(row, replace(row, state=state)) for row in rows]


async def test_every_server_comes_once_a_page_at_a_time() -> None:
    store = MemoryStore()
    ready = await _servers(store, 2 * PAGE + 1, State.READY)

    pages = [page async for page in in_pages(store, [State.READY, State.ROUTING])]

    assert [len(page) for page in pages] == [PAGE, PAGE, 1]
    assert [row for page in pages for row in page] == ready
    assert [page async for page in in_pages(store, [State.STOPPED])] == []


async def test_what_has_stopped_or_moved_on_meanwhile_is_as_it_is_now() -> None:
    store = MemoryStore()
    *_, changed, stopped, gone = await _servers(store, PAGE + 3, State.READY)
    pages = in_pages(store, [State.READY])
    await anext(pages)

    async with store.unit() as unit:
        changed = await unit.servers.swap(changed, replace(changed, display_name="another"))
        await unit.servers.swap(stopped, replace(stopped, state=State.STOPPED))
        await unit.servers.delete(gone.id)

    assert await anext(pages) == [changed]
