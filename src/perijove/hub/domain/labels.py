"""
Under which host name somebody's servers are: a name of a user or a service as a DNS label. Pure.

Law: two names of one kind, or of both, never come to one label, and what comes out is a label that every resolver and
browser takes (RFC 1123, 2.1; RFC 5891, 4.2). Two people at one host would be one origin to a browser.

Whatever can be a label stays as it is, or becomes the A-label that it has in IDNA 2008; everything else becomes a few
of its characters and a hash. These labels are JupyterHub 6's, but for the hash: there it has 28 bits, so that who may
choose a name finds one that leads to somebody else's host in a minute. Ours has 128.
"""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

import idna

Kind: TypeAlias = Literal["user", "service"]
#: name, the hub's domain, kind -> the host name; what an administrator may write in place of a scheme of ours
Hook: TypeAlias = Callable[[str, str, str], Any]

IDNA: Final = "idna"
LEGACY: Final = "legacy"
#: Longest label (RFC 1035, 2.3.4).
MAX_LABEL: Final = 63
#: Longest host name (RFC 1035, 2.3.4, less what is around it on the wire).
MAX_HOST: Final = 253
#: Host of all services under `legacy`; nobody else's.
_SERVICES: Final = "services"
#: Labels of services end with this; no label of a user does.
_SERVICE_SUFFIX: Final = "--service"
#: Hexadecimal digits of a hash.
_HASH_DIGITS: Final = 32
#: Characters of a name before its hash, for people to see.
_STUB: Final = 8
#: What is ahead of labels that are made of Unicode (RFC 5890, 2.3.2.1).
_ACE: Final = "xn--"
_REMEMBERED: Final = 4096

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
#: as `legacy` has them: underscores are what is escaped
_LEGACY_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_PLAIN: Final = frozenset(string.ascii_lowercase + string.digits)
_LEGACY_PLAIN: Final = frozenset(string.ascii_lowercase + string.digits + "-.%")


def is_label(text: str) -> bool:
    """Whether *text* can be one label of a host's name, in lower case; all digits would look like an address."""
    return _LABEL.fullmatch(text) is not None and not text.isdigit()


@lru_cache(maxsize=_REMEMBERED)
def idna_label(name: str, kind: Kind) -> str:
    """The label of *name*: itself if it can be, its A-label if it has one, else hashed."""
    suffix = "" if kind == "user" else _SERVICE_SUFFIX
    longest = MAX_LABEL - len(suffix)
    # Two hyphens are in what is made here, and so in no name that stays as it is.
    if "--" not in name:
        if len(name) <= longest and is_label(name):
            return name + suffix
        encoded = _a_label(name) if not suffix else ""
        if encoded:
            return encoded
    return _hashed(name) + suffix


@lru_cache(maxsize=_REMEMBERED)
def legacy_label(name: str, kind: Kind) -> str:
    """
    What JupyterHub had before version 5: names percent-encoded with `_` for `%`, dots left alone; all services at one.

    What could not be a host's name, or is somebody else's, is hashed.
    """
    if kind == "service":
        return _SERVICES
    escaped = "".join(
        char if char in _LEGACY_PLAIN else f"%{ord(char):x}" for char in quote(name, safe="").lower()
    ).replace("%", "_")
    parts = escaped.split(".")
    can_be = len(escaped) <= MAX_LABEL and all(map(_LEGACY_LABEL.fullmatch, parts)) and not parts[-1].isdigit()
    is_free = "--" not in escaped and parts[-1] != _SERVICES and name == name.lower()
    return escaped if can_be and is_free else _hashed(name)


def host_of(name: str, domain: str, kind: Kind, hook: str | Hook) -> str:
    """
    The host name of a user's servers, or of a service.

    Args:
        name: whose.
        domain: the hub's host name.
        kind: `user` or `service`.
        hook: `idna`, `legacy`, or an administrator's own.
    """
    if callable(hook):
        made = hook(name, domain, kind)
        # What is not below the hub's own name is none of this deployment's: nobody would be sent there.
        if isinstance(made, str) and is_below(made, domain) and _is_host(made.lower()):
            return made.lower()
        return f"{idna_label(name, kind)}.{domain}"
    label = legacy_label(name, kind) if hook == LEGACY else idna_label(name, kind)
    return f"{label}.{domain}"


def is_below(host: str, domain: str) -> bool:
    """Whether *host* is some host below *domain*, and not that itself; case does not count."""
    return host.lower().endswith(f".{domain}")


def _is_host(host: str) -> bool:
    return len(host) <= MAX_HOST and all(map(_LEGACY_LABEL.fullmatch, host.split(".")))


def _a_label(name: str) -> str:
    """Its A-label (RFC 5891); empty if it has none. One to one: nothing is mapped first, as IDNA 2003 does."""
    try:
        encoded = idna.encode(name).decode("ascii")
    except ValueError:
        return ""
    return encoded if encoded.startswith(_ACE) and is_label(encoded) else ""


def _hashed(name: str) -> str:
    """Always a label, and longer names of the same beginning have others."""
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    # Never two hyphens in the third and fourth place, which is where Unicode's would be.
    stub = "".join(char for char in name.lower() if char in _PLAIN)[:_STUB] or "x"
    return f"u-{stub}--{digits}"
