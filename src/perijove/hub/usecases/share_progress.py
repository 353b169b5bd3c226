"""
What hubs over one database tell each other about servers, heard and told.

The driver tells what it records, in the same transaction. Here is the rest: what starting servers say is told to
the others now and then, and what the others tell reaches those who wait here.
"""

from __future__ import annotations

from typing import Final

from perijove.hub.domain.notices import Kind, Notice
from perijove.hub.ports import Store
from perijove.hub.usecases.drive_servers import Driver
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.progress_book import ProgressBook
from perijove.kit.tasks import TaskGroup

#: seconds between two transactions that tell what starting servers say
TELL_SECONDS: Final = 0.5
#: seconds before listening again after that failed
PAUSE: Final = 1.0


class SharedProgress:
    """The ears and the mouth of one hub among others."""

    def __init__(self, *, store: Store, driver: Driver, progress: ProgressBook, membership: Membership) -> None:
        self._store = store
        self._driver = driver
        self._progress = progress
        self._membership = membership

    async def run(self) -> None:
        """Hear and tell until cancelled."""
        async with TaskGroup("notices") as loops:
            loops.start("tell", forever("progress notices", self.tell, every=TELL_SECONDS))
            await forever("notices", self._listen, every=PAUSE)

    async def tell(self) -> None:
        """Tell the others what starting servers have said last, if there are others."""
        untold = self._progress.take_untold()
        if not untold or self._membership.is_alone:
            return
        async with self._store.unit() as unit:
            for server_id, text in untold.items():
                unit.notify(Notice(Kind.PROGRESS, server_id, text))

    async def _listen(self) -> None:
        async for notice in self._store.notices():
            await self.hear(notice)

    async def hear(self, notice: Notice) -> None:
        """One notice; also those that this hub has told itself come back."""
        if notice.kind is Kind.SERVER:
            await self._driver.heard(notice.id, notice.text)
        elif notice.kind is Kind.PROGRESS:
            self._progress.hear(notice.id, notice.text)
        elif notice.kind is Kind.LOST:
            await self._driver.heard_nothing()
