"""
Domain values as the templates want them: words instead of enums, text beside times, addresses beside names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from perijove.hub.domain.audit import AuditEntry
from perijove.hub.domain.devices import device_of
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.origins import ONE_ORIGIN, Origins
from perijove.hub.domain.principals import Kind
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.urls import server_url
from perijove.hub.domain.user_info import shown
from perijove.hub.oauth.consent import in_words
from perijove.hub.scopes.catalog import Definition
from perijove.hub.usecases.tokens import Application
from perijove.hub.usecases.users import KnownUser
from perijove.wire.activity import Deadline
from perijove.wire.door import ENTER_PATH

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
#: After this many days a date says more than a count.
_RECENT_DAYS: Final = 14

_WORDS: Final = {
    State.STOPPED: "Stopped",
    State.QUEUED: "Waiting",
    State.LAUNCHING: "Starting",
    State.PROBING: "Starting",
    State.ROUTING: "Starting",
    State.READY: "Running",
    State.STOPPING: "Stopping",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeView:
    """A moment."""

    #: for machines
    iso: str
    #: for people
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoppingView:
    """That a server will be stopped soon."""

    at: TimeView
    #: the end of a sentence
    because: str
    #: where more time is asked for; empty: there is none
    keep_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """A server and where its buttons lead."""

    name: str
    title: str
    state_text: str
    #: class of the coloured dot
    mood: str
    is_ready: bool
    is_pending: bool
    activity: TimeView | None
    open_url: str
    pending_url: str
    start_url: str
    stop_url: str
    #: empty: it cannot be removed
    remove_url: str
    #: empty: it cannot be called something else
    rename_url: str
    failure: str
    failure_log: tuple[str, ...]
    #: why it was stopped, if nobody had asked for it
    stop_reason: str
    #: None: it is not to be stopped, or not soon
    stopping: StoppingView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """A line of the people page."""

    name: str
    #: what they are called besides; may be empty
    shown_as: str
    admin: bool
    last_activity: TimeView | None
    server: ServerView


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A line of the token page."""

    id: str
    note: str
    created: TimeView
    last_activity: TimeView | None
    expires_at: TimeView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A line of the sessions page."""

    id: str
    device: str
    address: str
    created: TimeView
    last_seen: TimeView
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitView:
    """That somebody else was in a server."""

    by: str
    #: empty: the default server
    server: str
    at: TimeView


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationView:
    """An application that a user has let act for them."""

    client_id: str
    description: str
    #: what it may do, in words
    allowed: list[str]
    created: TimeView
    last_activity: TimeView | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a server's pages are."""

    base_url: str
    hub: str
    default_url: str
    origins: Origins = ONE_ORIGIN

    def home_path(self, user: str, server: str) -> str:
        """Path of where its user wants to be: the configured page in the server."""
        return server_url(self.base_url, user, server) + self.default_url.lstrip("/")

    def home_of(self, user: str, server: str) -> str:
        """The same as an address to go to."""
        return f"{self.origins.of_user(user)}{self.home_path(user, server)}"

    def entrance(self, user: str, server: str) -> str:
        """Where a visitor is let in anew, with what they may now, and sent to that page."""
        query = query_of(server=f"{user}/{server}", next=self.home_path(user, server))
        return f"{self.hub}{ENTER_PATH}?{query}"

    def page(self, kind: str, user: str, server: str) -> str:
        """`/hub/<kind>/<user>[/<server>]`."""
        return f"{self.hub}{kind}/{quote(user, safe='@~')}" + (f"/{quote(server, safe='')}" if server else "")


def query_of(**members: str) -> str:
    """A query of those that are not empty."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in members.items() if value)


def time_view(at: datetime, now: datetime) -> TimeView:
    """*at* as seen from *now*."""
    return TimeView(iso=at.isoformat(), text=relative(at, now))


def optional_time(at: datetime | None, now: datetime) -> TimeView | None:
    """Likewise, for what may never have been."""
    return None if at is None else time_view(at, now)


def relative(at: datetime, now: datetime) -> str:
    """“5 minutes ago”, “in 3 days”, or the date if that is far away."""
    seconds = int((now - at).total_seconds())
    distance = abs(seconds)
    if distance < _MINUTE:
        return "just now" if seconds >= 0 else "in a moment"
    if distance >= _RECENT_DAYS * _DAY:
        return at.strftime("%Y-%m-%d")
    size, word = next(step for step in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")) if distance >= step[0])
    count = distance // size
    text = f"{count} {word}{'' if count == 1 else 's'}"
    return f"{text} ago" if seconds > 0 else f"in {text}"


def server_view(
    server: Server | None,
    user: str,
    name: str,
    addresses: Addresses,
    now: datetime,
    deadline: Deadline | None = None,
) -> ServerView:
    """*server*, or the default server that has never been started; *deadline*: until when it is kept."""
    state = server.state if server else State.STOPPED
    return ServerView(
        name=name,
        title=(server.display_name if server else "") or name or "My server",
        state_text=_WORDS[state],
        mood={State.READY: "running", State.STOPPED: "stopped"}.get(state, "pending"),
        is_ready=state is State.READY,
        is_pending=state not in (State.READY, State.STOPPED),
        activity=optional_time(server.last_activity, now) if server else None,
        open_url=addresses.home_of(user, name),
        pending_url=addresses.page("spawn-pending", user, name),
        start_url=addresses.page("spawn", user, name),
        stop_url=addresses.page("stop", user, name),
        remove_url=addresses.page("remove", user, name) if name else "",
        rename_url=addresses.page("rename", user, name) if name else "",
        failure=server.failure if server and state is State.STOPPED else "",
        failure_log=server.failure_log if server else (),
        stop_reason=server.stop_reason if server and state is State.STOPPED else "",
        stopping=_stopping_view(deadline, addresses.page("keep", user, name), now) if deadline else None,
    )


def _stopping_view(deadline: Deadline, keep_url: str, now: datetime) -> StoppingView | None:
    if now < deadline.warn_at:
        return None
    return StoppingView(
        at=time_view(deadline.at, now),
        because=deadline.because,
        keep_url=keep_url if deadline.may_be_put_off else "",
    )


def person_view(known: KnownUser, addresses: Addresses, now: datetime) -> PersonView:
    """A user with the default server."""
    default = next((row for row in known.servers if not row.name), None)
    looks = shown(known.user)
    return PersonView(
        name=known.user.name,
        shown_as="" if looks.name == known.user.name else looks.name,
        admin=known.user.admin,
        last_activity=optional_time(known.user.last_activity, now),
        server=server_view(default, known.user.name, "", addresses, now),
    )


def token_views(tokens: Iterable[ApiToken], now: datetime) -> list[TokenView]:
    """Tokens that people made; those of servers are the hub's business."""
    return [
        TokenView(
            id=token.public_id,
            note=token.note,
            created=time_view(token.created, now),
            last_activity=optional_time(token.last_activity, now),
            expires_at=optional_time(token.expires_at, now),
        )
        for token in tokens
        if not token.server and not token.client_id
    ]


def application_views(
    applications: Iterable[Application], user: str, now: datetime, custom: Mapping[str, Definition]
) -> list[ApplicationView]:
    """Those to whom *user* has given tokens."""
    return [
        ApplicationView(
            client_id=each.client_id,
            description=each.description,
            allowed=[permission.sentence for permission in in_words(each.scopes, user, custom)],
            created=time_view(each.created, now),
            last_activity=optional_time(each.last_activity, now),
        )
        for each in applications
    ]


def session_views(sessions: Iterable[Session], *, current: str, now: datetime) -> list[SessionView]:
    """Sessions; *current* is the id of the one that asks."""
    return [
        SessionView(
            id=session.id,
            device=device_of(session.user_agent),
            address=session.address,
            created=time_view(session.created, now),
            last_seen=time_view(session.last_seen, now),
            is_current=session.id == current,
        )
        for session in sessions
    ]


def visit_views(entries: Iterable[AuditEntry], now: datetime) -> list[VisitView]:
    """What the audit log says of others in one's servers."""
    return [
        VisitView(
            by=f"the service {entry.actor}" if entry.actor_kind == Kind.SERVICE.value else entry.actor,
            server=str(entry.detail.get("server", "")),
            at=time_view(entry.at, now),
        )
        for entry in entries
    ]
