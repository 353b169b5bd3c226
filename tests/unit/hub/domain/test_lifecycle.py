from __future__ import annotations

import itertools

import pytest

from perijove.hub.domain.errors import IllegalTransition
from perijove.hub.domain.lifecycle import RESUME, TRANSITIONS, UNDRIVEN, Effect, Event, State, step


def play(*events: Event) -> tuple[State, list[Effect]]:
    state = State.STOPPED
    effects: list[Effect] = []
    for event in events:
        state, due = step(state, event)
        effects.extend(due)
    return state, effects


#: states in which a process may exist
BEGUN = [state for state in State if state not in (State.STOPPED, State.QUEUED)]


def test_a_start_waits_its_turn_then_launches_then_probes_then_routes() -> None:
    assert play(Event.START_ASKED) == (State.QUEUED, [])
    state, effects = play(Event.START_ASKED, Event.ADMITTED, Event.LAUNCHED, Event.ANSWERED, Event.ROUTED)

    assert state is State.READY
    assert effects == [Effect.LAUNCH, Effect.PROBE, Effect.ADD_ROUTE]


@pytest.mark.parametrize("event", [Event.STOP_ASKED, Event.GAVE_UP])
def test_a_ready_server_loses_its_route_before_its_process(event: Event) -> None:
    """
    Users never meet a route to a process that is being ended.
    """
    assert step(State.READY, event) == (State.STOPPING, (Effect.REMOVE_ROUTE, Effect.TERMINATE))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_is_a_row_or_is_refused(state: State, event: Event) -> None:
    if event in TRANSITIONS[state]:
        after, effects = step(state, event)
        assert isinstance(after, State)
        assert all(isinstance(effect, Effect) for effect in effects)
    else:
        with pytest.raises(IllegalTransition, match=state.value):
            step(state, event)


@pytest.mark.parametrize("state", State)
def test_from_every_state_there_is_a_way_to_stop(state: State) -> None:
    seen: set[State] = set()
    frontier = {state}
    while frontier:
        seen |= frontier
        frontier = {after for at in frontier for after, _ in TRANSITIONS[at].values()} - seen

    assert State.STOPPED in seen


@pytest.mark.parametrize("state", BEGUN)
def test_a_process_that_ends_stops_its_server_whatever_it_was_doing(state: State) -> None:
    assert step(state, Event.EXITED)[0] is State.STOPPED


@pytest.mark.parametrize("state", BEGUN)
def test_a_stop_can_always_be_asked_for(state: State) -> None:
    assert step(state, Event.STOP_ASKED)[0] is State.STOPPING


@pytest.mark.parametrize("event", [Event.STOP_ASKED, Event.GAVE_UP])
def test_whoever_waits_in_the_queue_leaves_it_without_a_trace(event: Event) -> None:
    assert step(State.QUEUED, event) == (State.STOPPED, ())


def test_only_a_stopped_server_can_be_started() -> None:
    assert [state for state in State if Event.START_ASKED in TRANSITIONS[state]] == [State.STOPPED]


def walk() -> set[tuple[State, bool, bool]]:
    """Every state that any run of events leads to, with whether a route and a process may be left from before."""
    todo = [(State.STOPPED, False, False)]
    seen = set(todo)
    while todo:
        state, routed, running = todo.pop()
        for event, (after, effects) in TRANSITIONS[state].items():
            may_be_routed = (routed or Effect.ADD_ROUTE in effects) and Effect.REMOVE_ROUTE not in effects
            may_run = (running or Effect.LAUNCH in effects) and event is not Event.EXITED
            found = (after, may_be_routed, may_run)
            if found not in seen:
                seen.add(found)
                todo.append(found)
    return seen


def test_no_run_of_events_leaves_a_stopped_server_with_a_route_or_a_process() -> None:
    assert {(routed, running) for state, routed, running in walk() if state is State.STOPPED} == {(False, False)}


def test_resuming_covers_whatever_may_be_half_done() -> None:
    """
    A hub that died anywhere finds a state; what may exist then must be finished or undone from there.
    """
    for state in State:
        if state in UNDRIVEN:
            assert RESUME[state] == ()
    for event, (after, effects) in ((e, t) for row in TRANSITIONS.values() for e, t in row.items()):
        if after not in UNDRIVEN:
            assert set(effects) <= set(RESUME[after]), event


def test_resuming_a_start_begins_where_it_was() -> None:
    assert [RESUME[state] for state in (State.LAUNCHING, State.PROBING, State.ROUTING)] == [
        (Effect.LAUNCH,),
        (Effect.PROBE,),
        (Effect.ADD_ROUTE,),
    ]
