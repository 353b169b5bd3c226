"""
Who did what to whom: entries of the audit log, and the chain of hashes that shows whether one is missing or altered.

An entry is written with the change that it tells of, in one transaction. A moment later one hub seals it: gives it its
place and a hash over itself and its predecessor's. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

#: what the first entry of a chain has for its predecessor's hash
GENESIS: Final = "0" * 64


class Action(StrEnum):
    """What was done."""

    SIGNED_IN = "signed-in"
    SIGN_IN_FAILED = "sign-in-failed"
    SIGNED_OUT = "signed-out"
    SESSION_ENDED = "session-ended"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105  # the name of an event
    USER_ADDED = "user-added"
    USER_CHANGED = "user-changed"
    USER_DELETED = "user-deleted"
    SERVER_STARTED = "server-started"
    SERVER_STOPPED = "server-stopped"
    SERVER_ENTERED = "server-entered"
    SHARED = "shared"
    UNSHARED = "unshared"
    SHARE_CODE_MADE = "share-code-made"
    TOKEN_MADE = "token-made"  # noqa: S105
    TOKEN_REVOKED = "token-revoked"  # noqa: S105
    GROUP_CHANGED = "group-changed"
    SERVICE_ADDED = "service-added"
    SERVICE_REMOVED = "service-removed"
    CONFIGURATION_RELOADED = "configuration-reloaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that somebody did."""

    #: 0: not stored yet
    id: int = 0
    at: datetime
    action: Action
    #: name of the user or service that did it; empty: the hub itself, or somebody unknown
    actor: str = ""
    #: `user`, `service`, or empty
    actor_kind: str = ""
    #: user whom it concerns; empty: nobody in particular
    target: str = ""
    #: what else there is to know, such as the server; never a secret
    detail: Mapping[str, Any] = field(default_factory=dict)
    #: of the browser or program
    address: str = ""
    #: place in the chain, from 1; 0: not sealed yet
    sequence: int = 0
    #: hex; empty: not sealed yet
    sealed_hash: str = ""


def seal_of(entry: AuditEntry, *, sequence: int, before: str) -> str:
    """
    The hash that seals *entry* at its place.

    Args:
        entry: what happened.
        sequence: its place in the chain.
        before: hash of the entry at the place before; `GENESIS` for the first.
    """
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    told = [sequence, before, at, entry.action.value, entry.actor, entry.actor_kind, entry.target]
    text = json.dumps([*told, entry.detail, entry.address], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
