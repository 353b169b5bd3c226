"""
The audit log: written with the change that it tells of, read by administrators and by those whom it concerns.

Law: whatever changes something that somebody else has a right to know of calls `record` in the unit of that change.
Nothing secret is ever in an entry. Sealing, forgetting and the copy in a file are `audit_chain.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.principals import Kind, Principal
from perijove.hub.domain.users import User
from perijove.hub.ports import Store, Unit
from perijove.kit.clock import Clock

#: Longest text in an entry: names, addresses and notes may come from anybody.
MAX_TEXT: Final = 255
#: Days for which a user's home page tells who opened their server.
SHOWN_DAYS: Final = 30
#: Entries that are looked through for those visits, and how many of them are shown.
_LOOKED_THROUGH: Final = 100
_SHOWN: Final = 5
#: What an entry tells when a user was renamed: the name before. Whoever had the name before that is somebody else.
RENAMED_FROM: Final = "renamed_from"

Detail = str | int | bool | list[str]


async def record(
    unit: Unit,
    action: Action,
    *,
    at: datetime,
    by: Principal | None,
    target: str = "",
    address: str = "",
    **detail: Detail,
) -> None:
    """
    Tell the audit log what is done in *unit*: kept if, and only if, that is committed.

    Every use case that shares, makes a token, changes a group, adds a service and so on calls this, in the
    transaction of the change:

        await record(unit, Action.SHARED, at=self._clock.now(), by=principal, target=owner.name, server=name, to=bob)

    Args:
        unit: the transaction of the change.
        action: what is done.
        at: now.
        by: who does it; its address is where the request came from. None: the hub itself, or nobody known.
        target: name of the user whom it concerns, who gets to see it; "" if it concerns nobody in particular. Of a
            server, a token or a share that is its owner.
        address: where it came from, when *by* does not say.
        detail: what else there is to know, in a few short words. Never a secret, nor the text of a token or code.
    """
    await unit.audit.add(
        AuditEntry(
            at=at,
            action=action,
            actor=by.name if by else "",
            actor_kind=by.kind.value if by else "",
            target=target[:MAX_TEXT],
            detail={key: value[:MAX_TEXT] if isinstance(value, str) else value for key, value in detail.items()},
            address=(address or (by.address if by else ""))[:MAX_TEXT],
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are asked for; what is empty restricts nothing."""

    actor: str = ""
    target: str = ""
    action: Action | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditLog:
    """Reads the log."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def page(self, wanted: Wanted, *, limit: int, before_id: int | None = None) -> Sequence[AuditEntry]:
        """The newest first; *before_id* goes on after a page before."""
        async with self._store.reading() as unit:
            return await unit.audit.page(
                limit=limit,
                before_id=before_id,
                actor=wanted.actor,
                target=wanted.target,
                action=wanted.action,
                since=wanted.since,
                until=wanted.until,
            )

    async def concerning(
        self, user: User, *, limit: int, before_id: int | None = None, action: Action | None = None
    ) -> Sequence[AuditEntry]:
        """
        What was done to *user*, and what they did, the newest first; of others without their addresses.

        Names can be given away. So this begins when the user was made or got the name that they have.
        """
        async with self._store.reading() as unit:
            since = await _name_since(unit, user)
            rows = await unit.audit.page(
                limit=limit, before_id=before_id, action=action, since=since, concerning=user.name
            )
        return [row if _is_own(row, user) else replace(row, address="") for row in rows]

    async def visits(self, user: User) -> Sequence[AuditEntry]:
        """Who else opened a server of *user* of late: each visitor and server once, the latest first."""
        after = self._clock.now() - timedelta(days=SHOWN_DAYS)
        async with self._store.reading() as unit:
            since = max(after, await _name_since(unit, user))
            rows = await unit.audit.page(
                limit=_LOOKED_THROUGH, target=user.name, action=Action.SERVER_ENTERED, since=since
            )
        latest: dict[tuple[str, str, str], AuditEntry] = {}
        for row in rows:
            latest.setdefault((row.actor_kind, row.actor, str(row.detail.get("server", ""))), row)
        return [replace(row, address="") for row in latest.values()][:_SHOWN]


def _is_own(entry: AuditEntry, user: User) -> bool:
    return entry.actor == user.name and entry.actor_kind == Kind.USER.value


async def _name_since(unit: Unit, user: User) -> datetime:
    changes = await unit.audit.page(
        limit=_LOOKED_THROUGH, target=user.name, action=Action.USER_CHANGED, since=user.created
    )
    return next((row.at for row in changes if RENAMED_FROM in row.detail), user.created)
