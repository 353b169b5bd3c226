"""
Reads the whole configuration for the commands that need it: file, flags, plug-in classes.

The composition of `config`, `spawners` and `authenticators`: only here are all three in sight.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from traitlets.config import Config, Configurable

from perijove.authenticators.base import Authenticator
from perijove.authenticators.errors import AuthenticatorError
from perijove.authenticators.native import NativeAuthenticator, Verdict
from perijove.authenticators.registry import BUILT_IN as AUTHENTICATORS
from perijove.authenticators.registry import find as find_authenticator
from perijove.config.check import Known, build, check_names, place
from perijove.config.crypt_keys import CRYPT_KEY_VARIABLE, read_keys
from perijove.config.database import PASSWORD_VARIABLE, database_url, has_password
from perijove.config.errors import WrongValue
from perijove.config.hubs import contradictions_of_hubs, hub_name
from perijove.config.launcher import Launcher
from perijove.config.log_handlers import keep_handlers
from perijove.config.settings import HubSettings, Paths, ServerPolicy, SignInPolicy
from perijove.config.sources import (
    DEFAULT_FILE,
    default_runtime_dir,
    default_state_dir,
    merged,
    process_environment,
    read_file,
    read_flags,
)
from perijove.config.subdomains import contradictions_of_subdomains
from perijove.config.tls import contradictions
from perijove.config.tornado import TornadoSettings, read_tornado_settings
from perijove.config.traits import CryptKeeper, EventLogger, Perijove
from perijove.config.urls import BindUrl
from perijove.hub.domain.errors import HubError
from perijove.hub.domain.groups import read_groups
from perijove.hub.domain.idle import read_policies
from perijove.hub.usecases.load_roles import load_roles
from perijove.spawners.base import Spawner
from perijove.spawners.errors import SpawnerError
from perijove.spawners.registry import find_spawner, spawners


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything that was configured, checked."""

    #: may hold a secret, as `perijove` may
    config: Config = field(repr=False)
    file: Path | None
    #: the words that make the same configuration again in a child process
    words: tuple[str, ...]
    perijove: Perijove = field(repr=False)
    authenticator: Authenticator
    #: one per server is made of it; this one shows its values and carries those the hub needs
    spawner: Spawner
    launcher: Launcher
    tornado: TornadoSettings
    event_logger: EventLogger
    crypt_keeper: CryptKeeper = field(repr=False)
    #: none unless auth states are to be kept
    crypt_keys: tuple[bytes, ...] = field(repr=False)
    paths: Paths
    #: may have a password in it
    db_url: str = field(repr=False)

    @property
    def bind(self) -> BindUrl:
        """Where the proxy listens."""
        return BindUrl.of(self.perijove)


def load(file: Path | None, flags: Sequence[str]) -> Configuration:
    """
    Read *file* (or `perijove_config.py` here, if there is one) and *flags*; check every name and value.

    Raises:
        ConfigError: with the file, the line and what to write instead.
    """
    if file is None and Path(DEFAULT_FILE).is_file():
        file = Path(DEFAULT_FILE)
    file = file.resolve() if file else None
    config = merged(read_file(file) if file else Config(), read_flags(flags))
    keep_handlers(config)
    own = _only(config, "Perijove")
    check_names(own, {"Perijove": Perijove}, file=file)
    perijove = build(Perijove, own, file=file)
    authenticator_class = _find(find_authenticator, "authenticator_class", perijove, file)
    spawner_class = _find(find_spawner, "spawner_class", perijove, file)
    check_names(config, known_classes(authenticator_class, spawner_class), file=file)
    authenticator = _trial_authenticator(authenticator_class, config, file)
    crypt_keeper = build(CryptKeeper, config, file=file)
    paths = _paths(perijove)
    db_url = _database(perijove, paths, file, flags)
    _check_declarations(perijove, file)
    _check_groups_and_policies(perijove, file)
    wrong = (*contradictions(perijove), *contradictions_of_hubs(perijove, db_url))
    for name, why in (*wrong, *contradictions_of_subdomains(perijove)):
        raise WrongValue(f"{place(file, 'Perijove', name)}c.Perijove.{name} {why}.")
    return Configuration(
        config=config,
        file=file,
        words=(*(("-f", str(file)) if file else ()), *flags),
        perijove=perijove,
        authenticator=authenticator,
        launcher=build(Launcher, config, file=file),
        event_logger=build(EventLogger, config, file=file),
        crypt_keeper=crypt_keeper,
        crypt_keys=_crypt_keys(crypt_keeper, authenticator, file, flags),
        tornado=_tornado_settings(perijove, file),
        spawner=_trial_spawner(spawner_class, config, file),
        paths=paths,
        db_url=db_url,
    )


class _NoAccounts:
    """Stands in for the hub's local accounts while only an authenticator's traits are of interest."""

    async def judge(self, name: str, password: str) -> Verdict:  # noqa: ARG002  # the protocol's signature
        """Nobody has an account here."""
        return Verdict.WRONG


def _trial_authenticator(cls: type[Authenticator], config: Config, file: Path | None) -> Authenticator:
    extra: dict[str, Any] = {"book": _NoAccounts()} if issubclass(cls, NativeAuthenticator) else {}
    return build(cls, config, file=file, **extra)


def _trial_spawner(cls: type[Spawner], config: Config, file: Path | None) -> Spawner:
    spawner = build(cls, config, file=file)
    for name, why in spawner.unenforceable().items():
        raise WrongValue(f"{place(file, 'Spawner', name)}c.Spawner.{name}: {why}")
    return spawner


def _only(config: Config, section: str) -> Config:
    return Config({section: config[section]}) if section in config else Config()


def _check_declarations(perijove: Perijove, file: Path | None) -> None:
    """What the hub would refuse is refused before anything runs."""
    words: dict[str, Any] = {"roles": ()}
    # One more with each step, so that what is wrong is what came last.
    for name, more in (
        ("services", {"services": perijove.services}),
        ("custom_scopes", {"custom_scopes": perijove.custom_scopes}),
        ("extra_user_scopes", {"extra_user_scopes": perijove.extra_user_scopes}),
        ("load_roles", {"roles": perijove.load_roles}),
    ):
        words |= more
        try:
            load_roles(**words)
        except HubError as exc:
            raise WrongValue(f"{place(file, 'Perijove', name)}c.Perijove.{name}: {exc.message}") from exc


def _check_groups_and_policies(perijove: Perijove, file: Path | None) -> None:
    try:
        groups = read_groups(perijove.load_groups)
    except HubError as exc:
        raise WrongValue(f"{place(file, 'Perijove', 'load_groups')}c.Perijove.load_groups: {exc.message}") from exc
    roles = load_roles(
        roles=perijove.load_roles, services=perijove.services, custom_scopes=perijove.custom_scopes
    ).names
    names = [group.name for group in groups]
    try:
        read_policies(perijove.cull_policies, groups=names, roles=roles)
    except HubError as exc:
        raise WrongValue(f"{place(file, 'Perijove', 'cull_policies')}c.Perijove.cull_policies: {exc.message}") from exc
    for_all = [item for item in perijove.cull_policies if not {"group", "role"} & item.keys()]
    for name in ("idle_timeout", "server_max_age"):
        if for_all and getattr(perijove, name):
            where = place(file, "Perijove", name)
            raise WrongValue(f"{where}c.Perijove.{name}: cull_policies has a policy for everybody already.")


def _tornado_settings(perijove: Perijove, file: Path | None) -> TornadoSettings:
    try:
        return read_tornado_settings(perijove.tornado_settings)
    except WrongValue as exc:
        where = place(file, "Perijove", "tornado_settings")
        raise WrongValue(f"{where}c.Perijove.tornado_settings: {exc}") from exc


def _policies(perijove: Perijove) -> list[Mapping[str, Any]]:
    """With the one for everybody that has traits of its own."""
    if not perijove.idle_timeout and not perijove.server_max_age:
        return list(perijove.cull_policies)
    for_all = {"idle_seconds": perijove.idle_timeout, "max_age_seconds": perijove.server_max_age}
    return [*perijove.cull_policies, for_all]


def _find(finder: Any, trait: str, perijove: Perijove, file: Path | None) -> Any:
    try:
        return finder(getattr(perijove, trait))
    except (AuthenticatorError, SpawnerError) as exc:
        raise WrongValue(f"{place(file, 'Perijove', trait)}c.Perijove.{trait}: {exc}") from exc


def known_classes(*chosen: type[Configurable]) -> Known:
    """Class name → class, for everything that may be configured; bases before those who inherit."""
    classes: list[type[Configurable]] = [Perijove, Launcher, EventLogger, CryptKeeper]
    for cls in (*AUTHENTICATORS.values(), *spawners().values(), *chosen):
        lineage = [c for c in reversed(cls.__mro__) if issubclass(c, Authenticator | Spawner)]
        classes += [c for c in lineage if c not in classes]
    return {cls.__name__: cls for cls in classes}


def _crypt_keys(
    keeper: CryptKeeper, authenticator: Authenticator, file: Path | None, flags: Sequence[str]
) -> tuple[bytes, ...]:
    if any(".keys=" in flag and "CryptKeeper" in flag for flag in flags):
        raise WrongValue(
            "CryptKeeper.keys: everybody on this machine can read keys on the command line: "
            f"put them into the configuration file, or into ${CRYPT_KEY_VARIABLE}"
        )
    try:
        keys = read_keys(keeper.keys, process_environment().get(CRYPT_KEY_VARIABLE, ""))
    except WrongValue as exc:
        where = f"{place(file, 'CryptKeeper', 'keys')}c.CryptKeeper.keys" if keeper.keys else f"${CRYPT_KEY_VARIABLE}"
        raise WrongValue(f"{where}: {exc}") from exc
    if not authenticator.enable_auth_state:
        return ()
    if not keys:
        raise WrongValue(
            f"{place(file, 'Authenticator', 'enable_auth_state')}c.Authenticator.enable_auth_state needs a key to "
            f"encrypt with: set ${CRYPT_KEY_VARIABLE} to what `openssl rand -hex 32` prints, and keep it."
        )
    return keys


def _database(perijove: Perijove, paths: Paths, file: Path | None, flags: Sequence[str]) -> str:
    if not perijove.db_url:
        return f"sqlite:///{paths.database}"
    try:
        url = database_url(perijove.db_url, password=process_environment().get(PASSWORD_VARIABLE, ""))
    except WrongValue as exc:
        raise WrongValue(f"{place(file, 'Perijove', 'db_url')}c.Perijove.db_url: {exc}") from exc
    if has_password(perijove.db_url) and any(".db_url=" in flag for flag in flags):
        raise WrongValue(
            "Perijove.db_url: everybody on this machine can read a password on the command line: "
            f"put it into the configuration file, or into ${PASSWORD_VARIABLE}"
        )
    return url


def _paths(perijove: Perijove) -> Paths:
    environ, uid = process_environment(), os.getuid()
    return Paths(
        state=Path(perijove.state_dir).resolve() if perijove.state_dir else default_state_dir(environ, uid=uid),
        runtime=Path(perijove.runtime_dir).resolve() if perijove.runtime_dir else default_runtime_dir(environ, uid=uid),
    )


def hub_settings(configuration: Configuration, *, control_token: str, number: int = 1) -> HubSettings:
    """What the *number*-th hub of the deployment is told."""
    p, spawner, tornado = configuration.perijove, configuration.spawner, configuration.tornado
    bind = configuration.bind
    connect = p.hub_connect_url.rstrip("/") or f"http://{p.hub_ip or '127.0.0.1'}:{p.hub_port}"
    return HubSettings(
        base_url=bind.base_url,
        public_url=p.public_url or (p.subdomain_host and f"{p.subdomain_host}{bind.base_url}"),
        subdomain_host=p.subdomain_host,
        subdomain_hook=p.subdomain_hook,
        trusted_forwarders=frozenset(p.trusted_forwarders),
        api_url=f"{connect}{bind.base_url}hub/api",
        api_address=(p.hub_ip, p.hub_port),
        db_url=configuration.db_url,
        paths=configuration.paths,
        control_token=control_token,
        hub_name=hub_name(p, host=socket.gethostname(), number=number),
        proxy_api_urls=tuple(p.proxy_api_urls),
        hub_targets=tuple(url.rstrip("/") for url in p.hub_urls),
        proxy_addresses=frozenset(p.proxy_addresses),
        sign_in=SignInPolicy(allow_signup=p.allow_signup, session_days=p.cookie_max_age_days),
        servers=ServerPolicy(
            start_timeout=spawner.start_timeout,
            http_timeout=spawner.http_timeout,
            slow_start_seconds=tornado.slow_spawn_timeout,
            slow_stop_seconds=tornado.slow_stop_timeout,
            poll_seconds=spawner.poll_interval,
            activity_seconds=p.activity_interval,
            activity_resolution=p.activity_resolution,
            default_url=spawner.default_url or "/lab",
            concurrent_spawn_limit=p.concurrent_spawn_limit,
            consecutive_failure_limit=spawner.consecutive_failure_limit,
            active_server_limit=p.active_server_limit,
            allow_named_servers=p.allow_named_servers,
            start_by_visit=p.start_by_visit,
            named_server_limit_per_user=p.named_server_limit_per_user,
        ),
        admin_users=frozenset(p.admin_users) | frozenset(configuration.authenticator.admin_users),
        blocked_users=frozenset(configuration.authenticator.blocked_users),
        load_groups=p.load_groups,
        cull_policies=_policies(p),
        load_roles=p.load_roles,
        custom_scopes=p.custom_scopes,
        extra_user_scopes=p.extra_user_scopes,
        services=p.services,
        service_check_seconds=p.service_check_interval,
        token_expires_in_max_seconds=p.token_expires_in_max_seconds,
        oauth_token_expires_in=p.oauth_token_expires_in,
        oauth_require_pkce=p.oauth_require_pkce,
        api_page_default_limit=p.api_page_default_limit,
        api_page_max_limit=p.api_page_max_limit,
        authenticate_prometheus=p.authenticate_prometheus,
        headers=tornado.headers,
        audit_file=p.audit_file,
        audit_retention_days=p.audit_retention_days,
        crypt_keys=configuration.crypt_keys,
        cleanup_servers=p.cleanup_servers,
        redirect_to_server=p.redirect_to_server,
        default_server_name=p.default_server_name,
        user_redirect_hook=p.user_redirect_hook,
    )
