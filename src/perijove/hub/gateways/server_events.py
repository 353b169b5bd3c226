"""
Events of servers for programs, through handlers of Python's logging: as JupyterHub's
`c.EventLogger.handlers` gets them.

The envelope is that of `jupyter_events`, the event that of JupyterHub's schema `server-action`, version 1. The package
itself is not imported: it would check what is right by construction against a schema, for some megabytes of memory.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from perijove.hub.domain.servers import Server
from perijove.hub.ports import ServerAction
from perijove.kit.clock import Clock

log = structlog.get_logger(__name__)

#: JupyterHub's, `jupyterhub/event-schemas/server-actions`
SCHEMA: Final = "https://schema.jupyter.org/jupyterhub/events/server-action"
SCHEMA_VERSION: Final = "1"
#: of the envelope
METADATA_VERSION: Final = 1
LOGGER: Final = "perijove.server_events"


class HandledServerEvents:
    """`ServerEvents` for handlers; with none it does nothing."""

    def __init__(self, handlers: Sequence[logging.Handler], *, clock: Clock) -> None:
        self._clock = clock
        self._handlers = tuple(handlers)
        for handler in self._handlers:
            handler.setFormatter(_AsLine())

    def emit(self, action: ServerAction, server: Server) -> None:
        """One record for each handler. What a handler raises is logged, and harms neither the server nor the others."""
        if not self._handlers:
            return
        event = envelope(
            {"action": action.value, "username": server.user_name, "servername": server.name}, at=self._clock.now()
        )
        # The members are the message, as in `jupyter_events`: a handler may want them and not the line.
        record = logging.LogRecord(LOGGER, logging.INFO, __file__, 0, event, None, None)
        for handler in self._handlers:
            try:
                if record.levelno >= handler.level:
                    handler.handle(record)
            except Exception as exc:  # noqa: BLE001  # an administrator's own code may raise anything
                log.warning("events.not_written", handler=repr(handler), why=repr(exc))


def envelope(data: Mapping[str, Any], *, at: datetime) -> dict[str, Any]:
    """*data* with when, of which schema and in which version, as `jupyter_events` writes them."""
    return {
        "__timestamp__": at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z",
        "__schema__": SCHEMA,
        "__schema_version__": SCHEMA_VERSION,
        "__metadata_version__": METADATA_VERSION,
        **data,
    }


class _AsLine(logging.Formatter):
    """A line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The members of *record*'s event, in the order in which they were written."""
        return json.dumps(record.msg, ensure_ascii=False)
