"""
When users, servers, sessions and tokens were last active.

Noted in memory and written in one statement per kind and tick (`flush`), so that activity never costs a
request a write. What a crash loses is at most one tick of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from perijove.hub.domain.errors import InvalidRequest, NoSuchUser, StoreAway
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.kit.clock import Clock

Key = TypeVar("Key", int, str)

#: contract d10: clocks may differ, but not by this much
MAX_AHEAD: Final = timedelta(minutes=59)


class Activity:
    """The notebook of last activities."""

    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Bounded by the number of rows: only names and ids that were just read from the store are noted.
        self._users: dict[str, datetime] = {}
        self._servers: dict[int, datetime] = {}
        self._sessions: dict[str, datetime] = {}
        self._tokens: dict[int, datetime] = {}

    def note_user(self, name: str, at: datetime) -> None:
        """*name* was active."""
        _raise_to(self._users, name, at)

    def note_server(self, server_id: int, at: datetime) -> None:
        """That server was active."""
        _raise_to(self._servers, server_id, at)

    def note_session(self, session_id: str, at: datetime) -> None:
        """That session was used."""
        _raise_to(self._sessions, session_id, at)

    def note_token(self, token_id: int, at: datetime) -> None:
        """That token was used."""
        _raise_to(self._tokens, token_id, at)

    def fresh_user(self, user: User) -> User:
        """*user* with the last activity that is only noted yet."""
        noted = self._users.get(user.name)
        return user if noted is None else replace(user, last_activity=_latest(noted, user.last_activity))

    def fresh_server(self, server: Server) -> Server:
        """*server* with the last activity that is only noted yet."""
        noted = self._servers.get(server.id)
        return server if noted is None else replace(server, last_activity=_latest(noted, server.last_activity))

    async def report(self, user_name: str, body: Mapping[str, Any]) -> None:
        """
        Note what a server tells about itself and its user (contract d10).

        Raises:
            NoSuchUser: nobody has that name.
            InvalidRequest: the body says nothing, names an unknown server, or a time that is none or far ahead.
        """
        servers = body.get("servers") or {}
        if not isinstance(servers, Mapping):
            raise InvalidRequest("servers must be an object.")
        if "last_activity" not in body and not servers:
            raise InvalidRequest("body must contain at least one of `last_activity` or `servers`")
        user_time = self._time(body["last_activity"]) if body.get("last_activity") else None
        server_times = {str(name): self._time_of_server(name, said) for name, said in servers.items()}
        ids = await self._ids(user_name, server_times)
        if user_time is not None:
            self.note_user(user_name, user_time)
        for name, at in server_times.items():
            self.note_server(ids[name], at)

    async def _ids(self, user_name: str, wanted: Mapping[str, datetime]) -> dict[str, int]:
        async with self._store.reading() as unit:
            user = await unit.users.by_name(user_name)
            if user is None:
                raise NoSuchUser
            rows = await unit.servers.of_users([user.id]) if wanted else ()
        ids = {row.name: row.id for row in rows}
        unknown = wanted.keys() - ids.keys()
        if unknown:
            raise InvalidRequest(f"No such server {min(unknown)!r} for user {user_name}")
        return ids

    async def flush(self) -> None:
        """Write what was noted since the last time."""
        users, self._users = self._users, {}
        servers, self._servers = self._servers, {}
        sessions, self._sessions = self._sessions, {}
        tokens, self._tokens = self._tokens, {}
        if not (users or servers or sessions or tokens):
            return
        try:
            async with self._store.unit() as unit:
                await unit.users.touch(users)
                await unit.servers.touch(servers)
                await unit.sessions.touch(sessions)
                await unit.tokens.touch(tokens)
        except StoreAway:
            # Kept for the next tick; what was noted since is newer and stays.
            self._users = users | self._users
            self._servers = servers | self._servers
            self._sessions = sessions | self._sessions
            self._tokens = tokens | self._tokens
            raise

    def _time_of_server(self, name: object, said: object) -> datetime:
        if not isinstance(said, Mapping) or "last_activity" not in said:
            raise InvalidRequest(f"server {name!r} must have a last_activity")
        return self._time(said["last_activity"])

    def _time(self, text: object) -> datetime:
        at = parse_time(text)
        if at > self._clock.now() + MAX_AHEAD:
            raise InvalidRequest("Activity in the future")
        return at


def parse_time(text: object) -> datetime:
    """
    An ISO 8601 time; without an offset it is UTC.

    Raises:
        InvalidRequest: it is none.
    """
    try:
        at = datetime.fromisoformat(text if isinstance(text, str) else "")
    except ValueError:
        raise InvalidRequest(f"Not a valid ISO timestamp: {text!r}") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _raise_to(noted: dict[Key, datetime], key: Key, at: datetime) -> None:
    before = noted.get(key)
    if before is None or at > before:
        noted[key] = at


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
