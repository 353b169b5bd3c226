from __future__ import annotations

from starlette.requests import HTTPConnection

from perijove.hub.web.client_address import address_of, is_tls


def connection(client: tuple[str, int] | None, **headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "client": client, "headers": raw, "scheme": "http", "path": "/"})


def test_over_the_unix_socket_the_proxy_is_believed() -> None:
    proxied = connection(None, x_forwarded_for="10.0.0.9", x_forwarded_proto="https")

    assert address_of(proxied) == "10.0.0.9"
    assert is_tls(proxied)


def test_what_the_browser_itself_wrote_into_the_header_does_not_count() -> None:
    """
    Otherwise the limit of attempts per address could be walked around.
    """
    assert address_of(connection(None, x_forwarded_for="1.2.3.4,10.0.0.9")) == "10.0.0.9"


def test_over_tcp_the_header_is_ignored() -> None:
    direct = connection(("127.0.0.1", 4711), x_forwarded_for="10.0.0.9", x_forwarded_proto="https")

    assert address_of(direct) == "127.0.0.1"
    assert not is_tls(direct)


def test_the_address_behind_a_trusted_proxy_is_the_one_that_it_wrote() -> None:
    """
    Otherwise all who come through it would share one limit of attempts.
    """
    forwarded = connection(None, x_forwarded_for="1.2.3.4, 10.0.0.9,127.0.0.1")

    assert address_of(forwarded, {"127.0.0.1"}) == "10.0.0.9"
    assert address_of(connection(None, x_forwarded_for="127.0.0.1"), {"127.0.0.1"}) == "127.0.0.1"
