"""
What a stream of requests means to the proxy, by its own rules, without a connection.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.framing import BadFraming
from perijove.proxy.core.heads import END_OF_HEAD, check_head_size, split_fields
from perijove.proxy.core.paths import decode_path
from perijove.proxy.core.requests import FieldsMemo, read_request


@dataclass(frozen=True)
class View:
    """What somebody has read: (method, target, body) and the fields."""

    method: bytes
    target: bytes
    body: bytes
    fields: tuple[tuple[bytes, bytes], ...]


def as_the_proxy_reads(data: bytes, *, routed: bool = True) -> list[View]:
    """
    The complete requests in *data*, up to the one that is refused; *routed*: a path that names no route is, too.
    """
    found: list[View] = []
    memo = FieldsMemo()
    with suppress(BadRequest, BadFraming):
        while data:
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            check_head_size(data, end if end >= len(END_OF_HEAD) else -1)
            head = read_request(data[:end], memo)
            if routed:
                decode_path(head.path)
            frame = head.body_frame()
            stop = end if frame.done else frame.feed(data, end)
            if not frame.done:
                break
            raw = data[end:stop]
            rendered = head.render(target=head.target, gated=False, added=b"", to_hub=False)
            fields = tuple((name, value) for name, value, _ in split_fields(rendered.partition(b"\r\n")[2]))
            found.append(View(head.method, head.target, _content(raw) if head.fields.chunked else raw, fields))
            data = data[stop:]
            if head.fields.close or head.minor == 0:
                break
    return found


def _content(raw: bytes) -> bytes:
    content = b""
    while size := int(raw.partition(b"\r\n")[0].partition(b";")[0], 16):
        start = raw.index(b"\r\n") + 2
        content, raw = content + raw[start : start + size], raw[start + size + 2 :]
    return content
