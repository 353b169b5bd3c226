"""
What hubs over one database tell each other: that something has changed, never the truth itself.

Law: a notice may be lost, doubled or late. Whoever hears one looks at the rows; whoever hears `LOST` looks at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a notice is about."""

    #: notices may have been missed: the first one after every connection
    LOST = "lost"
    #: the server of that id has entered a state
    SERVER = "server"
    #: somebody has come to the queue, or there is room again
    QUEUE = "queue"
    #: `text` is what the start of that server tells (JSON)
    PROGRESS = "progress"
    #: the configuration is to be read again; `text` is the hub that has done so
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice; small enough for any database to carry."""

    kind: Kind
    id: int = 0
    text: str = ""
