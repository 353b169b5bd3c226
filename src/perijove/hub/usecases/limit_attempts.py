"""
Counts sign-in attempts for all hubs together, and stops those who make too many.

What counts is `domain/attempts.py`. A database that is away lets nobody try: nobody could sign in either.
"""

from __future__ import annotations

from perijove.hub.domain.attempts import AttemptRule, counted, forgiven
from perijove.hub.ports import Store, Unit
from perijove.kit.clock import Clock


class AttemptLimiter:
    """Stands before everything that can be guessed."""

    def __init__(self, *, store: Store, clock: Clock, rule: AttemptRule) -> None:
        self._store = store
        self._clock = clock
        self._rule = rule

    async def count(self, *, account: str, address: str) -> None:
        """
        Let an attempt through, and count it as failed, before the slow check of a password: so many at once count too.

        Raises:
            TooManyAttempts: with the seconds to wait.
        """
        windows = self._rule.windows(account=account, address=address)
        if not windows:
            return
        async with self._store.unit() as unit:
            await self._alone(unit, *windows)
            times = await unit.attempts.times(windows)
            await unit.attempts.put(counted(windows, times, self._clock.now()))

    async def succeeded(self, *, account: str, address: str) -> None:
        """The attempt just counted was good."""
        if not self._rule.windows(account=account, address=address):
            return
        async with self._store.unit() as unit:
            await self.succeeded_in(unit, account=account, address=address)

    async def succeeded_in(self, unit: Unit, *, account: str, address: str) -> None:
        """The attempt just counted was good: noted at the beginning of *unit*, which makes something of it."""
        windows = self._rule.windows(account=account, address=address)
        if not windows:
            return
        await self._alone(unit, *windows)
        times = await unit.attempts.times(windows)
        await unit.attempts.put(forgiven(times, account=account, address=address))

    async def sweep(self) -> None:
        """Forget what does not count any more: names can be invented without end."""
        async with self._store.unit() as unit:
            await unit.attempts.delete_older(self._clock.now() - self._rule.length)

    @staticmethod
    async def _alone(unit: Unit, *keys: str) -> None:
        # In one order, so that two who come from one address for one account do not wait for each other.
        for key in sorted(keys):
            await unit.alone(f"attempts {key}")
