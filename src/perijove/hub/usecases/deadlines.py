"""
Until when servers are kept, whom that was told, and how a server gets more time.

The rule is `domain/idle.py`; who stops a server is `cull.py`. Law: a server that speaks for itself is told before
it is stopped, and whoever hears of it late gets the whole time that a warning gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from perijove.hub.domain.errors import InvalidRequest, NoSuchServer
from perijove.hub.domain.idle import CullPolicy, End, Keep, Stop, end_of, policy_for, verdict, why
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.hub.usecases.activity import COUNTS_FOR, REPORT_SECONDS, Activity
from perijove.hub.usecases.load_roles import RoleBook
from perijove.kit.clock import Clock
from perijove.wire.activity import Deadline

log = structlog.get_logger(__name__)

#: Seconds for which it is remembered whose policy is whose: groups and roles change rarely, and servers ask with
#: every report.
REMEMBERED: Final = 900.0
#: people whose policy is remembered
MAX_REMEMBERED: Final = 20_000


class Policies:
    """Which policy counts for whom."""

    def __init__(self, *, policies: Sequence[CullPolicy], roles: RoleBook, clock: Clock, store: Store) -> None:
        self._store = store
        self._clock = clock
        #: user id -> until when this is remembered, and the policy
        self._remembered: dict[int, tuple[float, CullPolicy | None]] = {}
        self.adopt(roles=roles, policies=policies)

    def adopt(self, *, roles: RoleBook, policies: Sequence[CullPolicy]) -> None:
        """Go on with these roles and policies."""
        self.all = tuple(policies)
        self._roles = roles
        self._has_groups = any(policy.group for policy in self.all)
        self._has_roles = any(policy.role for policy in self.all)
        self._remembered.clear()

    async def of(self, servers: Iterable[Server]) -> Mapping[int, CullPolicy | None]:
        """By user id, for the owners of *servers*."""
        now = self._clock.monotonic()
        found: dict[int, CullPolicy | None] = {}
        new: set[int] = set()
        for id_ in {server.user_id for server in servers}:
            until, policy = self._remembered.get(id_, (0.0, None))
            if now < until:
                found[id_] = policy
            else:
                new.add(id_)
        return {**found, **await self._look_up(new, until=now + REMEMBERED)} if new else found

    async def _look_up(self, ids: Iterable[int], *, until: float) -> Mapping[int, CullPolicy | None]:
        found = {}
        async with self._store.reading() as unit:
            groups = await unit.groups.of_users(ids) if self._has_groups or self._has_roles else {}
            for id_ in ids:
                user = await unit.users.by_id(id_) if self._has_roles else None
                found[id_] = self._choose(user, groups.get(id_, ()))
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered |= {id_: (until, policy) for id_, policy in found.items()}
        return found

    def of_user(self, user: User, groups: Sequence[str]) -> CullPolicy | None:
        """For a user whose groups are known."""
        return self._choose(user, groups)

    def _choose(self, user: User | None, groups: Sequence[str]) -> CullPolicy | None:
        roles = self._roles.roles_of_user(user, groups) if user is not None else ()
        return policy_for(self.all, groups=groups, roles=roles)


class Deadlines:
    """Knows until when servers are kept, and which of them have been told so."""

    def __init__(
        self,
        *,
        clock: Clock,
        activity: Activity,
        policies: Policies,
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self._clock = clock
        self._activity = activity
        self.policies = policies
        self._speaks_for = timedelta(seconds=COUNTS_FOR * report_seconds)
        #: server id -> its generation, and since when (monotonic) it is known that its end is near
        self._told: dict[int, tuple[int, float]] = {}

    async def of(self, servers: Sequence[Server]) -> Mapping[int, Deadline]:
        """By server id; who asks tells the user. A server that is not to be stopped is left out."""
        if not self.policies.all or not servers:
            return {}
        policies = await self.policies.of(servers)
        found = {server.id: self._deadline(server, policies[server.user_id]) for server in servers}
        return {id_: deadline for id_, deadline in found.items() if deadline is not None}

    async def of_one(self, server: Server) -> Deadline | None:
        """Of one server; who asks tells the user."""
        return (await self.of([server])).get(server.id)

    def due(self, server: Server, policy: CullPolicy | None) -> End | None:
        """The end of *server*, if it has come and its user had the time to hear of it."""
        now = self._clock.now()
        judged = verdict(server, policy, now)
        if isinstance(judged, Keep) or policy is None:
            self._told.pop(server.id, None)
            return None
        if self._when_told(server) is None and self._speaks(server, now):
            # It will report by itself before its time, and is told then.
            return None
        told = self._tell(server)
        is_warned = self._clock.monotonic() - told >= policy.warn_seconds
        return judged.end if isinstance(judged, Stop) and is_warned else None

    def forget_others(self, servers: Iterable[Server]) -> None:
        """Remember only what was told to these."""
        ids = {server.id for server in servers}
        self._told = {id_: told for id_, told in self._told.items() if id_ in ids}

    def _deadline(self, server: Server, policy: CullPolicy | None) -> Deadline | None:
        now = self._clock.now()
        end = end_of(server, policy, now)
        if end is None or policy is None:
            return None
        at = end.at
        if isinstance(verdict(server, policy, now), Keep):
            self._told.pop(server.id, None)
        else:
            # Whoever hears of it late gets the whole time that a warning gives.
            left = policy.warn_seconds - (self._clock.monotonic() - self._tell(server))
            at = max(at, now + timedelta(seconds=left))
        return Deadline(
            at=at,
            because=why(end),
            warn_seconds=policy.warn_seconds,
            may_be_put_off=end.may_be_put_off,
        )

    def _tell(self, server: Server) -> float:
        told = self._when_told(server)
        if told is None:
            told = self._clock.monotonic()
            self._told[server.id] = (server.generation, told)
        return told

    def _when_told(self, server: Server) -> float | None:
        generation, told = self._told.get(server.id, (0, 0.0))
        return told if generation == server.generation else None

    def _speaks(self, server: Server, now: datetime) -> bool:
        """Whether it was heard of late; what has fallen silent is not waited for."""
        return server.busy_until is not None and now < server.busy_until + self._speaks_for


class KeepServer:
    """Gives a server more time because somebody asks for it."""

    def __init__(self, *, store: Store, clock: Clock, activity: Activity, deadlines: Deadlines) -> None:
        self._store = store
        self._clock = clock
        self._activity = activity
        self._deadlines = deadlines

    async def __call__(self, user: User, name: str) -> Deadline | None:
        """
        Keep it for as long as its owner's policy allows, from now; when it is to be stopped then, if ever.

        Raises:
            NoSuchServer: there is none of that name.
            InvalidRequest: it does not run.
            StaleGeneration: it is being stopped just now.
        """
        async with self._store.reading() as unit:
            row = _running(await unit.servers.get(user.id, name))
        policy = (await self._deadlines.policies.of([row]))[user.id]
        if policy is not None and policy.extend_seconds:
            until = self._clock.now() + timedelta(seconds=policy.extend_seconds)
            async with self._store.unit() as unit:
                row = _running(await unit.servers.get(user.id, name))
                keep = until if row.keep_until is None else max(until, row.keep_until)
                row = await unit.servers.swap(row, replace(row, keep_until=keep))
            log.info("server.kept", server=row.key, seconds=policy.extend_seconds)
        return await self._deadlines.of_one(self._activity.fresh_server(row))


def _running(row: Server | None) -> Server:
    if row is None:
        raise NoSuchServer
    if not row.is_ready:
        raise InvalidRequest(f"{row.key} is not running")
    return row
