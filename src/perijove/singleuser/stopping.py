"""
What the user's page asks this server about its end: when that is, and for more time.

Asked again and again by a page that is open; none of it counts as activity.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError, authenticated

from perijove.singleuser.activity import ActivityReporter, Post
from perijove.wire import activity as wire
from perijove.wire.notebook import OWN

#: below the server's base URL
STOPPING_PATH: Final = f"{OWN}stopping"
KEEP_PATH: Final = f"{OWN}keep"
#: key of Tornado's settings
SETTING: Final = "perijove_stopping"
#: Seconds until a page should ask again: while its user is warned, at the least, at the most.
WHILE_WARNED: Final = 5.0
SOONEST: Final = 2.0
LATEST: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """This server's end, and the way to put it off."""

    reporter: ActivityReporter
    #: asks the hub to keep this server
    ask: Post
    now: Callable[[], datetime]

    def model(self) -> dict[str, Any]:
        """What a page shows."""
        deadline, warning = self.reporter.deadline, self.reporter.warning
        if warning is None:
            until = (deadline.warn_at - self.now()).total_seconds() if deadline is not None else LATEST
            return {"warn": False, "ask_again_seconds": min(max(until + SOONEST, SOONEST), LATEST)}
        return {
            "warn": True,
            wire.STOP_AT: warning.at.isoformat(),
            wire.BECAUSE: warning.because,
            wire.MAY_BE_PUT_OFF: warning.may_be_put_off,
            "ask_again_seconds": WHILE_WARNED,
        }

    async def keep(self) -> dict[str, Any]:
        """Ask for more time; until when that is. Raises OSError when the hub cannot be asked."""
        self.reporter.hear_deadline(json.loads(await self.ask("{}") or "null"))
        deadline = self.reporter.deadline
        return {**self.model(), "kept_until": deadline.at.isoformat() if deadline is not None else None}


class StoppingHandler(APIHandler):
    """GET: whether, when and why this server will be stopped."""

    auth_resource = "perijove"
    _track_activity = False

    @authenticated
    @authorized
    async def get(self) -> None:
        """As JSON."""
        stopping: Stopping = self.settings[SETTING]
        self.finish(stopping.model())


class KeepHandler(APIHandler):
    """POST: give this server more time."""

    auth_resource = "perijove"
    _track_activity = False

    @authenticated
    @authorized
    async def post(self) -> None:
        """As JSON: how things are then."""
        stopping: Stopping = self.settings[SETTING]
        try:
            self.finish(await stopping.keep())
        except OSError as exc:
            raise HTTPError(503, f"The hub cannot be asked right now: {exc}") from exc


HANDLERS: Final = ((STOPPING_PATH, StoppingHandler), (KEEP_PATH, KeepHandler))
