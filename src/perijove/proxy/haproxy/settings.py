"""
The proxy's settings in haproxy's terms, and those of the worker behind it.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from perijove.proxy.config import ProxyConfig
from perijove.proxy.core.haproxy_config import HaproxySettings, Paths, Waits
from perijove.proxy.net.frontend import UNIX_PEER, Passing

#: Descriptors for one connection: its server's, and an idle one. And a few that are haproxy's own.
_DESCRIPTORS_EACH: Final = 3
_DESCRIPTORS_OWN: Final = 512
_MOST_CONNECTIONS: Final = 100_000
_FEWEST_CONNECTIONS: Final = 64


def settings_for(config: ProxyConfig, *, folder: Path, public: Sequence[int], worker: Path) -> HaproxySettings:
    """What a haproxy is started with that listens on the descriptors *public*."""
    timeouts = config.timeouts
    connections = max_connections(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return HaproxySettings(
        paths=Paths(folder=str(folder)),
        public=public,
        worker=str(worker),
        threads=max(1, config.workers),
        max_connections=min(config.limits.clients or connections, connections),
        waits=Waits(
            head=timeouts.head,
            keep_alive=timeouts.keep_alive,
            client=timeouts.client or timeouts.body,
            server=timeouts.server,
            connect=timeouts.connect,
            half_closed=timeouts.half_closed,
        ),
        is_tls=certificate_of(config) is not None,
        x_forward=config.passing.x_forward,
        per_address=config.limits.per_address or connections // 2,
        trusted_forwarders=frozenset(name for name in config.passing.trusted_forwarders if _is_source(name)),
    )


def max_connections(descriptors: int) -> int:
    """Connections to serve with so many descriptors."""
    return min(max((descriptors - _DESCRIPTORS_OWN) // _DESCRIPTORS_EACH, _FEWEST_CONNECTIONS), _MOST_CONNECTIONS)


def worker_config(config: ProxyConfig) -> ProxyConfig:
    """The settings of the worker behind haproxy, which has written the `X-Forwarded-*` lines."""
    passing = replace(config.passing, x_forward=False, trusted_forwarders=frozenset({UNIX_PEER}))
    return replace(config, passing=passing)


def leaves_all(passing: Passing) -> bool:
    """Whether requests are changed in ways that only the worker knows."""
    return passing.host_routing or not passing.include_prefix


def certificate_of(config: ProxyConfig) -> tuple[Path, Path] | None:
    """The files of certificate and key; None without TLS."""
    if config.ssl_cert is None or config.ssl_key is None:
        return None
    return config.ssl_cert, config.ssl_key


def _is_source(name: str) -> bool:
    """Whether a trusted forwarder is something that haproxy can compare an address with."""
    if name == UNIX_PEER:
        return True
    try:
        ip_network(name)
    except ValueError:
        return False
    return True
