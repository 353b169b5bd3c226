from __future__ import annotations

from perijove.proxy.core.forwarding import forwarded_lines
from perijove.proxy.core.requests import read_fields


def lines(block: bytes, *, trusted: bool = False, peer: str = "10.0.0.9", scheme: bytes = b"http") -> dict[str, str]:
    rendered = forwarded_lines(read_fields(block), peer=peer, trusted=trusted, scheme=scheme)
    pairs = (line.split(": ", 1) for line in rendered.decode().split("\r\n")[:-1])
    return {name.removeprefix("X-Forwarded-"): value for name, value in pairs}


CLAIMED = (
    b"Host: hub:8000\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
    b"X-Forwarded-Port: 443\r\nX-Forwarded-Host: public.example\r\n"
)


def test_a_client_is_described_by_what_the_proxy_sees() -> None:
    assert lines(b"Host: hub:8000\r\n") == {
        "For": "10.0.0.9",
        "Port": "8000",
        "Proto": "http",
        "Host": "hub:8000",
    }


def test_what_a_client_claims_is_replaced() -> None:
    assert lines(CLAIMED) == lines(b"Host: hub:8000\r\n")


def test_what_a_trusted_forwarder_claims_is_appended_to() -> None:
    """
    With a comma and no space: servers take the first item.
    """
    assert lines(CLAIMED, trusted=True) == {
        "For": "1.2.3.4,10.0.0.9",
        "Port": "443,8000",
        "Proto": "https,http",
        "Host": "public.example",
    }


def test_without_a_port_the_schemes_own_counts() -> None:
    assert lines(b"Host: hub\r\n")["Port"] == "80"
    assert lines(b"Host: hub\r\n", scheme=b"https")["Port"] == "443"
    assert lines(b"Host: [::1]\r\n")["Port"] == "80"


def test_a_unix_socket_has_no_address_to_tell() -> None:
    assert "For" not in lines(b"Host: hub\r\n", peer="")
