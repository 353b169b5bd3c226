"""
The table on disk: keys, routes, revocations, so that a restarted proxy serves at once.

Law: a snapshot is a cache. One that cannot be read is logged and forgotten (the hub sends everything again);
one that cannot be written is logged and changes nothing. Written beside the file and renamed, mode 0600.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from perijove.kit.files import replace_secret
from perijove.proxy.core.errors import ProxyError

log = structlog.get_logger(__name__)

VERSION: Final = 1


class UnreadableSnapshot(ProxyError):
    """The snapshot is damaged, or of another version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What is kept."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    #: path -> body as posted
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    revocations: list[dict[str, Any]] = field(default_factory=list)
    #: whether the door was on: it stays on without keys
    door: bool = False


def read_snapshot(path: Path) -> Snapshot | None:
    """What was written last; None if nothing was, or it cannot be read."""
    try:
        return parse_snapshot(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, UnreadableSnapshot) as exc:
        log.warning("snapshot.unreadable", path=str(path), reason=str(exc))
        return None


def parse_snapshot(content: object) -> Snapshot:
    """
    Read the JSON form.

    Raises:
        UnreadableSnapshot: it is not one of ours.
    """
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        raise UnreadableSnapshot
    keys, routes, revocations = (content.get(name) for name in ("keys", "routes", "revocations"))
    if not (isinstance(keys, list) and isinstance(routes, dict) and isinstance(revocations, list)):
        raise UnreadableSnapshot
    return Snapshot(keys=keys, routes=routes, revocations=revocations, door=content.get("door") is True)


def write_snapshot(path: Path, snapshot: Snapshot) -> bool:
    """Put *snapshot* in the place of the last one; whether that worked."""
    content = {
        "version": VERSION,
        "door": snapshot.door,
        "keys": snapshot.keys,
        "routes": snapshot.routes,
        "revocations": snapshot.revocations,
    }
    try:
        replace_secret(path, json.dumps(content).encode())
    except OSError as exc:
        log.warning("snapshot.unwritable", path=str(path), reason=str(exc))
        return False
    return True
