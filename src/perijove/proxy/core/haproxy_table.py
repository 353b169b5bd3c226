"""
What haproxy's map holds, and the steps from there to what the route table says.

Nothing here talks to haproxy: `RouteSync` answers commands, whoever sends them (`haproxy/engine.py`) says whether they
went well by starting over if they did not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from perijove.proxy.core import haproxy_cli as cli
from perijove.proxy.core.haproxy_routes import Place, Way, map_key, place
from perijove.proxy.core.routes import Entry, RouteTable

#: Paths whose change is told one by one; more are a new version of the whole map.
MAX_SINGLE: Final = 32
#: The one address that is the proxy's own.
HEALTH_KEY: Final = "/_chp_healthz/"


@dataclass(slots=True, kw_only=True)
class _Placed:
    entry: Entry
    #: whether gated routes were gated when this was decided
    is_door_on: bool
    place: Place


@dataclass(slots=True, kw_only=True)
class RouteSteps:
    """Commands, in the order of their fields."""

    #: make servers known
    servers: list[str] = field(default_factory=list)
    #: change the map, one by one
    entries: list[str] = field(default_factory=list)
    #: or make it this, in one step
    whole: dict[str, str] | None = None
    #: full names of servers that are no more
    retired: list[str] = field(default_factory=list)


class RouteSync:
    """Follows a route table."""

    def __init__(
        self, *, table: RouteTable, map_file: str, is_passing: bool, prepends_path: bool, number: int = 0
    ) -> None:
        """
        Args:
            table: the routes.
            map_file: the map, as the runtime socket names it.
            is_passing: whether everything is left to the built-in worker.
            prepends_path: whether the path of a target is put in front.
            number: of the last server that there ever was.
        """
        #: of the last server
        self.number = number
        self._table = table
        self._map_file = map_file
        self._is_passing = is_passing
        self._prepends_path = prepends_path
        self._placed: dict[str, _Placed] = {}

    def everything(self, *, is_door_on: bool) -> dict[str, Place]:
        """The whole map, for a haproxy that starts with it."""
        self._placed.clear()
        for entry in self._table:
            self._place(entry, is_door_on=is_door_on)
        return self._map()

    def steps(self, paths: Iterable[str] | None, *, is_door_on: bool) -> RouteSteps:
        """
        What has to be done after a change.

        Args:
            paths: of routes that may have changed; None: all.
            is_door_on: whether gated routes are gated.
        """
        steps = RouteSteps()
        if paths is None:
            paths = [*self._placed, *(entry.path for entry in self._table)]
        changed = [path for path in dict.fromkeys(paths) if self._is_stale(path, is_door_on=is_door_on)]
        is_bulk = len(changed) > MAX_SINGLE
        for path in changed:
            old, entry = self._placed.pop(path, None), self._table.get(path)
            new = self._place(entry, is_door_on=is_door_on) if entry is not None else None
            if new is not None and new.server:
                steps.servers += cli.add_server(new.full_name, new.address)
            if not is_bulk:
                steps.entries += self._entry_commands(path, old.place if old else None, new)
            if old is not None and old.place.server:
                steps.retired.append(old.place.full_name)
        if is_bulk:
            steps.whole = {key: known.value for key, known in self._map().items()}
        return steps

    def servers_for(self, audiences: Iterable[str]) -> list[str]:
        """Full names of the servers that haproxy sends visitors of *audiences* to."""
        wanted = set(audiences)
        return [
            placed.place.full_name
            for placed in self._placed.values()
            if placed.place.way is Way.GATED and placed.entry.audience in wanted
        ]

    def path_of(self) -> dict[str, str]:
        """Server name -> path of the route it belongs to."""
        return {placed.place.server: path for path, placed in self._placed.items() if placed.place.server}

    def _is_stale(self, path: str, *, is_door_on: bool) -> bool:
        placed, entry = self._placed.get(path), self._table.get(path)
        if placed is None:
            return entry is not None
        return placed.entry is not entry or placed.is_door_on is not is_door_on

    def _place(self, entry: Entry, *, is_door_on: bool) -> Place:
        self.number += 1
        made = place(entry, number=self.number, is_door_on=is_door_on, prepends_path=self._prepends_path)
        self._placed[entry.path] = _Placed(entry=entry, is_door_on=is_door_on, place=made)
        return made

    def _map(self) -> dict[str, Place]:
        if self._is_passing:
            return {}
        keyed = {map_key(path): placed.place for path, placed in self._placed.items()}
        found = {key: known for key, known in keyed.items() if key is not None}
        return found | {HEALTH_KEY: Place(way=Way.WORKER)}

    def _entry_commands(self, path: str, old: Place | None, new: Place | None) -> list[str]:
        key = map_key(path)
        if key is None or key == HEALTH_KEY or self._is_passing:
            return []
        if new is None:
            return [cli.delete_entry(self._map_file, key)] if old else []
        # Never added twice: the first of two would go on winning.
        change = cli.set_entry if old else cli.add_entry
        return [change(self._map_file, key, new.value)]
