"""
The shape of an HTTP/1.1 head: strict patterns for requests and responses.

What the patterns refuse: bare CR or LF, NUL and other control characters, folded lines, a space before the
colon, names that are no tokens, absolute-form and asterisk-form targets, fragments, empty lines in front.
Some of that is legal and never sent; being strict means that nobody behind us can read a head differently.
What the fields mean is `requests` and `responses`.
"""

from __future__ import annotations

import re
from typing import Final

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.limits import Limit, Limits

_DEFAULTS: Final = Limits()
#: A head, all of it, unless told otherwise.
MAX_HEAD: Final = _DEFAULTS.head
#: Likewise the request line; longer is 414.
MAX_LINE: Final = _DEFAULTS.line
#: Likewise fields in one head; more is 431.
MAX_FIELDS: Final = _DEFAULTS.fields
END_OF_HEAD: Final = b"\r\n\r\n"

_LINES: Final = rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+"
#: method, target, minor version
REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) (/[!\"$-~]*+) HTTP/1\.([01])")
#: the fields of a request, each with its CRLF
FIELDS: Final = re.compile(_LINES)
#: minor version, status, reason, fields
RESPONSE: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2})((?: [\t\x20-\x7e\x80-\xff]*+)?)\r\n(" + _LINES + rb")\r\n"
)
#: RFC 9110 section 8.6, and 15 digits are a petabyte
LENGTH: Final = re.compile(rb"[0-9]{1,15}")

#: RFC 9110 section 7.6.1: meant for the next hop only. `Proxy-*` is dropped by prefix.
HOP_BY_HOP: Final = frozenset({b"connection", b"keep-alive", b"te", b"trailer", b"upgrade"})
#: Fields that `Connection` may not name: removing one would change what the request is.
PROTECTED: Final = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
        b"cookie",
        b"authorization",
        b"origin",
    }
)


def split_fields(block: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """The fields of a matched *block* as (lower-case name, stripped value, line as sent without CRLF)."""
    fields = []
    for line in block.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name.lower(), value.strip(b" \t"), line))
    return fields


def list_items(values: list[bytes]) -> set[bytes]:
    """The lower-case items of a comma-separated field (RFC 9110 section 5.6.1)."""
    return {item.strip(b" \t").lower() for value in values for item in value.split(b",")} - {b""}


def dropped_with(connection: set[bytes]) -> frozenset[bytes]:
    """The names that end at this hop, given the items of `Connection`."""
    return HOP_BY_HOP | (connection - PROTECTED)


def check_head_size(data: bytes | bytearray, end: int, max_line: int = MAX_LINE, max_head: int = MAX_HEAD) -> None:
    """
    Refuse a request head that is too large, complete (*end* is behind it) or not (*end* is -1).

    Raises:
        BadRequest: 414 or 431.
    """
    line_end = data.find(b"\r\n", 0, max_line + 2)
    if line_end < 0 and len(data) > max_line:
        raise BadRequest("The address is too long.", status=414, limit=Limit.LINE)
    if (end if end >= 0 else len(data)) > max_head:
        raise BadRequest("The head of the request is too large.", status=431, limit=Limit.HEAD)
