from __future__ import annotations

import pytest

from perijove.proxy.core.confine import CONFINED, DROPPED, Fence

FENCE = Fence("/user/a%20b")


def cookie(value: bytes) -> bytes | None:
    return FENCE.confine(b"set-cookie", value, b"Set-Cookie: " + value)


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_what_speaks_for_the_whole_host_is_dropped(name: bytes) -> None:
    assert FENCE.confine(name, b"x", name + b": x") is None


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (b"a=b", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; Path=/", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; path=/user/a%20b/x; HttpOnly", b"Set-Cookie: a=b; HttpOnly; Path=/user/a%20b/x"),
        (b"a=b; Path=/user/a%20b", b"Set-Cookie: a=b; Path=/user/a%20b"),
        (b"a=b; Path=/user/a%20bc/", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; Path=/user/a%20b/../eve", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; Path=/user/a%20b/%2e%2e/eve", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; Path=/user/a%20b/; Path=/", b"Set-Cookie: a=b; Path=/user/a%20b/"),
        (b"a=b; Domain=example.org; Secure", b"Set-Cookie: a=b; Secure; Path=/user/a%20b/"),
        (b"a=b;DOMAIN = example.org;Max-Age=1", b"Set-Cookie: a=b;Max-Age=1; Path=/user/a%20b/"),
        (b"a=b; Path", b"Set-Cookie: a=b; Path=/user/a%20b/"),
    ],
)
def test_cookies_stay_below_the_servers_path(value: bytes, line: bytes) -> None:
    assert cookie(value) == line


@pytest.mark.parametrize(
    "value",
    [
        b"__Host-x=1; Path=/; Secure",
        b"__host-x=1",
        b"perijove-identity=x; Path=/user/a%20b/",
        b"jupyterhub-session-id=x",
        b" jupyterhub-hub-login =x",
        b"perijove-browser=x",
        b"__Host-perijove-browser=x",
        b"=perijove-identity=x",
        b"perijove-identity",
        b"",
    ],
)
def test_cookies_of_the_hub_cannot_be_planted(value: bytes) -> None:
    assert cookie(value) is None


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        (b"/user/a%20b/", True),
        (b"/user/a%20b/files/", True),
        (b"/", False),
        (b"/user/a%20b/../", False),
        (b"https://hub.example.org/", False),
        (b"../../", False),
        (b"/user/a%20b%2f..%2f..", False),
        (b"", False),
    ],
)
def test_a_service_worker_stays_below_the_servers_path(scope: bytes, kept: bool) -> None:  # noqa: FBT001  # parameter
    line = b"Service-Worker-Allowed: " + scope

    assert FENCE.confine(b"service-worker-allowed", scope, line) == (line if kept else None)


def test_all_confined_fields_are_known() -> None:
    assert {b"set-cookie", b"service-worker-allowed"} == CONFINED - DROPPED
