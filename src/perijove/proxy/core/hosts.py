"""
Which host a request is for: the `Host` field read strictly, and in the one form that routes are compared with.

Browsers and servers write one name in several ways (case, a dot at the end, the port). Routes of people's origins are
found by it, so what is not plainly a name or an address is refused: nothing here may be read in two ways.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final

from perijove.proxy.core.errors import BadRequest

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"(?P<name>{_LABEL}(?:\.{_LABEL})*\.?|\[(?P<v6>[0-9A-Fa-f:.]{{2,45}})\])(?::[0-9]{{1,5}})?")
_MAX_NAME: Final = 253


def strict_host(host: str) -> str | None:
    """The host of a `Host` field without its port; None if it is not plainly a name or an address."""
    match = _HOST.fullmatch(host)
    if match is None or len(match["name"]) > _MAX_NAME:
        return None
    if match["v6"] is not None:
        try:
            IPv6Address(match["v6"])
        except ValueError:
            return None
    return match["name"]


def routing_host(field: bytes) -> str:
    """
    The host of a `Host` field as it stands in routes: in lower case, without port and the dot of the root.

    Raises:
        BadRequest: it is not plainly a name or an address.
    """
    host = strict_host(field.decode("latin-1"))
    if host is None:
        raise BadRequest("The request's host is not plainly a name or an address.")
    return host.lower().removesuffix(".")
