"""
What a server tells the hub about itself, and what the hub answers: contract d10, and perijove's own members.

    POST <JUPYTERHUB_ACTIVITY_URL>
    {"last_activity": "…", "servers": {"<name>": {"last_activity": "…", "busy": true, "since": "…", "with": "kernel"}}}

A hub of JupyterHub reads past the members that it does not know, and answers nothing. Ours answers a server that
says whether it is busy

    {"servers": {"<name>": {"stop_at": "…", "because": "…", "warn_seconds": 300, "may_be_put_off": true}}}

where the inner object is empty if it is not to be stopped. `POST /users/<user>/server/keep` (`…/servers/<name>/keep`)
answers the inner object as it is then. Law: members are only ever added; a reader ignores what it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

SERVERS: Final = "servers"
LAST_ACTIVITY: Final = "last_activity"
#: whether something runs in it
BUSY: Final = "busy"
#: since when that is so
SINCE: Final = "since"
#: what runs: `kernel` or `terminal`
WITH: Final = "with"

#: when it is to be stopped unless something changes
STOP_AT: Final = "stop_at"
#: the end of a sentence: “This server will be stopped at 14:05 because …”
BECAUSE: Final = "because"
#: how long before that its user is to be told
WARN_SECONDS: Final = "warn_seconds"
#: whether asking gives it more time
MAY_BE_PUT_OFF: Final = "may_be_put_off"

#: the last segment of the address with which a server is kept
KEEP: Final = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """Until when the hub keeps a server: what it and its user are told."""

    at: datetime
    #: the end of a sentence: "This server will be stopped at 14:05 because …"
    because: str
    warn_seconds: float
    #: whether asking gives it more time
    may_be_put_off: bool

    @property
    def warn_at(self) -> datetime:
        """When its user is to be told."""
        return self.at - timedelta(seconds=self.warn_seconds)


def deadline_body(deadline: Deadline | None) -> dict[str, Any]:
    """The inner object of an answer; empty: it is not to be stopped."""
    if deadline is None:
        return {}
    return {
        STOP_AT: stamp(deadline.at),
        BECAUSE: deadline.because,
        WARN_SECONDS: deadline.warn_seconds,
        MAY_BE_PUT_OFF: deadline.may_be_put_off,
    }


def read_deadline(body: object) -> Deadline | None:
    """
    What an inner object says; None if nothing is to be stopped, or if the hub is none of ours and says nothing.

    Raises:
        ValueError: a hub of another version says it in another way.
    """
    if not isinstance(body, Mapping) or not body:
        return None
    try:
        return Deadline(
            at=datetime.fromisoformat(body[STOP_AT]).astimezone(UTC),
            because=str(body[BECAUSE]),
            warn_seconds=float(body[WARN_SECONDS]),
            may_be_put_off=bool(body[MAY_BE_PUT_OFF]),
        )
    except (KeyError, TypeError) as exc:
        raise ValueError(f"This is no deadline: {exc!r}") from exc


def stamp(at: datetime) -> str:
    """A time as reports and answers state it: ISO 8601 in UTC with microseconds and `Z`."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"
