from __future__ import annotations

import pytest

from perijove.proxy.core.answers import Answer
from perijove.proxy.core.redirects import (
    Challenge,
    is_token,
    key_authorization,
    no_such_challenge,
    reply_to,
)
from perijove.proxy.core.requests import FieldsMemo, RequestHead, read_request


def asked(target: str = "/", *, method: str = "GET", host: str = "hub.example.org") -> RequestHead:
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"
    return read_request(head.encode(), FieldsMemo(limit=0))


def answered(request: RequestHead, *, port: int = 443, has_certificate: bool = True) -> Answer:
    reply = reply_to(request, port=port, has_certificate=has_certificate)
    assert isinstance(reply, Answer)
    return reply


@pytest.mark.parametrize(
    ("host", "port", "location"),
    [
        ("hub.example.org", 443, "https://hub.example.org/a?b=c"),
        ("hub.example.org:80", 443, "https://hub.example.org/a?b=c"),
        ("hub.example.org:8080", 8443, "https://hub.example.org:8443/a?b=c"),
        ("192.0.2.1", 443, "https://192.0.2.1/a?b=c"),
        ("[2001:db8::1]:80", 8443, "https://[2001:db8::1]:8443/a?b=c"),
        ("localhost", 443, "https://localhost/a?b=c"),
    ],
)
def test_a_request_is_sent_to_the_same_address_by_https(host: str, port: int, location: str) -> None:
    answer = answered(asked("/a?b=c", host=host), port=port)

    assert answer.fields == f"Location: {location}\r\n".encode()


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("OPTIONS", 308)]
)
def test_what_is_no_plain_get_keeps_its_method_and_body(method: str, status: int) -> None:
    assert answered(asked(method=method)).status == status


@pytest.mark.parametrize(
    "host",
    [
        "a%2eb", "a..b", "-a.org", "a.org-", ".a.org", "a.org:", "a.org:x", "a.org:123456",
        "[::1", "[::g]", "[1.2.3.4]", "[fe80::1%25eth0]", "a,b", "(a)", "a;b", ".".join(["a" * 60] * 5), "a" * 64,
    ],
)  # fmt: skip
def test_a_host_that_is_not_plainly_one_is_refused(host: str) -> None:
    """
    What a browser would read differently from us could send people elsewhere.
    """
    answer = answered(asked(host=host))

    assert answer.status == 400
    assert b"Location" not in answer.fields


@pytest.mark.parametrize("target", ["//evil.org/", "/\\evil.org", "/@evil.org", "/%0d%0aLocation:%20x"])
def test_nothing_in_the_path_can_change_the_host(target: str) -> None:
    answer = answered(asked(target))

    assert answer.fields == f"Location: https://hub.example.org{target}\r\n".encode()


def test_without_a_certificate_nobody_is_sent_to_where_nothing_answers() -> None:
    answer = answered(asked(), has_certificate=False)

    assert answer.status == 503
    assert answer.fields.startswith(b"Retry-After: ")


@pytest.mark.parametrize("has_certificate", [True, False])
def test_a_challenge_is_recognised_whatever_the_host(*, has_certificate: bool) -> None:
    request = asked("/.well-known/acme-challenge/aZ_-09", host="a..b")

    assert reply_to(request, port=443, has_certificate=has_certificate) == Challenge(token="aZ_-09")


@pytest.mark.parametrize("token", ["", "a/b", "..", "a.b", "%61", "a" * 129])
def test_what_is_no_token_is_never_a_files_name(token: str) -> None:
    reply = answered(asked(f"/.well-known/acme-challenge/{token}"))

    assert not is_token(token)
    assert reply == no_such_challenge()
    assert reply.status == 404


def test_the_answer_to_a_challenge_is_its_text_alone() -> None:
    answer = key_authorization(b"token.thumbprint")

    assert (answer.status, answer.body) == (200, b"token.thumbprint")
