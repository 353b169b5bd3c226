"""
The audit log: all of it for those who may read it, and for everybody what concerns them. Our own endpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.errors import Invalid
from perijove.hub.usecases.activity import parse_time
from perijove.hub.usecases.audit import Wanted
from perijove.hub.web.access import needs, the_user
from perijove.hub.web.api.caller import CallOf
from perijove.hub.web.api.models import timestamp
from perijove.hub.web.declared import Routes

READ: Final = "read:audit"
#: more than any id
_MAX_ID: Final = 2**63

router = Routes()


@router.get("/audit", access=needs(READ))
async def get_audit(
    call: CallOf,
    actor: str = "",
    target: str = "",
    action: str = "",
    since: str = "",
    until: str = "",
    before: str = "",
) -> dict[str, Any]:
    """A page, the newest first; `next` is the value of `before` with which the next one is asked for."""
    wanted = Wanted(
        actor=actor,
        target=target,
        action=_action(action),
        since=parse_time(since) if since else None,
        until=parse_time(until) if until else None,
    )
    limit = call.window.limit
    return _page(await call.parts.audit.page(wanted, limit=limit, before_id=_id(before)), limit)


@router.get("/users/{user_name}/audit", access=needs(READ, on=the_user))
async def get_user_audit(call: CallOf, user_name: str, action: str = "", before: str = "") -> dict[str, Any]:
    """What was done to a user and what they did, the newest first; of others without their addresses."""
    user = await call.parts.get_user(user_name)
    limit = call.window.limit
    rows = await call.parts.audit.concerning(user, limit=limit, before_id=_id(before), action=_action(action))
    return _page(rows, limit)


def entry_model(entry: AuditEntry) -> dict[str, Any]:
    """An entry, for programs."""
    return {
        "id": entry.id,
        "at": timestamp(entry.at),
        "action": entry.action.value,
        "actor": entry.actor,
        "actor_kind": entry.actor_kind,
        "target": entry.target,
        "detail": dict(entry.detail),
        "address": entry.address,
        "sequence": entry.sequence or None,
        "hash": entry.sealed_hash or None,
    }


def _page(rows: Sequence[AuditEntry], limit: int) -> dict[str, Any]:
    return {"entries": [entry_model(row) for row in rows], "next": rows[-1].id if len(rows) == limit else None}


def _action(text: str) -> Action | None:
    try:
        return Action(text) if text else None
    except ValueError:
        known = ", ".join(action.value for action in Action)
        raise Invalid(f"There is no action {text[:40]!r}; there are {known}.") from None


def _id(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise Invalid("before must be the id of an entry.")
    return min(int(text[:20]), _MAX_ID)
