from __future__ import annotations

import pytest

from perijove.proxy.core.passing import Passing, added_lines, rewritten
from perijove.proxy.core.requests import FieldsMemo, RequestFields, read_request
from perijove.proxy.core.routes import Entry


def entry(path: str = "/user/ada", target: str = "http://192.0.2.1:8888/base") -> Entry:
    return Entry(path=path, body={"target": target, "access": "open"}, last_activity=0.0)


def fields(*lines: bytes) -> RequestFields:
    head = b"\r\n".join([b"GET / HTTP/1.1", b"Host: hub.example.org:8000", *lines, b"", b""])
    return read_request(head, FieldsMemo()).fields


def added(passing: Passing, *lines: bytes, peer: str = "192.0.2.9", identity: bytes = b"") -> bytes:
    return added_lines(passing, fields(*lines), entry(), peer=peer, scheme=b"http", identity=identity)


@pytest.mark.parametrize(
    ("prepend", "include", "expected"),
    [
        (True, True, b"/base/user/ada/x%20y?q=1?2"),
        (False, True, b"/user/ada/x%20y?q=1?2"),
        (True, False, b"/base/x%20y?q=1?2"),
        (False, False, b"/x%20y?q=1?2"),
    ],
)
def test_prefixes_are_kept_stripped_and_put_in_front(prepend: bool, include: bool, expected: bytes) -> None:  # noqa: FBT001
    passing = Passing(prepend_path=prepend, include_prefix=include)

    assert rewritten(passing, b"/user/ada/x%20y?q=1?2", entry()) == expected


def test_the_default_route_has_nothing_to_strip() -> None:
    assert rewritten(Passing(include_prefix=False), b"/x?y", entry("/", "http://192.0.2.1:80")) == b"/x?y"


def test_forwarded_lines_of_strangers_are_replaced_and_of_the_trusted_kept() -> None:
    theirs = b"X-Forwarded-For: 1.2.3.4"

    assert b"X-Forwarded-For: 192.0.2.9\r\n" in added(Passing(), theirs)
    trusting = Passing(trusted_forwarders=frozenset({"192.0.2.9", "unix"}))
    assert b"X-Forwarded-For: 1.2.3.4,192.0.2.9\r\n" in added(trusting, theirs)
    assert b"X-Forwarded-For: 1.2.3.4\r\n" in added(trusting, theirs, peer="")
    assert added(Passing(x_forward=False), theirs) == theirs + b"\r\n"


def test_fields_of_the_administrators_own_replace_a_clients() -> None:
    passing = Passing(x_forward=False, fields=b"X-Forwarded-Host: mine\r\n")

    assert added(passing, b"X-Forwarded-Host: theirs") == b"X-Forwarded-Host: mine\r\n"


def test_the_origin_can_be_the_targets_own() -> None:
    assert added(Passing(x_forward=False, change_origin=True)) == b"Host: 192.0.2.1:8888\r\n"


def test_an_identity_comes_with_its_statement() -> None:
    assert added(Passing(x_forward=False), identity=b"abc") == b"X-Perijove-Identity: abc\r\n"
