"""
When users, servers, sessions and tokens were last active, and which servers are busy.

Noted in memory and written in one statement per kind and tick (`flush`), so that activity never costs a
request a write. What a crash loses is at most one tick of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from perijove.hub.domain.errors import InvalidRequest, NoSuchUser, StoreAway
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.users import User
from perijove.hub.ports import Store
from perijove.kit.clock import Clock
from perijove.wire.activity import BUSY

Key = TypeVar("Key", int, str)

#: contract d10: clocks may differ, but not by this much
MAX_AHEAD: Final = timedelta(minutes=59)
#: seconds between two reports of a server, unless configured (contract a)
REPORT_SECONDS: Final = 300.0
#: reports for which what a server last said counts: one may be lost
COUNTS_FOR: Final = 2


class Activity:
    """The notebook of last activities."""

    def __init__(self, *, store: Store, clock: Clock, report_seconds: float = REPORT_SECONDS) -> None:
        self._store = store
        self._counts_for = timedelta(seconds=COUNTS_FOR * report_seconds)
        self._clock = clock
        # Bounded by the number of rows: only names and ids that were just read from the store are noted.
        self._users: dict[str, datetime] = {}
        self._servers: dict[int, datetime] = {}
        #: server id -> until when it is busy, and the latest older word that this one overrules
        self._busy: dict[int, tuple[datetime, datetime]] = {}
        self._sessions: dict[str, datetime] = {}
        self._tokens: dict[int, datetime] = {}

    def note_user(self, name: str, at: datetime) -> None:
        """*name* was active."""
        _raise_to(self._users, name, at)

    def note_server(self, server_id: int, at: datetime) -> None:
        """That server was active."""
        _raise_to(self._servers, server_id, at)

    def note_word(self, server_id: int, *, is_busy: bool) -> None:
        """
        That server has spoken for itself.

        What it says counts for a while, so that nothing is stopped because one report is late. A word that it is
        not busy is over at once; it tells when the server was last heard.
        """
        now = self._clock.now()
        latest = now + self._counts_for
        self._busy[server_id] = (latest if is_busy else now, latest)

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

    def fresh_session(self, session: Session) -> Session:
        """*session* with the last use that is only noted yet."""
        noted = self._sessions.get(session.id)
        return session if noted is None else replace(session, last_seen=max(noted, session.last_seen))

    def fresh_server(self, server: Server) -> Server:
        """*server* with what is only noted yet."""
        if server.id not in self._servers and server.id not in self._busy:
            return server
        until, latest = self._busy.get(server.id, (None, None))
        overrules = latest is not None and (server.busy_until is None or server.busy_until <= latest)
        return replace(
            server,
            last_activity=_latest(self._servers.get(server.id), server.last_activity),
            busy_until=until if overrules else server.busy_until,
        )

    async def report(self, user_name: str, body: Mapping[str, Any]) -> Sequence[Server]:
        """
        Note what a server tells about itself and its user (contract d10, and wire/activity.py).

        Answers the servers that said whether they are busy: they want to know how long they are kept.

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
        busy = {str(name): _is_busy(said) for name, said in servers.items()}
        rows = await self._rows(user_name, server_times)
        if user_time is not None:
            self.note_user(user_name, user_time)
        for name, at in server_times.items():
            self.note_server(rows[name].id, at)
            self.note_word(rows[name].id, is_busy=bool(busy[name]))
        return [self.fresh_server(rows[name]) for name, said in busy.items() if said is not None]

    async def _rows(self, user_name: str, wanted: Iterable[str]) -> dict[str, Server]:
        # One statement where there is one server, as nearly always: thousands of servers report.
        async with self._store.reading() as unit:
            found = {name: await unit.servers.by_key(user_name, name) for name in wanted}
            rows = {name: row for name, row in found.items() if row is not None}
            if not rows and await unit.users.by_name(user_name) is None:
                raise NoSuchUser
        unknown = found.keys() - rows.keys()
        if unknown:
            raise InvalidRequest(f"No such server {min(unknown)!r} for user {user_name}")
        return rows

    async def flush_busy(self) -> None:
        """Write only which servers are busy, as other hubs must know soon."""
        busy, self._busy = self._busy, {}
        if not busy:
            return
        try:
            async with self._store.unit() as unit:
                await unit.servers.note_busy(busy)
        except StoreAway:
            self._busy = busy | self._busy
            raise

    async def flush(self) -> None:
        """Write what was noted since the last time."""
        users, self._users = self._users, {}
        servers, self._servers = self._servers, {}
        sessions, self._sessions = self._sessions, {}
        tokens, self._tokens = self._tokens, {}
        busy, self._busy = self._busy, {}
        if not (users or servers or sessions or tokens or busy):
            return
        try:
            async with self._store.unit() as unit:
                await unit.users.touch(users)
                await unit.servers.touch(servers)
                await unit.servers.note_busy(busy)
                await unit.sessions.touch(sessions)
                await unit.tokens.touch(tokens)
        except StoreAway:
            # Kept for the next tick; what was noted since is newer and stays.
            self._users = users | self._users
            self._servers = servers | self._servers
            self._sessions = sessions | self._sessions
            self._tokens = tokens | self._tokens
            self._busy = busy | self._busy
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


def _is_busy(said: Mapping[str, Any]) -> bool | None:
    """Whether a server says that it is busy; None: it does not say."""
    busy = said.get(BUSY)
    if busy is not None and not isinstance(busy, bool):
        raise InvalidRequest(f"{BUSY} must be true or false")
    return busy


def _raise_to(noted: dict[Key, datetime], key: Key, at: datetime) -> None:
    before = noted.get(key)
    if before is None or at > before:
        noted[key] = at


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)
