"""
Stops what nobody needs: servers that are idle or have run long enough, and removes users who never come.

Which and when is `domain/idle.py`; who was told so before is `deadlines.py`. Every hub may run this; of several
only one stops a server, by compare-and-swap. Law: nothing is stopped on old news. A hub that has just come, or
whose database was away, waits until all servers had time to report.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from perijove.hub.domain.errors import HubError, Unavailable
from perijove.hub.domain.idle import CullPolicy, shortest, why
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.hub.usecases.activity import COUNTS_FOR, REPORT_SECONDS, Activity
from perijove.hub.usecases.deadlines import Deadlines
from perijove.hub.usecases.forever import forever
from perijove.hub.usecases.servers import StopServer
from perijove.hub.usecases.users import DeleteUser
from perijove.kit.clock import Clock
from perijove.kit.tasks import TaskGroup

log = structlog.get_logger(__name__)

#: seconds between rounds: a part of the shortest time that a policy has, and at least and at most these
ROUND_PART: Final = 20
SHORTEST_ROUND: Final = 1.0
LONGEST_ROUND: Final = 30.0
#: servers that are being stopped at once
STOPS_AT_ONCE: Final = 10
#: seconds until a server that does not go is left to the driver, and the next one's turn comes
STOP_SECONDS: Final = 60.0
#: seconds between looks at users who never come, and how many are looked at in one transaction
USERS_ROUND: Final = 3600.0
USERS_PAGE: Final = 100
#: how far the wall clock may move against the monotonic one between two looks
JUMP: Final = timedelta(seconds=30)
#: who it was, for the log
_CULLER: Final = Principal(kind=Kind.SERVICE, name="idle policy", scopes=frozenset())


class Settling:
    """Tells when all servers have had time to report: since this hub came, since it was away, since a clock was set."""

    def __init__(self, *, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until: float | None = None
        self._began: datetime | None = None

    def again(self) -> None:
        """Something kept servers from reporting."""
        self._until = None

    def is_over(self) -> bool:
        """Whether what is known of servers is news."""
        now = self._clock.monotonic()
        # When the monotonic clock began, as the wall clock sees it: another time if one was set, or the machine slept.
        began = self._clock.now() - timedelta(seconds=now)
        if self._began is not None and abs(began - self._began) > JUMP:
            self.again()
        self._began = began
        if self._until is None:
            self._until = now + self._seconds
        return now >= self._until


class Culler:
    """Looks again and again which servers are to be stopped."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        activity: Activity,
        deadlines: Deadlines,
        stop_server: StopServer,
        delete_user: DeleteUser,
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._activity = activity
        self._deadlines = deadlines
        self._stop_server = stop_server
        self._delete_user = delete_user
        self._changed = asyncio.Event()
        self._settling = Settling(clock=clock, seconds=COUNTS_FOR * report_seconds)

    @property
    def _policies(self) -> Sequence[CullPolicy]:
        return self._deadlines.policies.all

    def adopt(self) -> None:
        """The policies are other ones now."""
        self._changed.set()

    @property
    def round_seconds(self) -> float:
        """Seconds between rounds."""
        times = [
            seconds
            for policy in self._policies
            for seconds in (policy.idle_seconds, policy.max_age_seconds, policy.warn_seconds)
            if seconds
        ]
        return min(max(min(times, default=LONGEST_ROUND) / ROUND_PART, SHORTEST_ROUND), LONGEST_ROUND)

    async def run(self) -> None:
        """Look until cancelled; without a policy there is nothing to look at."""
        while True:
            self._changed.clear()
            async with TaskGroup("culler") as loops:
                if any(policy.users_idle_seconds for policy in self._policies):
                    loops.start("users", forever("idle users", self.look_at_users, every=USERS_ROUND))
                if any(policy.stops_servers for policy in self._policies):
                    loops.start("servers", forever("idle servers", self.look, every=self.round_seconds))
                # No timeout: the loops go on until there are other policies.
                await self._changed.wait()

    async def look(self) -> None:
        """One round: stop what is due, and wait until it is gone."""
        now = self._clock.now()
        idle, age = shortest(self._policies)
        try:
            async with self._store.reading() as unit:
                rows = await unit.servers.last_used(before=_ago(now, idle), or_started=_ago(now, age))
            policies = await self._deadlines.policies.of(rows)
        except Unavailable:
            # While the database was away no server could report either.
            self._settling.again()
            raise
        if not self._settling.is_over():
            return
        self._deadlines.forget_others(rows)
        fresh = map(self._activity.fresh_server, rows)
        due = [server for server in fresh if self._deadlines.due(server, policies[server.user_id])]
        gate = asyncio.Semaphore(STOPS_AT_ONCE)
        async with TaskGroup("idle stops") as stops:
            work = {stops.start(row.key, self._stop(row, policies[row.user_id], gate)) for row in due}
            if work:
                await asyncio.wait(work)

    async def look_at_users(self) -> None:
        """One round: remove the users who have not come for as long as their policy says."""
        if not self._settling.is_over():
            return
        now = self._clock.now()
        soonest = min(policy.users_idle_seconds for policy in self._policies if policy.users_idle_seconds)
        for user in await self._unused_users(_ago(now, soonest)):
            async with self._store.reading() as unit:
                groups = (await unit.groups.of_users([user.id])).get(user.id, ())
            policy = self._deadlines.policies.of_user(user, groups)
            if policy is None or not policy.users_idle_seconds or user.admin:
                continue
            if _last_seen(user) <= _ago(now, policy.users_idle_seconds):
                await self._remove(user)

    async def _remove(self, user: User) -> None:
        try:
            await self._delete_user(user.name, _CULLER)
        except HubError as exc:
            log.info("user.not_removed", user=user.name, why=exc.message)

    async def _unused_users(self, before: datetime) -> Sequence[User]:
        """Users without a running server who were last seen before that."""
        found: list[User] = []
        offset = 0
        while True:
            async with self._store.reading() as unit:
                page, _ = await unit.users.page(offset=offset, limit=USERS_PAGE, sort="last_activity", state="inactive")
            fresh = [self._activity.fresh_user(user) for user in page]
            found += [user for user in fresh if _last_seen(user) <= before]
            # They come in this order: those who never came, then those whose last visit is longest ago.
            if len(page) < USERS_PAGE or (page[-1].last_activity is not None and page[-1].last_activity > before):
                return found
            offset += USERS_PAGE

    async def _stop(self, server: Server, policy: CullPolicy | None, gate: asyncio.Semaphore) -> None:
        async with gate:
            stopping = await self._stop_server.if_due(server, lambda row: self._sentence(row, policy))
            if stopping is None:
                return
            log.info("server.culled", server=server.key, why=stopping.stop_reason)
            await self._stop_server.gone(stopping, timeout=STOP_SECONDS)

    def _sentence(self, row: Server, policy: CullPolicy | None) -> str:
        end = self._deadlines.due(self._activity.fresh_server(row), policy)
        return f"It was stopped because {why(end, past=True)}." if end is not None else ""


def _ago(now: datetime, seconds: float) -> datetime:
    """*seconds* before *now*; the beginning of time for infinity."""
    reach = (now - datetime.min.replace(tzinfo=now.tzinfo)).total_seconds()
    return now - timedelta(seconds=min(seconds, reach))


def _last_seen(user: User) -> datetime:
    return user.last_activity or user.created
