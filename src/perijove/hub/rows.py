"""
The rows of the store, noun by noun, as Protocols: what `ports.Unit` is made of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from perijove.hub.domain.accounts import Account, AccountState, Invitation
from perijove.hub.domain.audit import Action, AuditEntry
from perijove.hub.domain.groups import Group
from perijove.hub.domain.hubs import HubProcess
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.oauth_codes import OAuthCode
from perijove.hub.domain.queue import Entry
from perijove.hub.domain.runtime_services import RuntimeService
from perijove.hub.domain.servers import Server
from perijove.hub.domain.sessions import Session
from perijove.hub.domain.shares import Share, ShareCode
from perijove.hub.domain.tokens import ApiToken
from perijove.hub.domain.users import Person, User

UserSort = Literal["id", "-id", "name", "-name", "last_activity", "-last_activity"]
UserActivity = Literal["active", "ready", "inactive"]


class Users(Protocol):
    """Rows of users."""

    async def by_name(self, name: str) -> User | None: ...
    async def by_id(self, user_id: int) -> User | None: ...
    async def person(self, user_id: int) -> Person | None:
        """With groups and what others share with them."""
        ...

    async def page(
        self,
        *,
        offset: int,
        limit: int,
        sort: UserSort = "id",
        name_filter: str = "",
        names: Iterable[str] | None = None,
        state: UserActivity | None = None,
    ) -> tuple[Sequence[User], int]:
        """One page and the total. *names* restricts to these; *name_filter* is a substring."""
        ...

    async def add(self, *, name: str, admin: bool, created: datetime, display_name: str = "") -> User:
        """Raises AlreadyExists."""
        ...

    async def set_admin(self, user_id: int, *, admin: bool) -> None: ...
    async def set_user_info(self, user_id: int, told: Mapping[str, Any]) -> None: ...
    async def set_managed_roles(self, user_id: int, roles: Sequence[ManagedRole]) -> None: ...
    async def with_managed_roles(self, *, after: int, limit: int, mentioning: str = "") -> Sequence[User]:
        """
        Whoever was given roles by the sign-in method, by id, beginning after that one.

        Args:
            after: an id.
            limit: how many at most.
            mentioning: only those in whose roles this text is, be it in a name or in a scope.
        """
        ...

    async def rename(self, user_id: int, name: str) -> None:
        """Raises AlreadyExists."""
        ...

    async def delete(self, user_id: int) -> None:
        """With sessions, tokens, servers and account."""
        ...

    async def has_admin(self) -> bool: ...
    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_activity` of the named users; older times change nothing."""
        ...


class Servers(Protocol):
    """Rows of servers."""

    async def get(self, user_id: int, name: str) -> Server | None: ...
    async def by_id(self, server_id: int) -> Server | None: ...
    async def of_users(self, user_ids: Iterable[int]) -> Sequence[Server]: ...
    async def by_key(self, user_name: str, name: str) -> Server | None: ...
    async def in_states(self, states: Iterable[State]) -> Sequence[Server]: ...
    async def ids_in_states(self, states: Iterable[State]) -> Sequence[int]:
        """Of all servers in any of these states, in order."""
        ...

    async def by_ids(self, ids: Sequence[int]) -> Sequence[Server]:
        """Those of these that there are."""
        ...

    async def count_active(self) -> int:
        """How many are in any state but STOPPED."""
        ...

    async def count_in(self, states: Iterable[State]) -> int:
        """How many are in any of these states."""
        ...

    async def entries(self, states: Iterable[State], *, since: datetime | None = None) -> Sequence[Entry]:
        """
        As much of every server in any of these states as the queue's order needs, without groups.

        Args:
            states: where they are.
            since: only those whose process was made then or later.
        """
        ...

    async def add(self, *, user_id: int, name: str, created: datetime, display_name: str = "") -> Server:
        """A STOPPED server of the first generation. Raises AlreadyExists."""
        ...

    async def swap(self, old: Server, new: Server) -> Server:
        """
        Store what differs between the two if the row still has *old*'s state, generation and lease holder.

        Raises StaleGeneration; nothing has changed then.
        """
        ...

    async def renew_leases(self, holder: str, until: datetime) -> None:
        """Move the end of every lease that *holder* has."""
        ...

    async def delete(self, server_id: int) -> None: ...
    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by server id; older times change nothing."""
        ...

    async def note_busy(self, said: Mapping[int, tuple[datetime, datetime]]) -> None:
        """Set `busy_until` by server id to the first time, unless it is after the second."""
        ...

    async def last_used(self, *, before: datetime, or_started: datetime) -> Sequence[Server]:
        """The ready ones that were last active before the one time (or never), or started before the other."""
        ...


class Sessions(Protocol):
    """Rows of browser sessions."""

    async def by_secret_hash(self, secret_hash: str) -> tuple[Session, Person] | None: ...
    async def by_id(self, session_id: str) -> tuple[Session, Person] | None: ...
    async def of_user(self, user_id: int) -> Sequence[Session]: ...
    async def add(self, session: Session) -> None: ...
    async def touch(self, seen: Mapping[str, datetime]) -> None:
        """Raise `last_seen` by session id; older times change nothing."""
        ...

    async def delete(self, session_id: str) -> None:
        """And the tokens bound to it."""
        ...

    async def delete_expired(self, now: datetime) -> int: ...


class Tokens(Protocol):
    """Rows of API tokens."""

    async def by_prefix(self, prefix: str) -> Sequence[tuple[ApiToken, Person]]: ...
    async def get(self, token_id: int) -> ApiToken | None: ...
    async def of_user(self, user_id: int) -> Sequence[ApiToken]: ...
    async def add(
        self,
        *,
        user_id: int,
        prefix: str,
        token_hash: str,
        scopes: Sequence[str],
        note: str,
        created: datetime,
        expires_at: datetime | None = None,
        session_id: str = "",
        server: str = "",
        client_id: str = "",
    ) -> ApiToken: ...
    async def delete(self, token_id: int) -> None: ...
    async def delete_of_server(self, server_key: str) -> None: ...
    async def delete_of_client(self, client_id: str, *, user_id: int | None = None) -> Sequence[ApiToken]:
        """Those that an OAuth client was given, by one user or by all; answers what is gone."""
        ...

    async def touch(self, seen: Mapping[int, datetime]) -> None:
        """Raise `last_activity` by token id; older times change nothing."""
        ...

    async def delete_expired(self, now: datetime) -> int: ...


class Accounts(Protocol):
    """Rows of local accounts and invitations."""

    async def get(self, name: str) -> Account | None: ...
    async def put(self, account: Account) -> None:
        """Add it or replace the one of that name."""
        ...

    async def rename(self, name: str, new_name: str) -> None:
        """Nothing happens if there is none."""
        ...

    async def delete(self, name: str) -> None: ...
    async def in_state(self, state: AccountState) -> Sequence[Account]: ...
    async def add_invitation(self, invitation: Invitation) -> Invitation:
        """The id of the argument is ignored; the stored one is in the answer."""
        ...

    async def invitation(self, code_hash: str) -> Invitation | None: ...
    async def take_invitation(self, code_hash: str) -> Invitation | None:
        """Remove and answer it: of two who come at once only one gets it."""
        ...

    async def invitations(self) -> Sequence[Invitation]: ...
    async def delete_invitation(self, invitation_id: int) -> None: ...
    async def delete_expired_invitations(self, now: datetime) -> int: ...


class Groups(Protocol):
    """Rows of groups and of their members."""

    async def by_name(self, name: str) -> Group | None: ...
    async def page(self, *, offset: int, limit: int, names: Iterable[str] | None = None) -> tuple[Sequence[Group], int]:
        """One page, by id, and the total. *names* restricts to these."""
        ...

    async def members_of(self, group_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the users of each group, in order; one without any is left out."""
        ...

    async def members_by_name(self, names: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """The same for groups by their names, in one question."""
        ...

    async def put(self, name: str, *, properties: Mapping[str, Any]) -> Group:
        """Add it or change its properties."""
        ...

    async def delete(self, group_id: int) -> None:
        """With its memberships."""
        ...

    async def add_members(self, group_id: int, user_ids: Iterable[int]) -> None:
        """Being a member already is fine."""
        ...

    async def remove_members(self, group_id: int, user_ids: Iterable[int]) -> None: ...
    async def members(self, group_id: int) -> Sequence[str]:
        """Names of its users, in order."""
        ...

    async def of_users(self, user_ids: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """Names of the groups of each user, in order; who is in none is left out."""
        ...


class Hubs(Protocol):
    """Rows of hub processes."""

    async def register(self, name: str, *, version: str, now: datetime, until: datetime) -> HubProcess:
        """A new incarnation of that name."""
        ...

    async def renew(self, hub: HubProcess, until: datetime) -> bool:
        """Stay alive until then; False if a newer incarnation has taken the name, or the row is gone."""
        ...

    async def all(self) -> Sequence[HubProcess]:
        """Every one that has not left, alive or not."""
        ...

    async def leave(self, hub: HubProcess) -> None:
        """Forget it, unless a newer incarnation has taken the name."""
        ...


class Attempts(Protocol):
    """Rows of what is counted by key over a sliding window, such as failed sign-ins."""

    async def times(self, keys: Iterable[str]) -> Mapping[str, Sequence[datetime]]:
        """When each of these keys was counted, oldest first; a key without any is left out."""
        ...

    async def put(self, times: Mapping[str, Sequence[datetime]]) -> None:
        """Replace what is known of these keys; an empty sequence forgets the key."""
        ...

    async def delete_older(self, than: datetime) -> int:
        """Forget the keys that were counted last before that."""
        ...


class Shares(Protocol):
    """Rows of what users share with others. Names in them are those of now."""

    async def get(self, server_id: int, *, user_id: int | None = None, group_id: int | None = None) -> Share | None:
        """What one user or one group was given of one server; exactly one of the two is stated."""
        ...

    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[Share]:
        """All shares of these servers, by id."""
        ...

    async def with_user(self, user_id: int) -> Sequence[Share]:
        """All that one user was given, themselves or by a group of theirs, by id."""
        ...

    async def with_group(self, group_id: int) -> Sequence[Share]: ...
    async def put(
        self,
        server_id: int,
        *,
        user_id: int | None = None,
        group_id: int | None = None,
        scopes: Sequence[str],
        created: datetime,
    ) -> Share:
        """Add it, or give the one that is there exactly these scopes."""
        ...

    async def delete(self, share_id: int) -> None: ...
    async def delete_of_server(self, server_id: int) -> None: ...


class ShareCodes(Protocol):
    """Rows of codes that make shares."""

    async def by_hash(self, code_hash: str) -> ShareCode | None: ...
    async def of_servers(self, server_ids: Iterable[int]) -> Sequence[ShareCode]:
        """All codes of these servers, by id."""
        ...

    async def add(
        self, *, server_id: int, code_hash: str, scopes: Sequence[str], created: datetime, expires_at: datetime
    ) -> ShareCode: ...
    async def note_exchange(self, code_id: int, at: datetime) -> None:
        """It was used once more."""
        ...

    async def delete(self, code_id: int) -> None: ...
    async def delete_of_server(self, server_id: int) -> None: ...
    async def delete_expired(self, now: datetime) -> int: ...


class OAuthCodes(Protocol):
    """Rows of authorization codes."""

    async def add(self, code: OAuthCode) -> None: ...
    async def take(self, code_hash: str) -> OAuthCode | None:
        """Remove and answer it: of two who come at once only one gets it."""
        ...

    async def delete_of_client(self, client_id: str) -> None:
        """All that were made for it."""
        ...

    async def delete_expired(self, now: datetime) -> int: ...


class RuntimeServices(Protocol):
    """Rows of services that the configuration does not declare."""

    async def all(self) -> Sequence[RuntimeService]:
        """By name."""
        ...

    async def by_name(self, name: str) -> RuntimeService | None: ...
    async def by_prefix(self, prefix: str) -> Sequence[RuntimeService]: ...
    async def add(self, service: RuntimeService) -> None:
        """Raises AlreadyExists."""
        ...

    async def delete(self, name: str) -> None: ...


class AuthStates(Protocol):
    """What sign-in methods want remembered of users, sealed."""

    async def get(self, user_id: int) -> str | None: ...
    async def put(self, user_id: int, sealed: str | None) -> None:
        """None forgets it."""
        ...

    async def page(self, *, after: int, limit: int) -> Sequence[tuple[int, str]]:
        """User ids and what is kept of them, by id, beginning after that one."""
        ...

    async def swap(self, user_id: int, old: str, new: str) -> None:
        """Replace *old*, if that is still what is kept."""
        ...


class Audit(Protocol):
    """Rows of the audit log. Nothing is ever changed there but the seal, and only the oldest are forgotten."""

    async def add(self, entry: AuditEntry) -> None:
        """Keep it, not sealed yet, under a new id."""
        ...

    async def page(
        self,
        *,
        limit: int,
        before_id: int | None = None,
        actor: str = "",
        target: str = "",
        action: Action | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        concerning: str = "",
    ) -> Sequence[AuditEntry]:
        """
        The newest entries first; of those that were done by, to, as, from, and before what is stated.

        *concerning* is a user: what was done to them, and what they did themselves.
        """
        ...

    async def unsealed(self, limit: int) -> Sequence[AuditEntry]:
        """The oldest that are not sealed, by id."""
        ...

    async def seal(self, entry_id: int, *, sequence: int, sealed_hash: str) -> None: ...
    async def sealed(self, *, after: int, limit: int) -> Sequence[AuditEntry]:
        """The chain, from the place after *after* on."""
        ...

    async def last_sealed(self) -> AuditEntry | None: ...
    async def forget(self, *, up_to: int) -> int:
        """Delete the beginning of the chain, up to and with that place; how many those were."""
        ...


class Facts(Protocol):
    """Small things that all hubs over one database must agree on, by name."""

    async def get(self, name: str) -> str | None: ...
    async def put(self, name: str, value: str) -> None: ...
