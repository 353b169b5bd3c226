"""
What of a configuration may change while the hub runs. Pure.

Whatever is not listed here needs a restart; naming it is better than seeming to take it over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from traitlets.config import Configurable

from perijove.config.check import traits_of
from perijove.config.log_handlers import are_handlers
from perijove.config.settings import HubSettings

#: traits of `Perijove` that are taken over
RELOADED: Final = frozenset(
    {
        "active_server_limit",
        "admin_users",
        "allow_named_servers",
        "allow_signup",
        "api_page_default_limit",
        "api_page_max_limit",
        "audit_file",
        "audit_retention_days",
        "authenticate_prometheus",
        "cleanup_servers",
        "concurrent_spawn_limit",
        "cookie_max_age_days",
        "cull_policies",
        "default_server_name",
        "custom_scopes",
        "extra_user_scopes",
        "idle_timeout",
        "load_roles",
        "log_level",
        "named_server_limit_per_user",
        "oauth_require_pkce",
        "oauth_token_expires_in",
        "redirect_to_server",
        "server_max_age",
        "start_by_visit",
        "services",
        "token_expires_in_max_seconds",
        "user_redirect_hook",
    }
)
#: traits of spawners that are not, unlike all others of theirs and of authenticators
FIXED_OF_PLUGINS: Final = frozenset({"poll_interval"})


def settings_after(old: HubSettings, new: HubSettings) -> HubSettings:
    """*old* with what may change as it is in *new*."""
    servers = replace(
        new.servers,
        lease_seconds=old.servers.lease_seconds,
        poll_seconds=old.servers.poll_seconds,
        activity_seconds=old.servers.activity_seconds,
        activity_resolution=old.servers.activity_resolution,
        slow_start_seconds=old.servers.slow_start_seconds,
        slow_stop_seconds=old.servers.slow_stop_seconds,
    )
    return replace(
        old,
        sign_in=new.sign_in,
        servers=servers,
        admin_users=new.admin_users,
        blocked_users=new.blocked_users,
        load_roles=new.load_roles,
        custom_scopes=new.custom_scopes,
        extra_user_scopes=new.extra_user_scopes,
        services=new.services,
        cull_policies=new.cull_policies,
        token_expires_in_max_seconds=new.token_expires_in_max_seconds,
        oauth_token_expires_in=new.oauth_token_expires_in,
        oauth_require_pkce=new.oauth_require_pkce,
        api_page_default_limit=new.api_page_default_limit,
        api_page_max_limit=new.api_page_max_limit,
        audit_file=new.audit_file,
        audit_retention_days=new.audit_retention_days,
        authenticate_prometheus=new.authenticate_prometheus,
        crypt_keys=new.crypt_keys,
        cleanup_servers=new.cleanup_servers,
        redirect_to_server=new.redirect_to_server,
        default_server_name=new.default_server_name,
        user_redirect_hook=new.user_redirect_hook,
    )


def differing(old: Sequence[Configurable], new: Sequence[Configurable], *, reloaded: bool) -> tuple[str, ...]:
    """
    Names (`Class.trait`) of what has another value.

    Args:
        old: the deployment, its launcher, its authenticator, its spawner.
        new: the same as they are configured now.
        reloaded: whether those that are taken over are asked for, or the others.
    """
    names = []
    for before, after in zip(old, new, strict=True):
        values = _values(after)
        names += [
            f"{type(before).__name__}.{name}"
            for name, value in _values(before).items()
            if name in values and is_reloaded(before, name) is reloaded and not _is_same(value, values[name])
        ]
    return tuple(names)


def is_reloaded(owner: Configurable, name: str) -> bool:
    """Whether a changed value of that trait is taken over while the hub runs."""
    section = type(owner).__name__
    if section in ("Launcher", "EventLogger"):
        # The launcher is another process, which goes on with what it was told; handlers are open files.
        return False
    return name in RELOADED if section == "Perijove" else name not in FIXED_OF_PLUGINS


def _values(owner: Configurable) -> Mapping[str, Any]:
    return {name: getattr(owner, name) for name in traits_of(type(owner))}


def _is_same(one: Any, other: Any) -> bool:
    if are_handlers(one) and are_handlers(other):
        # Likewise; what they are and where they write is all that can be seen of them.
        return repr(list(one)) == repr(list(other))
    # Functions and classes are made anew whenever the file is run; their code tells whether they are others.
    if isinstance(one, type) and isinstance(other, type):
        return one is other or (one.__qualname__ == other.__qualname__ and _codes(one) == _codes(other))
    code = getattr(one, "__code__", None)
    return bool(one == other) or (code is not None and code == getattr(other, "__code__", None))


def _codes(cls: type) -> Mapping[str, Any]:
    return {name: member.__code__ for name, member in vars(cls).items() if hasattr(member, "__code__")}
