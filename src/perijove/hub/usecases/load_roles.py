"""
Who may do what, from the configuration: the roles of users and the tokens and roles of services.

Read once at start; what a declaration may look like is `domain/role_declarations.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

import structlog

from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.managed_roles import ManagedRole
from perijove.hub.domain.managed_services import ManagedService, read_managed, with_token
from perijove.hub.domain.role_declarations import (
    ADMIN,
    DEFAULT_ROLES,
    SERVER,
    TOKEN,
    USER,
    check_metascopes,
    read_role,
    read_service,
)
from perijove.hub.domain.roles import Role, Service
from perijove.hub.domain.tokens import with_duties
from perijove.hub.domain.users import Person, User
from perijove.hub.scopes.custom import NO_CUSTOM_SCOPES, CustomScopes, read_custom_scopes
from perijove.hub.scopes.errors import BadScope
from perijove.hub.scopes.expansion import Holder, expand
from perijove.hub.scopes.grammar import parse

log = structlog.get_logger(__name__)

#: people whose expanded scopes are remembered: of all servers that a hub hears of
_REMEMBERED: Final = 8192


class RoleBook:
    """All roles and services, and what they come to."""

    def __init__(
        self,
        *,
        roles: Mapping[str, Role],
        services: Mapping[str, Service],
        managed: Sequence[ManagedService] = (),
        custom: CustomScopes = NO_CUSTOM_SCOPES,
        loaded: Iterable[str] = (),
        is_managed: bool = False,
    ) -> None:
        #: scopes of this deployment's own
        self.custom = custom
        #: services that the hub runs
        self.managed = tuple(managed)
        #: whether the sign-in method says what roles people have
        self.is_managed = is_managed
        #: roles that it declares, by name
        self.loaded: Mapping[str, Role] = {name: roles[name] for name in loaded}
        self._roles = dict(roles)
        self._services = dict(services)
        self._named = frozenset(name for role in roles.values() for name in role.users or ())
        self._by_token_hash = {service.api_token_hash: service for service in services.values()}
        self._grouped = any(role.groups for role in roles.values())
        self._plain = {admin: self._names("", admin=admin) for admin in (False, True)}
        self._expand_service = lru_cache(maxsize=_REMEMBERED)(self._expand_service_now)
        self._expand_user = lru_cache(maxsize=_REMEMBERED)(self._expand_user_now)

    @property
    def services(self) -> Sequence[Service]:
        """All declared services, in the order of the configuration."""
        return tuple(self._services.values())

    @property
    def names(self) -> frozenset[str]:
        """Of all roles."""
        return frozenset(self._roles)

    @property
    def named_users(self) -> frozenset[str]:
        """Everybody whom a declared role names: what they may do hangs on their name."""
        return self._named

    def role(self, name: str) -> Role | None:
        """The role of that name."""
        return self._roles.get(name)

    def is_fixed(self, name: str) -> bool:
        """Whether the configuration, or perijove itself, says what that role allows."""
        return name in self._roles and name not in self.loaded

    def service(self, name: str) -> Service | None:
        """The service of that name."""
        return self._services.get(name)

    def service_by_token_hash(self, token_hash: str) -> Service | None:
        """The service that has that token."""
        return self._by_token_hash.get(token_hash)

    def roles_of_user(self, user: User, groups: Sequence[str] = ()) -> tuple[str, ...]:
        """Names of the roles of a user who is in *groups*, sorted."""
        said = user.managed_roles if self.is_managed else None
        if said is None and user.name not in self._named and not (groups and self._grouped):
            return self._plain[user.admin]
        return self._names(user.name, admin=user.admin, groups=groups, said=said)

    def roles_of_group(self, name: str) -> tuple[str, ...]:
        """Names of a group's roles, sorted."""
        return tuple(sorted(role.name for role in self._roles.values() if name in role.groups))

    def roles_over_group(self, name: str) -> Sequence[Role]:
        """Those whose scopes are filtered to that group: who is in it decides what they reach."""
        return [role for role in self._roles.values() if any(scope.endswith(f"!group={name}") for scope in role.scopes)]

    def scopes_of_person(self, person: Person) -> frozenset[str]:
        """Everything that a user may do, expanded; filters to a group do not say yet who is in it."""
        # Groups that no role names make no difference, and need no place among what is remembered.
        groups = person.groups if self._grouped else ()
        said = person.user.managed_roles if self.is_managed else None
        return self._expand_user(person.user.name, person.user.admin, groups, person.shared, said)

    def scopes_of_service(self, service: Service) -> frozenset[str]:
        """Everything that a service may do, expanded, be it declared or added while the hub runs."""
        return self._expand_service(service.name, service.admin)

    def roles_of_service(self, name: str, *, admin: bool) -> tuple[str, ...]:
        """Names of a service's roles, sorted."""
        given = {role.name for role in self._roles.values() if name in role.services}
        return tuple(sorted(given | ({ADMIN} if admin else set())))

    def scopes_of_role(self, name: str) -> tuple[str, ...]:
        """A role's scopes as declared; nothing for an unknown one."""
        role = self._roles.get(name)
        return () if role is None else role.scopes

    def expand(self, scopes: Sequence[str], holder: Holder) -> frozenset[str]:
        """
        Everything that *scopes* allow *holder*, those of this deployment's own too.

        Raises:
            BadScope: one of them does not exist.
        """
        self.custom.check(scopes)
        return self.custom.widen(expand(scopes, holder))

    @property
    def server_token_scopes(self) -> tuple[str, ...]:
        """
        What the token of a server may do, as declared.

        Reporting activity and telling who it is are always in it (contract a and f).
        """
        return with_duties(self.scopes_of_role(SERVER))

    @property
    def new_token_scopes(self) -> tuple[str, ...]:
        """What a token may do whose maker asked for nothing special."""
        return self.scopes_of_role(TOKEN)

    def _names(
        self, name: str, *, admin: bool, groups: Sequence[str] = (), said: Sequence[ManagedRole] | None = None
    ) -> tuple[str, ...]:
        if said is None:
            given = {role.name for role in self._roles.values() if role.users is not None and name in role.users}
        else:
            # One that was declared when it was given may be gone.
            given = {role.name for role in said if role.scopes is not None or role.name in self._roles}
        given |= {role.name for role in self._roles.values() if not role.groups.isdisjoint(groups)}
        # Unless the configuration says whose it is, the role `user` is everybody's.
        if said is None and self._roles[USER].users is None:
            given.add(USER)
        if admin:
            given.add(ADMIN)
        return tuple(sorted(given))

    def _expand_user_now(
        self,
        name: str,
        admin: bool,  # noqa: FBT001  # a cache key
        groups: tuple[str, ...],
        shared: tuple[str, ...],
        said: tuple[ManagedRole, ...] | None,
    ) -> frozenset[str]:
        own = {} if said is None else {role.name: role.scopes for role in said if not self.is_fixed(role.name)}
        scopes = [*shared]
        for role in self._names(name, admin=admin, groups=groups, said=said):
            dictated = own.get(role)
            scopes += self._roles[role].scopes if dictated is None else self._still_there(role, dictated)
        return self.expand(scopes, Holder(user=name)) - {"inherit"}

    def _still_there(self, role: str, scopes: tuple[str, ...]) -> tuple[str, ...]:
        """The *scopes* that somebody was once given with *role*, if there still are such scopes."""
        try:
            self.expand(scopes, Holder(user=""))
        except BadScope as exc:
            log.error("role.has_unknown_scopes", role=role, why=str(exc))  # noqa: TRY400  # the configuration's
            return ()
        return scopes

    def _expand_service_now(self, name: str, admin: bool) -> frozenset[str]:  # noqa: FBT001  # a cache key
        names = self.roles_of_service(name, admin=admin)
        scopes = [scope for role in names for scope in self._roles[role].scopes]
        return self.expand(scopes, Holder(service=name))


def load_roles(
    *,
    roles: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    secret: bytes = b"",
    custom_scopes: Mapping[str, Any] | None = None,
    extra_user_scopes: Sequence[str] = (),
    loaded: Sequence[Mapping[str, Any]] | None = None,
) -> RoleBook:
    """
    Make the book of the configuration's `load_roles` and `services`.

    Args:
        roles: declared roles.
        services: declared services.
        secret: what the tokens follow from of services that the hub runs and that state none.
        custom_scopes: declared scopes.
        extra_user_scopes: what the role `user` holds besides (contract f).
        loaded: roles that the sign-in method declares; None: it does not say what roles people have.

    Raises:
        InvalidRequest: an item is wrong; the message names it.
    """
    if loaded is not None:
        _refuse_members(roles)
        roles = [*roles, *loaded]
    try:
        custom = read_custom_scopes(custom_scopes or {})
        checked = [scope for declared in roles for scope in _texts_of(declared)] + list(extra_user_scopes)
        custom.check(checked)
        for text in extra_user_scopes:
            parse(text)
    except BadScope as exc:
        raise InvalidRequest(str(exc)) from exc
    known, managed = _read_services(services, secret)
    book = dict(DEFAULT_ROLES)
    seen: set[str] = set()
    for declared in roles:
        role = read_role(declared)
        check_metascopes(role)
        if role.name in seen:
            raise InvalidRequest(f"The role {role.name!r} is declared twice.")
        seen.add(role.name)
        book[role.name] = role
    book[USER] = replace(book[USER], scopes=(*book[USER].scopes, *extra_user_scopes))
    _warn_of_unknown(book.values(), known)
    return RoleBook(
        roles=book,
        services=known,
        managed=managed,
        custom=custom,
        loaded=[str(declared["name"]) for declared in loaded or ()],
        is_managed=loaded is not None,
    )


def _read_services(
    services: Sequence[Mapping[str, Any]], secret: bytes
) -> tuple[Mapping[str, Service], Sequence[ManagedService]]:
    """All services by name, and how those are run that the hub runs."""
    known: dict[str, Service] = {}
    managed: list[ManagedService] = []
    for stated in services:
        declared = with_token(stated, secret)
        service = read_service(declared)
        if service.name in known:
            raise InvalidRequest(f"The service {service.name!r} is declared twice.")
        if service.api_token_hash in {other.api_token_hash for other in known.values()}:
            raise InvalidRequest(f"The service {service.name!r} has the token of another service.")
        rival = next((other.name for other in known.values() if other.client_id == service.client_id), None)
        if rival is not None:
            # Of two clients with one id only one could ever be answered.
            raise InvalidRequest(
                f"The service {service.name!r} needs an oauth_client_id of its own: "
                f"{service.client_id!r} is that of {rival!r}."
            )
        known[service.name] = service
        how = read_managed(declared)
        if how is not None:
            managed.append(replace(how, token=str(declared["api_token"])))
    return known, managed


def _refuse_members(roles: Sequence[Mapping[str, Any]]) -> None:
    """Contract j: what roles people have is said in one place."""
    for declared in roles:
        if declared.get("users") or declared.get("groups"):
            raise InvalidRequest(
                f"The sign-in method manages roles (manage_roles), so the role {declared.get('name')!r} in load_roles "
                "must not name users or groups."
            )


def _warn_of_unknown(roles: Iterable[Role], known: Mapping[str, Service]) -> None:
    """A service that a role names may be added later; or its name may be misspelt."""
    for role in roles:
        for name in sorted(role.services - known.keys()):
            log.warning("role.names_no_declared_service", role=role.name, service=name)


def _texts_of(declared: Mapping[str, Any]) -> Sequence[str]:
    scopes = declared.get("scopes", ())
    return [text for text in scopes if isinstance(text, str)] if isinstance(scopes, list | tuple | set) else []
