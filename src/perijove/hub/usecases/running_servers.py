"""
Thousands of servers, some at a time: all rows together would take ten megabytes, and a tenth of a second in which
nobody else is answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Final

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Store

#: rows that are read together: as many as stores have a prepared statement for
PAGE: Final = 200


async def in_pages(store: Store, states: Iterable[State]) -> AsyncIterator[Sequence[Server]]:
    """
    The servers that are in any of these states at the beginning, each as it is when its page is read.

    One that has left them by then is left out. Nothing is held open between pages, so a page may take its time.
    """
    wanted = frozenset(states)
    async with store.reading() as unit:
        ids = await unit.servers.ids_in_states(wanted)
    for at in range(0, len(ids), PAGE):
        async with store.reading() as unit:
            rows = await unit.servers.by_ids(ids[at : at + PAGE])
        yield [row for row in rows if row.state in wanted]
