"""
Fields that an administrator adds to every request (configurable-http-proxy's `--custom-header`).

They replace those of the same name that a client sends, so that servers can believe them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from perijove.proxy.core.errors import UnusableSettings
from perijove.proxy.core.heads import HOP_BY_HOP, split_fields
from perijove.wire.identity import IDENTITY_HEADER

_FIELD: Final = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*([\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)")
#: What would change where a request goes, where it ends, or in whose name it comes.
_REFUSED: Final = frozenset(
    {name.decode() for name in HOP_BY_HOP} | {"content-length", "transfer-encoding", "host", IDENTITY_HEADER.lower()}
)


def read_fields_to_add(texts: Iterable[str]) -> bytes:
    """
    The lines of fields given as `name: value`.

    Raises:
        UnusableSettings: one of them is no field, or must not be set like this.
    """
    lines = []
    for text in texts:
        match = _FIELD.fullmatch(text.strip(" \t"))
        if match is None:
            raise UnusableSettings("A custom header must look like name:value, without control characters.")
        if match[1].lower() in _REFUSED or match[1].lower().startswith("proxy-"):
            raise UnusableSettings(f"{match[1]} cannot be set as a custom header: the proxy writes it itself.")
        lines.append(f"{match[1]}: {match[2]}\r\n")
    return "".join(lines).encode("ascii")


def names_in(lines: bytes) -> frozenset[bytes]:
    """The lower-case names of the fields in *lines*."""
    return frozenset(name for name, _, _ in split_fields(lines))


def without(lines: bytes, names: frozenset[bytes]) -> bytes:
    """*lines* without the fields called *names*."""
    return b"".join(line + b"\r\n" for name, _, line in split_fields(lines) if name not in names)
