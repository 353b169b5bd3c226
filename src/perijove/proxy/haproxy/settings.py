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

from perijove.proxy.config import ProxyConfig, TlsConfig
from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.haproxy_config import BindTls, HaproxySettings, Paths, Waits
from perijove.proxy.core.passing import UNIX_PEER, Passing
from perijove.proxy.net.tls import ServerTls

#: Descriptors for one connection: its server's, and an idle one. And a few that are haproxy's own.
_DESCRIPTORS_EACH: Final = 3
_DESCRIPTORS_OWN: Final = 512
_MOST_CONNECTIONS: Final = 100_000
_FEWEST_CONNECTIONS: Final = 64
#: The words of `net/tls.py` -> lowest and highest version in haproxy's.
_VERSIONS: Final = {
    "": ("TLSv1.2", ""),
    "TLS": ("TLSv1.2", ""),
    "TLSv1_2": ("TLSv1.2", "TLSv1.2"),
    "TLSv1_3": ("TLSv1.3", ""),
}


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
        tls=bind_tls(config.tls.public),
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
    known = Passing(
        x_forward=passing.x_forward,
        trusted_forwarders=passing.trusted_forwarders,
        prepend_path=passing.prepend_path,
    )
    return passing != known


def check(tls: TlsConfig) -> None:
    """
    Look for what haproxy cannot do.

    Raises:
        UnusableSettings: there is something.
    """
    if tls.acme is not None:
        raise UnusableSettings("The engine haproxy obtains no certificates itself: use the builtin one for ACME.")
    if tls.public is not None and tls.public.passphrase:
        raise UnusableSettings("The engine haproxy cannot read encrypted keys.")


def links_for(tls: ServerTls | None, paths: Paths) -> dict[str, Path]:
    """The names by which haproxy finds certificates, keys and authorities."""
    if tls is None:
        return {}
    links: dict[str, Path] = {}
    for number, files in enumerate(tls.certificates):
        links[paths.certificate(number)] = files.cert
        links[paths.certificate(number) + ".key"] = files.key
    if tls.client_ca is not None:
        links[paths.client_authorities] = tls.client_ca
    return links


def bind_tls(tls: ServerTls | None) -> BindTls | None:
    """How TLS is spoken, in haproxy's terms."""
    if tls is None:
        return None
    verify = "required" if tls.require_cert else "optional" if tls.request_cert else ""
    return BindTls(
        certificates=len(tls.certificates),
        verify=verify if tls.client_ca is not None else "",
        versions=_VERSIONS[tls.protocol],
        ciphers=tls.ciphers,
    )


def _is_source(name: str) -> bool:
    """Whether a trusted forwarder is something that haproxy can compare an address with."""
    if name == UNIX_PEER:
        return True
    try:
        ip_network(name)
    except ValueError:
        return False
    return True
