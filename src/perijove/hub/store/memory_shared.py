"""
Groups, and what hubs over one database share, in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from perijove.hub.domain.groups import Group
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.store.memory_tables import Tables, drop


class MemoryGroups:
    """Rows of groups and of their members."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def by_name(self, name: str) -> Group | None:
        """The group of that name."""
        return next((group for group in self._tables.groups.values() if group.name == name), None)

    async def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[Sequence[Group], int]:
        """One page, by id, and the total."""
        wanted = None if names is None else frozenset(names)
        found = [group for group in self._tables.groups.values() if wanted is None or group.name in wanted]
        return sorted(found, key=lambda group: group.id)[offset : offset + limit], len(found)

    async def members_of(self, group_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the users of each group, in order."""
        found = {group_id: await self.members(group_id) for group_id in group_ids}
        return {group_id: names for group_id, names in found.items() if names}

    async def members_by_name(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """The same for groups by their names."""
        groups, _ = await self.page(offset=0, limit=len(self._tables.groups), names=names)
        members = await self.members_of(group.id for group in groups)
        return {group.name: members[group.id] for group in groups if group.id in members}

    async def put(self, name: str, *, properties: Mapping[str, Any]) -> Group:
        """Add it or change its properties."""
        known = await self.by_name(name)
        group_id = self._tables.next_id() if known is None else known.id
        group = Group(id=group_id, name=name, properties=dict(properties))
        self._tables.groups[group_id] = group
        return group

    async def delete(self, group_id: int) -> None:
        """With its memberships."""
        self._tables.groups.pop(group_id, None)
        self._tables.members.pop(group_id, None)
        drop(self._tables.shares, lambda row: row.group_id == group_id)

    async def add_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Being a member already is fine."""
        self._tables.members[group_id] = self._tables.members.get(group_id, frozenset()) | set(user_ids)

    async def remove_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Not being a member is fine."""
        self._tables.members[group_id] = self._tables.members.get(group_id, frozenset()) - set(user_ids)

    async def members(self, group_id: int) -> Sequence[str]:
        """Names of its users, in order."""
        ids = self._tables.members.get(group_id, frozenset())
        return sorted(self._tables.users[user_id].name for user_id in ids)

    async def of_users(self, user_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the groups of each user, in order."""
        found: dict[int, list[str]] = {}
        wanted = frozenset(user_ids)
        for group_id, members in self._tables.members.items():
            for user_id in members & wanted:
                found.setdefault(user_id, []).append(self._tables.groups[group_id].name)
        return {user_id: sorted(names) for user_id, names in found.items()}


class MemoryHubs:
    """Rows of hub processes."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.hubs

    async def register(self, name: str, *, version: str, now: datetime, until: datetime) -> HubProcess:
        """A new incarnation of that name."""
        before = self._rows.get(name)
        incarnation = 1 if before is None else before.incarnation + 1
        hub = HubProcess(name=name, incarnation=incarnation, version=version, started=now, alive_until=until)
        self._rows[name] = hub
        return hub

    async def renew(self, hub: HubProcess, until: datetime) -> bool:
        """Stay alive until then."""
        row = self._rows.get(hub.name)
        if row is None or row.incarnation != hub.incarnation:
            return False
        self._rows[hub.name] = replace(row, alive_until=until)
        return True

    async def all(self) -> Sequence[HubProcess]:
        """Every one that has not left."""
        return sorted(self._rows.values(), key=lambda row: row.name)

    async def leave(self, hub: HubProcess) -> None:
        """Forget it, unless a newer incarnation has taken the name."""
        row = self._rows.get(hub.name)
        if row is not None and row.incarnation == hub.incarnation:
            del self._rows[hub.name]


class MemoryAttempts:
    """Rows of what is counted by key."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.attempts

    async def times(self, keys: Iterable[str]) -> Mapping[str, Sequence[datetime]]:
        """When each of these keys was counted."""
        return {key: self._rows[key] for key in keys if key in self._rows}

    async def put(self, times: Mapping[str, Sequence[datetime]]) -> None:
        """Replace what is known of these keys."""
        for key, counted in times.items():
            self._rows.pop(key, None)
            if counted:
                self._rows[key] = tuple(counted)

    async def delete_older(self, than: datetime) -> int:
        """Forget the keys that were counted last before that."""
        return drop(self._rows, lambda counted: counted[-1] < than)


class MemoryFacts:
    """Small things that all hubs agree on."""

    def __init__(self, tables: Tables) -> None:
        self._rows = tables.facts

    async def get(self, name: str) -> str | None:
        """The fact of that name."""
        return self._rows.get(name)

    async def put(self, name: str, value: str) -> None:
        """Add or replace it."""
        self._rows[name] = value
