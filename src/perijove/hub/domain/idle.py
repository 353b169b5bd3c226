"""
When a server is stopped because nobody needs it, or because it has run long enough. Pure.

Rule: what runs is never stopped for idleness. A server that says it is busy, or was used lately, is kept; only its
maximum age ends it all the same, and its user is warned before either.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Any, Final

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.servers import Server

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
#: keys of a policy that are numbers of seconds
_SECONDS: Final = ("idle_seconds", "max_age_seconds", "users_idle_seconds", "warn_seconds", "extend_seconds")
_KEYS: Final = frozenset({"group", "role", "named_servers", *_SECONDS})


class Reason(StrEnum):
    """Why a server is stopped."""

    IDLE = "idle"
    AGE = "age"


@dataclass(frozen=True, slots=True, kw_only=True)
class CullPolicy:
    """What counts for the users of a group, for those who have a role, or for everybody. 0 seconds are never."""

    group: str = ""
    role: str = ""
    #: how long nothing runs and nobody is at it
    idle_seconds: float = 0
    #: how long a server runs at most
    max_age_seconds: float = 0
    #: how long a user has not come who is removed
    users_idle_seconds: float = 0
    #: how long before it is stopped its user is told
    warn_seconds: float = 300
    #: how much longer it runs if its user asks
    extend_seconds: float = 3600
    #: whether it counts for named servers as well
    named_servers: bool = True

    @property
    def whom(self) -> tuple[str, str]:
        """Whom it is for: no two policies are for the same."""
        return self.group, self.role

    @property
    def stops_servers(self) -> bool:
        """Whether it ever stops one."""
        return self.idle_seconds > 0 or self.max_age_seconds > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """When a server is to be stopped unless something changes, and why."""

    at: datetime
    reason: Reason
    #: whether its user gets more time by asking for it now
    may_be_put_off: bool
    #: how long it was not used by then, or the maximum age
    seconds: float


@dataclass(frozen=True, slots=True)
class Keep:
    """It goes on."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Its user is to be told."""

    end: End


@dataclass(frozen=True, slots=True)
class Stop:
    """Its time is over."""

    end: End


Verdict = Keep | Warn | Stop


def read_policies(
    declared: Sequence[Mapping[str, Any]], *, groups: Collection[str], roles: Collection[str]
) -> Sequence[CullPolicy]:
    """
    The items of `cull_policies`.

    Args:
        declared: as written.
        groups: that there are.
        roles: that there are.

    Raises:
        InvalidRequest: an item is wrong; the message says which and why.
    """
    policies = [_read(item, f"Policy {number}") for number, item in enumerate(declared, start=1)]
    for number, policy in enumerate(policies, start=1):
        what = f"Policy {number}"
        if policy.group and policy.group not in groups:
            raise InvalidRequest(f"{what} is for the group {policy.group!r}, which load_groups does not declare.")
        if policy.role and policy.role not in roles:
            raise InvalidRequest(f"{what} is for the role {policy.role!r}, which does not exist.")
        if policy.whom in [other.whom for other in policies[: number - 1]]:
            raise InvalidRequest(f"{what} is for the same people as one before it.")
    return policies


def _read(item: Mapping[str, Any], what: str) -> CullPolicy:
    unknown = sorted(str(key) for key in item if key not in _KEYS)
    if unknown:
        raise InvalidRequest(f"{what} has an unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}.")
    for key in ("group", "role"):
        if key in item and (not isinstance(item[key], str) or not item[key]):
            raise InvalidRequest(f"{what}: {key} must be a name; leave it out if it is for everybody.")
    if "group" in item and "role" in item:
        raise InvalidRequest(f"{what} is for a group or for a role, not for both.")
    for key in _SECONDS:
        value = item.get(key, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise InvalidRequest(f"{what}: {key} must be a number of seconds; 0 is never.")
    if not isinstance(item.get("named_servers", True), bool):
        raise InvalidRequest(f"{what}: named_servers must be True or False.")
    policy = CullPolicy(**item)
    if not policy.stops_servers and not policy.users_idle_seconds and policy.whom == ("", ""):
        raise InvalidRequest(f"{what} stops nothing: it needs idle_seconds, max_age_seconds or users_idle_seconds.")
    return policy


def policy_for(policies: Sequence[CullPolicy], *, groups: Collection[str], roles: Collection[str]) -> CullPolicy | None:
    """
    The one policy that counts for a user: for a group of theirs, else for a role, else for everybody.

    Of several for their groups (or roles) the first in the configuration counts. Nothing is taken from the others.
    """
    for_group = (policy for policy in policies if policy.group in groups and policy.group)
    for_role = (policy for policy in policies if policy.role in roles and policy.role)
    for_all = (policy for policy in policies if policy.whom == ("", ""))
    return next(chain(for_group, for_role, for_all), None)


def end_of(server: Server, policy: CullPolicy | None, now: datetime) -> End | None:
    """When *server* is to be stopped as things are; None: never."""
    if policy is None or not server.is_ready or (server.name and not policy.named_servers):
        return None
    ends = [end for end in (_end_by_age(server, policy, now), _end_by_idleness(server, policy, now)) if end]
    return min(ends, key=lambda end: end.at, default=None)


def _end_by_idleness(server: Server, policy: CullPolicy, now: datetime) -> End | None:
    used = max((at for at in (server.last_activity, server.started_at) if at is not None), default=None)
    is_busy = server.busy_until is not None and server.busy_until > now
    if not policy.idle_seconds or used is None or is_busy:
        return None
    over = used + timedelta(seconds=policy.idle_seconds)
    at = over if server.keep_until is None else max(over, server.keep_until)
    return End(
        at=at,
        reason=Reason.IDLE,
        may_be_put_off=now + timedelta(seconds=policy.extend_seconds) > at,
        seconds=(at - used).total_seconds(),
    )


def _end_by_age(server: Server, policy: CullPolicy, now: datetime) -> End | None:
    if not policy.max_age_seconds or server.started_at is None:
        return None
    over = server.started_at + timedelta(seconds=policy.max_age_seconds)
    # Once and no more: a server that could be kept again and again would have no maximum age.
    latest = over + timedelta(seconds=policy.extend_seconds)
    at = over if server.keep_until is None else min(max(over, server.keep_until), latest)
    return End(
        at=at,
        reason=Reason.AGE,
        may_be_put_off=at < min(now + timedelta(seconds=policy.extend_seconds), latest),
        seconds=policy.max_age_seconds,
    )


def verdict(server: Server, policy: CullPolicy | None, now: datetime) -> Verdict:
    """What is due for *server* at *now*."""
    end = end_of(server, policy, now)
    if end is None or policy is None or now < end.at - timedelta(seconds=policy.warn_seconds):
        return Keep()
    return Warn(end) if now < end.at else Stop(end)


def shortest(policies: Sequence[CullPolicy]) -> tuple[float, float]:
    """The shortest idle time and the shortest maximum age, less their warnings; infinity: there is none."""
    idle = [policy.idle_seconds - policy.warn_seconds for policy in policies if policy.idle_seconds]
    age = [policy.max_age_seconds - policy.warn_seconds for policy in policies if policy.max_age_seconds]
    return max(0.0, min(idle, default=float("inf"))), max(0.0, min(age, default=float("inf")))


def why(end: End, *, past: bool = False) -> str:
    """The reason as the end of a sentence: "because …"."""
    if end.reason is Reason.IDLE:
        return f"nothing {'had' if past else 'has'} run here for {duration(end.seconds)}"
    return f"no server runs longer than {duration(end.seconds)} here"


def duration(seconds: float) -> str:
    """*seconds* in words, to the unit that matters."""
    for size, word in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= size:
            count = round(seconds / size, 1)
            return f"{count:g} {word}{'' if count == 1 else 's'}"
    count = max(round(seconds), 1)
    return f"{count} second{'' if count == 1 else 's'}"
