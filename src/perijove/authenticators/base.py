"""
The public contract of authenticators: what one must implement, and the rules that all share.

An authenticator judges the fields of a sign-in form. Who of those whom it vouches for may enter is
decided by the traits here, whose names and meanings are JupyterHub's (contract j). No HTTP, no database:
the hub asks through `hub/gateways/authenticator.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from traitlets import Any as Any_
from traitlets import Bool, Dict, Integer, Set, Unicode, default, validate
from traitlets.config import LoggingConfigurable
from traitlets.utils.bunch import Bunch

#: form fields that every authenticator can expect
USERNAME = "username"
PASSWORD = "password"  # noqa: S105  # a field's name


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthResult:
    """Somebody whom the authenticator vouches for."""

    #: as the source knows it; the hub normalises it
    name: str
    #: None: the authenticator does not say
    admin: bool | None = None
    display_name: str = ""
    #: what is to be remembered of them, sealed, if `enable_auth_state` says so: something that JSON can say
    auth_state: Mapping[str, Any] | None = field(default=None, repr=False)
    #: what others see of them: JupyterLab shows `display_name`, `name`, `initials`, `avatar_url` and `color`, and all
    #: of it is in the API's model of the user; None: the authenticator does not say
    user_info: Mapping[str, Any] | None = None
    #: names of all groups that they are in, if `manage_groups` is set; None: the authenticator does not say
    groups: tuple[str, ...] | None = None
    #: all roles that they have, if `manage_roles` is set, each as in `load_roles`: the name is enough for one that is
    #: declared; None: the authenticator does not say, and they keep theirs
    roles: tuple[Mapping[str, Any], ...] | None = None

    def to_model(self) -> dict[str, Any]:
        """As hooks get it: JupyterHub's dictionary."""
        groups = None if self.groups is None else list(self.groups)
        state = None if self.auth_state is None else dict(self.auth_state)
        return {
            "name": self.name,
            "admin": self.admin,
            "auth_state": state,
            "user_info": self.user_info,
            "groups": groups,
            "roles": None if self.roles is None else [dict(role) for role in self.roles],
        }

    def changed_by(self, model: Mapping[str, Any]) -> AuthResult:
        """What a hook has made of `to_model`."""
        groups, roles = model.get("groups"), model.get("roles")
        return replace(
            self,
            name=str(model["name"]),
            admin=model.get("admin"),
            auth_state=model.get("auth_state"),
            user_info=model.get("user_info"),
            groups=None if groups is None else tuple(groups),
            roles=tuple(roles) if isinstance(roles, list) else roles,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    """Somebody who has signed in before."""

    name: str
    admin: bool
    #: what is remembered of them; None: nothing
    auth_state: Mapping[str, Any] | None = field(default=None, repr=False)


class Authenticator(LoggingConfigurable):
    """Judges who signs in. Subclasses implement `authenticate`."""

    admin_users = Set(
        Unicode(), help="Names that are administrators; they may sign in without being in `allowed_users`."
    ).tag(config=True)
    allowed_users = Set(Unicode(), help="Names that may sign in.").tag(config=True)
    allow_all = Bool(default_value=False, help="Admit everybody who can prove who they are.").tag(config=True)
    allow_existing_users = Bool(
        help="Admit everybody who has a user in the database. True by default if `allowed_users` is set."
    ).tag(config=True)
    blocked_users = Set(Unicode(), help="Names that may not sign in, whatever else says so.").tag(config=True)
    username_pattern = Unicode(help="Regular expression that whole user names must match.").tag(config=True)
    username_map: Dict[str, str] = Dict(
        key_trait=Unicode(), value_trait=Unicode(), help="Name at the source (lower case) → name here."
    ).tag(config=True)
    any_allow_config = Bool(
        default_value=False, help="Say that a subclass decides who may enter, which silences a warning at start."
    ).tag(config=True)

    enable_auth_state = Bool(
        default_value=False,
        help="Keep what the sign-in method wants remembered of users, encrypted; needs $JUPYTERHUB_CRYPT_KEY.",
    ).tag(config=True)

    manage_groups = Bool(
        default_value=False,
        help="Have the sign-in method say which groups people are in, at each sign-in and refresh; they leave others.",
    ).tag(config=True)

    manage_roles = Bool(
        default_value=False,
        help="Have the sign-in method say which roles people have, at each sign-in and refresh; they have no others "
        "but those of their groups.",
    ).tag(config=True)
    reset_managed_roles_on_startup = Bool(
        default_value=False,
        help="Forget at each start the roles that the sign-in method gave people, but those that load_managed_roles "
        "still declares.",
    ).tag(config=True)

    auth_refresh_age = Integer(
        300,
        min=0,
        help="Seconds after which the sign-in method is asked again about who is signed in; 0: never.",
    ).tag(config=True)
    auth_refresh_strict = Bool(
        default_value=False,
        help="Refuse tokens, too, of people whom the sign-in method no longer vouches for, and whom it cannot judge.",
    ).tag(config=True)
    refresh_pre_spawn = Bool(
        default_value=False, help="Ask the sign-in method again before each start of a server."
    ).tag(config=True)
    refresh_pre_stop = Bool(
        default_value=False, help="Ask the sign-in method again before each stop that somebody wants."
    ).tag(config=True)
    post_auth_hook = Any_(
        allow_none=True,
        help="Called with this object, None and a dictionary (name, admin, auth_state, user_info, groups, roles) of "
        "whoever may enter; answers the dictionary to go on with, or None to refuse. May be a coroutine.",
    ).tag(config=True)
    reconcile_auth_state_hook = Any_(
        allow_none=True,
        help="Called with this object, the dictionary of `post_auth_hook` and the state that is kept (or None); "
        "answers the state to keep. May be a coroutine.",
    ).tag(config=True)

    async def authenticate(self, form: Mapping[str, str]) -> AuthResult | None:
        """
        Judge the fields of the sign-in form; None if the credentials are wrong.

        Raises:
            SignInRefused: they are right, but this person may not sign in (yet).
        """
        raise NotImplementedError

    async def refresh_user(self, user: KnownUser) -> bool | AuthResult:  # noqa: ARG002  # for those who override it
        """
        Judge anew somebody who is signed in; called at most once in `auth_refresh_age`, and before starts and stops if
        so configured. An authenticator that leaves this as it is vouches for its people until they sign out.

        Answers True if nothing has changed, False if they must sign in again, or what has changed: members that are
        None stay as they are. The name cannot change.

        Raises:
            Exception: whatever is wrong with the source; that is no answer, and the person stays as they are.
        """
        return True

    async def load_managed_roles(self) -> Sequence[Mapping[str, Any]]:
        """
        Declare roles, each as in `load_roles`; asked when the hub starts, if `manage_roles` is set. A role that states
        `users` is theirs and nobody else's, until they sign in.

        Raises:
            NotImplementedError: they are to be reset to what nobody says.
        """
        if self.reset_managed_roles_on_startup:
            raise NotImplementedError(
                f"reset_managed_roles_on_startup needs an authenticator with load_managed_roles; "
                f"{type(self).__name__} has none."
            )
        return ()

    @property
    def refreshes(self) -> bool:
        """Whether `refresh_user` can ever answer anything but True."""
        return type(self).refresh_user is not Authenticator.refresh_user

    async def pre_spawn_start(self, user: Any, spawner: Any) -> None:
        """
        Called before a server of *user* starts, and before the spawner's own hooks: the place to open a PAM session.

        Args:
            user: whose server it is, with `name` and `admin`.
            spawner: what starts it; its traits may be set. What this raises makes the start fail.
        """

    async def post_spawn_stop(self, user: Any, spawner: Any) -> None:
        """Called after a server of *user* has stopped; what this raises is logged."""

    def normalize_username(self, name: str) -> str:
        """*name* as the hub knows it: lower case, then `username_map`."""
        lowered = name.strip().lower()
        return self.username_map.get(lowered, lowered)

    def is_valid(self, name: str) -> bool:
        """Whether the normalised *name* matches `username_pattern`."""
        return not self.username_pattern or re.fullmatch(self.username_pattern, name) is not None

    def is_blocked(self, name: str) -> bool:
        """Whether the normalised *name* may not enter whatever else is configured."""
        return name in self.blocked_users

    def is_allowed(self, name: str, *, exists: bool) -> bool:
        """Whether the normalised *name* may enter; *exists*: it has a user in the database."""
        listed = name in self.allowed_users or name in self.admin_users
        return self.allow_all or listed or (self.allow_existing_users and exists)

    @property
    def lets_somebody_in(self) -> bool:
        """Whether any rule could ever admit anybody."""
        rules = (self.allow_all, self.allowed_users, self.admin_users, self.allow_existing_users)
        return self.any_allow_config or any(rules)

    @default("allow_existing_users")
    def _existing_users_by_default(self) -> bool:
        return bool(self.allowed_users)

    @validate("admin_users", "allowed_users", "blocked_users")
    def _normalise_names(self, proposal: Bunch) -> set[str]:
        return {self.normalize_username(name) for name in proposal["value"]}

    @validate("username_pattern")
    def _check_pattern(self, proposal: Bunch) -> str:
        re.compile(proposal["value"])
        return str(proposal["value"])
