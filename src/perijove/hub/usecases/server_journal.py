"""
What is told of a server's way: a line for operators, and an event for programs that keep accounts of starts and stops.
"""

from __future__ import annotations

import structlog

from perijove.hub.domain.lifecycle import Event, State
from perijove.hub.domain.servers import Server
from perijove.hub.ports import Exit, ServerAction, ServerEvents

log = structlog.get_logger(__name__)


class ServerJournal:
    """Told of every move by the hub that has recorded it: so each is told once, or not at all if that hub dies then."""

    def __init__(self, *, events: ServerEvents) -> None:
        self._events = events

    def moved(self, before: Server, after: Server, event: Event) -> None:
        """One line when a server has started, stopped or failed; the steps between are for debugging."""
        if after.state is State.READY:
            log.info("server.started", server=after.key)
        elif event is Event.GAVE_UP:
            log.warning("server.failed", server=after.key, why=after.failure)
        elif after.state is State.STOPPED:
            log.info("server.stopped", server=after.key)
        else:
            log.debug("server.moved", server=after.key, state=after.state.value, why=event.value)
        self._emit(before, after)

    def exited(self, before: Server, after: Server, exit_: Exit) -> None:
        """Its process is gone: because somebody wanted that, or for a reason."""
        if exit_.asked or before.state is State.STOPPING:
            log.info("server.stopped", server=after.key)
        else:
            log.warning("server.exited", server=after.key, why=exit_.message)
        self._emit(before, after)

    def _emit(self, before: Server, after: Server) -> None:
        action = action_of(before, after)
        if action is not None:
            self._events.emit(action, after)


def action_of(before: Server, after: Server) -> ServerAction | None:
    """
    What has succeeded with this move, if it is an action of JupyterHub's schema `server-action`.

    A server that ended by itself, or that failed, was not stopped; one that was given up in the queue had not begun.
    """
    if after.state is State.READY and before.state is not State.READY:
        return ServerAction.START
    if after.state is State.STOPPED and before.state is State.STOPPING and not after.failure:
        return ServerAction.STOP
    return None
