"""
The settings of one proxy, parsed and checked; `cli/proxy.py` fills them in.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from perijove.proxy.acme.settings import AcmeSettings
from perijove.proxy.core.access_log import Format
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.passing import Passing
from perijove.proxy.core.targets import Target
from perijove.proxy.net.timeouts import Timeouts
from perijove.proxy.net.tls import ClientTls, ServerTls


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """How TLS is spoken, and with whom."""

    #: with browsers; None: plain HTTP
    public: ServerTls | None = None
    #: with callers of the control API; None: plain HTTP
    api: ServerTls | None = None
    #: with servers at https addresses
    client: ClientTls = field(default_factory=ClientTls)
    #: port for plain HTTP, on the public address, that sends browsers to https; None: there is none
    redirect_port: int | None = None
    #: the https port that they are sent to; None: the public one
    redirect_to: int | None = None
    #: the certificate that is obtained and renewed; None: all are files of an administrator
    acme: AcmeSettings | None = None

    def may_become(self, other: TlsConfig) -> bool:
        """Whether a running proxy can take over *other*: other files and policies, but the same ports and parts."""
        return (self.public is None, self.api is None, self.redirect_port, self.redirect_to, self.acme) == (
            other.public is None,
            other.api is None,
            other.redirect_port,
            other.redirect_to,
            other.acme,
        )


#: `builtin` is this package; `haproxy` has a haproxy in front of it
EngineName: TypeAlias = Literal["builtin", "haproxy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyConfig:
    """What a proxy is started with."""

    #: public address; empty is all interfaces
    ip: str = ""
    port: int = 8000
    #: public unix socket instead of `ip` and `port`
    public_socket: Path | None = None
    #: address of the control API
    api_ip: str = "127.0.0.1"
    api_port: int = 8001
    #: unix socket of the control API, mode 0600, instead of `api_ip` and `api_port`
    api_socket: Path | None = None
    #: listening sockets that a supervisor handed down, by name (`public`, `control`, `redirect`), instead of the above
    inherited: Mapping[str, socket.socket] = field(default_factory=dict)
    #: secret of the control API and of the hub's door; empty leaves the control API open
    auth_token: str = ""
    #: target of the default route, which is open, and its fallbacks; empty: there is none until the hub adds it
    default_targets: tuple[str, ...] = ()
    #: where error pages come from: the first that answers
    error_targets: tuple[Target, ...] = ()
    #: error pages of an administrator by status, `error` for all others
    error_pages: Mapping[str, bytes] = field(default_factory=dict)
    #: hubs, for the door's questions, which the first that answers is asked; their base is the hub's prefix
    hubs: tuple[Target, ...] = ()
    #: path on the public address where navigations without a statement are sent
    enter_path: str = "/hub/enter"
    #: JSON file `{"keys": [JWK, …]}` with the door's public keys
    keys_file: Path | None = None
    snapshot: Path | None = None
    recheck_interval: float = 180.0
    passing: Passing = field(default_factory=Passing)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    #: file of the access log, `-` for standard output; empty: none is written
    access_log: str = ""
    access_log_format: Format = "json"
    #: address of the metrics server; without a port or a socket there is none
    metrics_ip: str = "127.0.0.1"
    metrics_port: int | None = None
    #: unix socket of the metrics server, mode 0660, instead of `metrics_ip` and `metrics_port`
    metrics_socket: Path | None = None
    #: seconds for requests in flight when the proxy is asked to stop
    drain: float = 5.0
    pid_file: Path | None = None
    #: processes that carry the traffic; 0: the one that answers the control API does it too
    workers: int = 0
    #: what carries the traffic
    engine: EngineName = "builtin"
    #: how haproxy is called, with `engine="haproxy"`
    haproxy_command: str = "haproxy"
    tls: TlsConfig = field(default_factory=TlsConfig)

    @property
    def ssl_cert(self) -> Path | None:
        """The certificate that clients see who name no other; None without TLS."""
        return self.tls.public.certificates[0].cert if self.tls.public else None

    @property
    def ssl_key(self) -> Path | None:
        """Its key."""
        return self.tls.public.certificates[0].key if self.tls.public else None


#: Settings that a running proxy takes over; all others need a restart.
RELOADABLE: Final = frozenset({"passing", "timeouts", "limits", "error_pages", "drain", "recheck_interval", "tls"})


def reloaded(old: ProxyConfig, new: ProxyConfig) -> tuple[ProxyConfig, list[str]]:
    """
    What a proxy that runs with *old* runs with when it is told *new*, and the names of what it cannot take over.
    """
    differing = {known.name for known in fields(ProxyConfig) if getattr(old, known.name) != getattr(new, known.name)}
    config = replace(old, **{name: getattr(new, name) for name in RELOADABLE})
    left = sorted(differing - RELOADABLE)
    if new.passing.host_routing != old.passing.host_routing:
        config = replace(config, passing=replace(new.passing, host_routing=old.passing.host_routing))
        left.append("host_routing")
    if not old.tls.may_become(new.tls):
        config = replace(config, tls=old.tls)
        left.append("tls")
    return config, left
