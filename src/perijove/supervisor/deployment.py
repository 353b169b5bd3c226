"""
From what was configured to what is run: system users, folders, sockets, and the words of each part.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import perijove
from perijove.config.database import SECRET_VARIABLES
from perijove.config.settings import Paths
from perijove.supervisor.accounts import LOCK, check_interpreter, folder, lock, service_user, socket_group
from perijove.supervisor.app import Deployment
from perijove.supervisor.certificates import DeploymentTls, copy_certificate
from perijove.supervisor.exposure import PLAIN_HTTP, is_private
from perijove.supervisor.plan import Identity, Part
from perijove.supervisor.sockets import listen_tcp, listen_together, listen_unix
from perijove.wire.control import AUTH_TOKEN_VARIABLE, PASSPHRASE_VARIABLES
from perijove.wire.door import DOORSTEP_PATH, ENTER_PATH
from perijove.wire.routes import unix_origin
from perijove.wire.supervision import API, CONTROL, HUB, HUB_NUMBER_VARIABLE, LAUNCHER, PUBLIC, REDIRECT

#: The hub needs this long to end many servers in order.
_HUB_STOP_TIMEOUT: Final = 60.0
#: Runs perijove again with this interpreter. -P: never import from the working directory, which anybody may own.
SELF: Final = (sys.executable, "-P", "-m", "perijove")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """What the supervisor is told."""

    paths: Paths
    #: where browsers come in
    ip: str
    port: int
    public_origin: str
    base_url: str
    #: whether routes begin with a host, because users and services have origins of their own
    subdomains: bool
    #: addresses of proxies in front of ours
    trusted_forwarders: tuple[str, ...]
    #: where servers reach the hub
    hub_ip: str
    hub_port: int
    #: hub processes
    hubs: int
    #: where the proxy reaches hubs; none: at this deployment's socket
    hub_urls: tuple[str, ...]
    hub_user: str
    proxy_user: str
    #: processes that carry the traffic
    proxy_workers: int
    #: what carries it: `builtin` or `haproxy`
    proxy_engine: str
    #: further options of the proxy
    proxy_args: tuple[str, ...]
    #: further options of the launcher
    launcher_words: tuple[str, ...]
    #: None: browsers come by plain HTTP
    tls: DeploymentTls | None
    log_level: str
    log_format: str
    #: words that make the hub read the same configuration
    configuration_words: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owners:
    """System users of the parts; None of them when perijove is not root."""

    hub: Identity | None
    proxy: Identity | None
    socket_gid: int | None


def prepare(settings: SupervisorSettings, held: ExitStack) -> Deployment:
    """
    Make everything that must exist before a part runs.

    Args:
        settings: what was configured.
        held: keeps the lock and the sockets open.

    Raises:
        StartError: in words for the operator.
    """
    root = os.geteuid() == 0
    if root:
        check_interpreter(Path(sys.executable), Path(perijove.__file__).parent)
    owners = _owners(settings) if root else _Owners(hub=None, proxy=None, socket_gid=None)
    _make_folders(settings.paths, owners)
    held.enter_context(lock(settings.paths.runtime / LOCK))
    _refresh(settings, owners)
    if not is_private(settings.ip, settings.public_origin):
        settings.say(PLAIN_HTTP)
    gid = owners.socket_gid
    copies = settings.proxy_workers if root else 1
    public = listen_together(settings.ip, settings.port, count=max(1, copies), trait="port")
    sockets = {
        **{f"{PUBLIC}-{number}": listener for number, listener in enumerate(public)},
        API: listen_tcp(settings.hub_ip, settings.hub_port, trait="Perijove.hub_port"),
        HUB: listen_unix(settings.paths.hub_socket, gid=gid),
        CONTROL: listen_unix(settings.paths.control_socket, gid=gid),
        LAUNCHER: listen_unix(settings.paths.launcher_socket, gid=gid),
    }
    if settings.tls is not None and settings.tls.redirect_port:
        sockets[REDIRECT] = listen_tcp(settings.ip, settings.tls.redirect_port, trait="Perijove.redirect_port")
    for listener in sockets.values():
        held.enter_context(listener)
    return Deployment(
        parts=_parts(settings, owners, tuple(name for name in sockets if name.startswith((PUBLIC, REDIRECT)))),
        stop_order=("hub", "proxy", "launcher"),
        sockets=sockets,
        # Passphrases are the proxy's alone, and the database's password is the hub's.
        environ={
            name: text
            for name, text in settings.environ.items()
            if name not in {*PASSPHRASE_VARIABLES, *SECRET_VARIABLES, AUTH_TOKEN_VARIABLE}
        },
        public_origin=settings.public_origin,
        base_url=settings.base_url,
        say=settings.say,
        refresh=partial(_refresh, settings, owners),
    )


def _owners(settings: SupervisorSettings) -> _Owners:
    return _Owners(
        hub=service_user(settings.hub_user),
        proxy=service_user(settings.proxy_user),
        socket_gid=socket_group(),
    )


def _make_folders(paths: Paths, owners: _Owners) -> None:
    # With root, other users pass through (but cannot list) on the way to what is theirs.
    passage = 0o700 if owners.hub is None else 0o711
    folder(paths.state, mode=passage)
    folder(paths.runtime, mode=passage)
    folder(paths.tls_certificate.parent, mode=passage)
    for name, owner in (("hub", owners.hub), ("proxy", owners.proxy)):
        folder(paths.state / name, mode=0o700, uid=owner.uid if owner else -1, gid=owner.gid if owner else -1)
    for name in ("hub", "proxy", "launcher"):
        folder(
            paths.runtime / name,
            mode=0o700 if owners.socket_gid is None else 0o750,
            gid=-1 if owners.socket_gid is None else owners.socket_gid,
        )


def _refresh(settings: SupervisorSettings, owners: _Owners) -> None:
    """Hand the proxy what stands in an administrator's files now."""
    if settings.tls is not None:
        copy_certificate(settings.tls, settings.paths.tls_certificate, owners.proxy)


def _parts(settings: SupervisorSettings, owners: _Owners, public: tuple[str, ...]) -> tuple[Part, ...]:
    # An administrator's own, where hubs of other machines must know it.
    token = {AUTH_TOKEN_VARIABLE: settings.environ.get(AUTH_TOKEN_VARIABLE) or secrets.token_hex(32)}
    return (
        Part(name="launcher", argv=_launcher_words(settings, owners), sockets=(LAUNCHER,)),
        *(_hub(settings, number, token) for number in range(1, settings.hubs + 1)),
        Part(
            name="proxy",
            argv=_proxy_words(settings),
            sockets=(*public, CONTROL),
            environment=token | {name: settings.environ.get(name, "") for name in PASSPHRASE_VARIABLES},
            identity=owners.proxy,
        ),
    )


def _hub(settings: SupervisorSettings, number: int, token: Mapping[str, str]) -> Part:
    """One of several that accept from the same sockets, so that who dies loses only what it was answering."""
    own = {name: settings.environ[name] for name in SECRET_VARIABLES if name in settings.environ}
    return Part(
        name="hub" if number == 1 else f"hub-{number}",
        role="hub",
        # The hub reads the configuration as root, then becomes its own user: the file may be root's secret.
        argv=(*SELF, "hub", *settings.configuration_words),
        sockets=(HUB, API),
        environment={**token, **own, HUB_NUMBER_VARIABLE: str(number)},
        stop_timeout=_HUB_STOP_TIMEOUT,
    )


def _launcher_words(settings: SupervisorSettings, owners: _Owners) -> tuple[str, ...]:
    hub_uid = owners.hub.uid if owners.hub else os.getuid()
    return (
        *SELF,
        "launcher",
        *("--socket", str(settings.paths.launcher_socket)),
        *("--hub-uid", str(hub_uid)),
        *("--socket-gid", str(os.getgid() if owners.socket_gid is None else owners.socket_gid)),
        *("--runtime-dir", str(settings.paths.runtime)),
        *("--state-dir", str(settings.paths.state)),
        *settings.launcher_words,
        *("--log-level", settings.log_level),
        *("--log-format", settings.log_format),
    )


def _proxy_words(settings: SupervisorSettings) -> tuple[str, ...]:
    hubs = [url.rstrip("/") for url in settings.hub_urls] or [unix_origin(str(settings.paths.hub_socket))]
    prefix = f"{settings.base_url}hub/"
    return (
        *SELF,
        "proxy",
        # First, so that they cannot undo what the rest relies on.
        *settings.proxy_args,
        *(word for hub in hubs for word in ("--default-target", hub)),
        *(word for hub in hubs for word in ("--error-target", f"{hub}{prefix}error")),
        *(word for hub in hubs for word in ("--hub-url", f"{hub}{prefix}")),
        # Where everybody has a host of their own, a stranger is first met there.
        *("--enter-path", f"{prefix}{DOORSTEP_PATH if settings.subdomains else ENTER_PATH}"),
        *(("--host-routing",) if settings.subdomains else ()),
        *("--trusted-forwarders", ",".join(settings.trusted_forwarders)),
        *("--snapshot", str(settings.paths.route_snapshot)),
        *("--workers", str(settings.proxy_workers)),
        *("--engine", settings.proxy_engine),
        *_tls_words(settings),
        # configurable-http-proxy's word, whose flags these are
        *("--log-level", "warn" if settings.log_level == "warning" else settings.log_level),
        *("--log-format", settings.log_format),
    )


def _tls_words(settings: SupervisorSettings) -> tuple[str, ...]:
    tls, path = settings.tls, str(settings.paths.tls_certificate)
    if tls is None:
        return ()
    redirect = ("--redirect-to", str(tls.redirect_to)) if tls.redirect_port else ()
    if tls.cert is not None:
        return ("--ssl-cert", path, "--ssl-key", path, *redirect)
    return (*redirect, *tls.acme_words, "--acme-dir", str(settings.paths.acme))
