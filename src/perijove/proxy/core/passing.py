"""
How a request is changed on its way, where an administrator may choose (contract section h).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from perijove.proxy.core.forwarding import forwarded_lines
from perijove.proxy.core.own_fields import names_in, without
from perijove.proxy.core.paths import drop_segments
from perijove.proxy.core.relocation import Relocation
from perijove.proxy.core.requests import RequestFields
from perijove.proxy.core.routes import Entry
from perijove.wire.identity import IDENTITY_HEADER

#: What a peer on a unix socket is called in `trusted_forwarders`.
UNIX_PEER: Final = "unix"
_HEADER: Final = IDENTITY_HEADER.encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passing:
    """How requests are changed on their way."""

    #: whether `X-Forwarded-*` lines are written
    x_forward: bool = True
    #: addresses whose own `X-Forwarded-*` lines are kept and appended to
    trusted_forwarders: frozenset[str] = frozenset()
    #: whether the path of a route's target is put in front
    prepend_path: bool = True
    #: whether the route's own path is part of what the server is asked
    include_prefix: bool = True
    #: whether the first segment of a route is a host name
    host_routing: bool = False
    #: field lines that every request gets, instead of a client's own of these names
    fields: bytes = b""
    #: whether `Host` is the target's own name rather than what the client asked for
    change_origin: bool = False
    #: what is rewritten in a server's redirects to itself
    relocation: Relocation = field(default_factory=Relocation)

    @property
    def replaced(self) -> frozenset[bytes]:
        """Names of fields that are not passed on as a client sends them."""
        return names_in(self.fields) | (frozenset({b"host"}) if self.change_origin else frozenset())


def rewritten(passing: Passing, target: bytes, entry: Entry) -> bytes:
    """What the server of *entry* is asked for in place of *target*."""
    if not passing.include_prefix and entry.depth:
        path, mark, query = target.partition(b"?")
        target = drop_segments(path, entry.depth) + mark + query
    if passing.prepend_path and entry.target.base:
        target = entry.target.base.encode("ascii") + target
    return target


def added_lines(
    passing: Passing, fields: RequestFields, entry: Entry, *, peer: str, scheme: bytes, identity: bytes
) -> bytes:
    """
    The lines that a request gets besides its own.

    Args:
        passing: what was chosen.
        fields: of the request.
        entry: its route.
        peer: address of the client; empty if it came through a unix socket.
        scheme: by which it came.
        identity: the statement that let it in; empty on open routes.
    """
    if passing.x_forward:
        trusted = (peer or UNIX_PEER) in passing.trusted_forwarders
        added = forwarded_lines(fields, peer=peer, trusted=trusted, scheme=scheme)
    else:
        added = fields.forwarded_lines
    if passing.fields:
        added = without(added, passing.replaced) + passing.fields
    if passing.change_origin:
        added += b"Host: %b\r\n" % entry.target.host_field
    return b"%b%b: %b\r\n" % (added, _HEADER, identity) if identity else added
