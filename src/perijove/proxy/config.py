"""
The settings of one proxy, parsed and checked; `cli/proxy.py` fills them in.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Final

from perijove.proxy.core.access_log import Format
from perijove.proxy.core.limits import Limits
from perijove.proxy.core.targets import Target
from perijove.proxy.net.frontend import Passing
from perijove.proxy.net.timeouts import Timeouts


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
    #: listening sockets that a supervisor handed down, by name (`public`, `control`), instead of the above
    inherited: Mapping[str, socket.socket] = field(default_factory=dict)
    #: secret of the control API and of the hub's door; empty leaves the control API open
    auth_token: str = ""
    #: target of the default route, which is open; empty: there is none until the hub adds it
    default_target: str = ""
    #: where error pages come from
    error_target: Target | None = None
    #: error pages of an administrator by status, `error` for all others
    error_pages: Mapping[str, bytes] = field(default_factory=dict)
    #: the hub, for the door's questions; its base is the hub's prefix
    hub: Target | None = None
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


#: Settings that a running proxy takes over; all others need a restart.
RELOADABLE: Final = frozenset({"passing", "timeouts", "limits", "error_pages", "drain", "recheck_interval"})


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
    return config, left
