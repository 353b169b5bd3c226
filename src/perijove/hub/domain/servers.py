"""
A user's server as the database knows it. Which state follows which is `lifecycle.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from perijove.hub.domain.errors import InvalidRequest, InvalidServerName
from perijove.hub.domain.lifecycle import State

#: contract d: 1-30 characters, lower-case letters, digits, single hyphens, begins with a letter
_SERVER_NAME: Final = re.compile(r"[a-z](?:[a-z0-9]|-(?!-))*(?<!-)")
MAX_SERVER_NAME: Final = 30
MAX_DISPLAY_NAME: Final = 255
#: member of a handle: true if this run signs its visitors in itself, by OAuth with the hub, and its route is open
OWN_SIGN_IN: Final = "own_sign_in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of one user; the default server's name is "". Changed by `replace`, stored by compare-and-swap."""

    id: int
    user_id: int
    user_name: str
    name: str
    state: State
    #: grows by one with every start: an effect of an older generation is refused (fencing); see `first_generation`
    generation: int
    created: datetime
    display_name: str = ""
    #: what the spawner needs to find the process again
    handle: Mapping[str, Any] = field(default_factory=dict)
    #: origin that the proxy sends requests to, while it runs
    target: str = ""
    started_at: datetime | None = None
    last_activity: datetime | None = None
    #: when the start was asked for that is waited for or under way: its place in the queue
    queued_at: datetime | None = None
    #: until when what it last said counts: that something runs in it, or somebody is at it
    busy_until: datetime | None = None
    #: until when its user asked for it to be kept
    keep_until: datetime | None = None
    #: why it was stopped, for its user, if nobody had asked for it: a sentence
    stop_reason: str = ""
    user_options: Mapping[str, Any] = field(default_factory=dict)
    #: why the last start failed or the last run ended, for the user; empty if it went well
    failure: str = ""
    failure_log: tuple[str, ...] = ()
    #: hub process that drives this server right now, and until when
    lease_holder: str = ""
    lease_until: datetime | None = None

    @property
    def key(self) -> str:
        """`owner/name`: the audience of its identity tokens and the launcher's key."""
        return f"{self.user_name}/{self.name}"

    @property
    def is_ready(self) -> bool:
        """Whether users reach it through the proxy."""
        return self.state is State.READY

    @property
    def is_active(self) -> bool:
        """Whether it runs, is coming or is going."""
        return self.state is not State.STOPPED

    @property
    def does_own_sign_in(self) -> bool:
        """Whether it signs its visitors in itself, so that the proxy lets everybody through to it."""
        return self.handle.get(OWN_SIGN_IN) is True

    @property
    def pending(self) -> str | None:
        """The word that contract d uses for what it waits for: `spawn`, `stop` or None."""
        if self.state is State.STOPPING:
            return "stop"
        return None if self.state in (State.STOPPED, State.READY) else "spawn"


def check_server_name(name: str) -> str:
    """
    *name*, if it can be a server's name; "" is the default server.

    Raises:
        InvalidServerName: contract d refuses it.
    """
    if name and (len(name) > MAX_SERVER_NAME or not _SERVER_NAME.fullmatch(name)):
        raise InvalidServerName(f"Invalid server_name: {name!r}")
    return name


def check_display_name(text: str) -> str:
    """
    *text* in NFC, if it can be shown as a server's name (contract d); "" is none.

    Raises:
        InvalidRequest: it is too long, or has characters that cannot be printed or needless spaces.
    """
    name = unicodedata.normalize("NFC", text)
    if len(name) > MAX_DISPLAY_NAME or not name.isprintable() or " ".join(name.split()) != name:
        raise InvalidRequest(f"Invalid display_name: {text!r}")
    return name


def first_generation(created: datetime) -> int:
    """
    Where the generations of a server made at *created* begin.

    A server may be removed and made anew under the same name, with its user or alone; whoever guards against old
    generations of that name must not take the new server's for them. So they begin with the time, in milliseconds,
    which no number of starts catches up with.
    """
    return int(created.timestamp() * 1000)
