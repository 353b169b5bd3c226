"""
Whether others can listen in on what browsers and perijove say to each other. Pure.

Fetch-Metadata and Cross-Origin-Opener-Policy, on which the hub's walls against scripts of users' servers rest,
are for secure contexts only: TLS, or this very machine (W3C Secure Contexts).
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

#: Said when people come by plain HTTP from elsewhere.
PLAIN_HTTP: Final = (
    "Warning: people on other machines reach perijove by plain HTTP. Passwords can be read on the way, and browsers "
    "leave out what keeps scripts in notebooks away from the hub. Set ssl_cert and ssl_key, or acme_domains; or put a "
    "TLS proxy in front and name it in public_url."
)


def is_private(ip: str, public_origin: str) -> bool:
    """
    Whether what is said stays on this machine or travels by TLS.

    Args:
        ip: where the proxy listens; empty for every interface.
        public_origin: what people type into a browser.
    """
    try:
        stays_here = ip_address(ip).is_loopback
    except ValueError:
        stays_here = ip == "localhost"
    return stays_here or public_origin.startswith("https://")
