"""
The life of one server, as a table.

Rule: nothing else assigns a server's state. `step()` takes a state and what happened and answers with
the next state and the effects that `usecases/drive_servers.py` must carry out, in order. No I/O, no
clock, no HTTP. The diagram in docs/explanation/server-lifecycle.md is drawn from `TRANSITIONS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from perijove.hub.domain.errors import IllegalTransition


class State(Enum):
    """Where a server is. The values are stored in the database."""

    STOPPED = "stopped"  #: no process, no route
    QUEUED = "queued"  #: a start was asked for and waits for its turn
    LAUNCHING = "launching"  #: the spawner has been, or is about to be, asked for a process
    PROBING = "probing"  #: the process exists; waiting until it answers HTTP
    ROUTING = "routing"  #: it answers; the proxy has not confirmed the route yet
    READY = "ready"  #: users reach it through the proxy
    STOPPING = "stopping"  #: the process is going away; its route is already gone


class Event(Enum):
    """What can happen to a server."""

    START_ASKED = "start asked"
    ADMITTED = "admitted"  #: it is its turn to start
    LAUNCHED = "launched"
    ANSWERED = "answered"
    ROUTED = "routed"
    STOP_ASKED = "stop asked"
    GAVE_UP = "gave up"  #: a launch, a probe or a route failed or took too long
    EXITED = "exited"


class Effect(Enum):
    """What must be done next."""

    LAUNCH = "launch"
    PROBE = "probe"
    ADD_ROUTE = "add route"
    REMOVE_ROUTE = "remove route"
    TERMINATE = "terminate"


Row: TypeAlias = Mapping[Event, tuple[State, tuple[Effect, ...]]]

_BEFORE_ROUTE: Final[Row] = {
    Event.STOP_ASKED: (State.STOPPING, (Effect.TERMINATE,)),
    Event.GAVE_UP: (State.STOPPING, (Effect.TERMINATE,)),
    Event.EXITED: (State.STOPPED, ()),
}

# Once a route has been asked for it may exist, answered or not: every way out removes it.
_MAYBE_ROUTED: Final[Row] = {
    Event.STOP_ASKED: (State.STOPPING, (Effect.REMOVE_ROUTE, Effect.TERMINATE)),
    Event.GAVE_UP: (State.STOPPING, (Effect.REMOVE_ROUTE, Effect.TERMINATE)),
    Event.EXITED: (State.STOPPED, (Effect.REMOVE_ROUTE,)),
}

TRANSITIONS: Final[Mapping[State, Row]] = {
    State.STOPPED: {Event.START_ASKED: (State.QUEUED, ())},
    State.QUEUED: {
        Event.ADMITTED: (State.LAUNCHING, (Effect.LAUNCH,)),
        Event.STOP_ASKED: (State.STOPPED, ()),
        Event.GAVE_UP: (State.STOPPED, ()),
    },
    State.LAUNCHING: {**_BEFORE_ROUTE, Event.LAUNCHED: (State.PROBING, (Effect.PROBE,))},
    State.PROBING: {**_BEFORE_ROUTE, Event.ANSWERED: (State.ROUTING, (Effect.ADD_ROUTE,))},
    State.ROUTING: {**_MAYBE_ROUTED, Event.ROUTED: (State.READY, ())},
    State.READY: _MAYBE_ROUTED,
    State.STOPPING: {
        Event.EXITED: (State.STOPPED, ()),
        Event.STOP_ASKED: (State.STOPPING, ()),
        # These were under way when the stop was decided.
        Event.LAUNCHED: (State.STOPPING, (Effect.TERMINATE,)),
        Event.ANSWERED: (State.STOPPING, ()),
        Event.ROUTED: (State.STOPPING, (Effect.REMOVE_ROUTE,)),
        Event.GAVE_UP: (State.STOPPING, (Effect.TERMINATE,)),
    },
}

#: What a hub that finds a server in a state must do to go on from there: every effect that may be half done.
#: All effects are idempotent within a generation, so doing one again is safe; leaving one out is not.
RESUME: Final[Mapping[State, tuple[Effect, ...]]] = {
    State.STOPPED: (),
    State.QUEUED: (),
    State.LAUNCHING: (Effect.LAUNCH,),
    State.PROBING: (Effect.PROBE,),
    State.ROUTING: (Effect.ADD_ROUTE,),
    State.READY: (),
    State.STOPPING: (Effect.REMOVE_ROUTE, Effect.TERMINATE),
}

#: states that nobody needs to drive any further
SETTLED: Final = frozenset({State.STOPPED, State.READY})
#: states of a server that no hub holds a lease of: in the queue it is everybody's
UNDRIVEN: Final = SETTLED | {State.QUEUED}
#: states of a start that counts against `concurrent_spawn_limit`
STARTING: Final = frozenset({State.LAUNCHING, State.PROBING, State.ROUTING})


def step(state: State, event: Event) -> tuple[State, tuple[Effect, ...]]:
    """
    The next state, and what must be done to get there.

    Raises:
        IllegalTransition: *event* cannot happen in *state*; nothing has changed.
    """
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(f"A server that is {state.value} cannot take “{event.value}”.") from None
