from __future__ import annotations

from datetime import UTC, datetime

import pytest
from starlette.requests import HTTPConnection
from starlette.responses import Response

from perijove.hub.domain.sessions import Session
from perijove.hub.web.errors import TwinCookies
from perijove.hub.web.sessions import Cookies

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = Session(id="s1", user_id=1, secret_hash="h", created=NOW, last_seen=NOW, expires_at=NOW)


def cookies() -> Cookies:
    return Cookies(base_url="/", hub_prefix="/hub/", session_days=14)


def connection(*, tls: bool, cookie: str = "") -> HTTPConnection:
    headers = [(b"x-forwarded-proto", b"https" if tls else b"http"), (b"cookie", cookie.encode())]
    return HTTPConnection({"type": "http", "client": None, "headers": headers, "scheme": "http", "path": "/"})


def sign_in(*, tls: bool) -> list[str]:
    response = Response()
    cookies().put_session(connection(tls=tls), response, SESSION, "secret")
    return response.headers.getlist("set-cookie")


def test_the_sign_in_cookie_is_out_of_reach_of_scripts_and_servers() -> None:
    first = sign_in(tls=False)[0]

    assert first.startswith("jupyterhub-hub-login=secret;")
    assert "HttpOnly" in first
    assert "Path=/hub/" in first
    assert "SameSite=lax" in first


def test_over_tls_the_sign_in_cookie_is_bound_to_the_host() -> None:
    first = sign_in(tls=True)[0]

    assert first.startswith("__Host-jupyterhub-hub-login=secret;")
    assert "Secure" in first
    assert "Path=/;" in first
    assert "Domain" not in first


def test_a_public_url_with_tls_makes_every_cookie_secure() -> None:
    """
    The TLS proxy in front may not say by what browsers come to it.
    """
    response = Response()
    told = Cookies(base_url="/", hub_prefix="/hub/", session_days=14, always_tls=True)
    told.put_session(connection(tls=False), response, SESSION, "secret")

    assert response.headers.getlist("set-cookie")[0].startswith("__Host-jupyterhub-hub-login=secret;")
    assert told.secret(connection(tls=False, cookie="__Host-jupyterhub-hub-login=secret")) == "secret"


def test_over_tls_a_cookie_without_the_prefix_signs_nobody_in() -> None:
    """
    A sibling domain could have planted it.
    """
    assert cookies().secret(connection(tls=True, cookie="jupyterhub-hub-login=planted")) == ""


@pytest.mark.parametrize("name", ["jupyterhub-hub-login", "perijove-visitor"])
def test_of_two_cookies_none_is_believed(name: str) -> None:
    """
    Script of a user's server can plant one at a path of its choice, and so decide which comes first.
    """
    twins = connection(tls=False, cookie=f"{name}=planted; other=1; {name}=true")
    read = cookies().secret if name == "jupyterhub-hub-login" else cookies().visitor

    with pytest.raises(TwinCookies):
        read(twins)


def test_one_cookie_sent_twice_is_one() -> None:
    assert cookies().secret(connection(tls=False, cookie="jupyterhub-hub-login=x; jupyterhub-hub-login=x")) == "x"


def test_twins_are_removed_wherever_they_were_planted() -> None:
    response = Response()
    scope: dict[str, object] = {
        "type": "http",
        "client": None,
        "headers": [],
        "scheme": "http",
        "path": "/hub/people",
        "query_string": b"",
    }
    cookies().drop_twins(HTTPConnection(scope), response)

    lines = [line for line in response.headers.getlist("set-cookie") if line.startswith("jupyterhub-hub-login=")]
    paths = {line.partition("Path=")[2].partition(";")[0] for line in lines}

    assert paths == {"/", "/hub", "/hub/", "/hub/people", "/hub/people/"}
    assert all("Max-Age=0" in line for line in lines)


def test_no_script_can_read_the_csrf_token() -> None:
    """
    The path of a cookie is no wall: script of the same origin reads it in a frame or after `history.pushState`.
    """
    response = Response()
    cookies().put_xsrf(connection(tls=False), response, "token")

    assert "HttpOnly" in response.headers["set-cookie"]


def test_signing_out_removes_what_signing_in_set() -> None:
    response = Response()
    cookies().drop_session(connection(tls=False), response)

    names = {line.split("=")[0] for line in response.headers.getlist("set-cookie")}

    assert names == {"jupyterhub-hub-login", "jupyterhub-session-id", "_xsrf"}


def test_with_subdomains_the_session_s_id_is_for_hosts_below_and_goes_as_it_came() -> None:
    """
    The sign-in cookie stays the hub's alone.
    """
    split = Cookies(base_url="/", hub_prefix="/hub/", session_days=14, always_tls=True, domain="hub.example")
    put, dropped = Response(), Response()
    split.put_session(connection(tls=True), put, SESSION, "secret")
    split.drop_session(connection(tls=True), dropped)

    for response in (put, dropped):
        domains = {
            line.partition("=")[0]: "Domain=hub.example" in line for line in response.headers.getlist("set-cookie")
        }
        assert domains["jupyterhub-session-id"]
        assert not domains["__Host-jupyterhub-hub-login"]


@pytest.mark.parametrize(("tls", "name"), [(False, "perijove-browser"), (True, "__Host-perijove-browser")])
def test_a_browser_is_known_by_one_cookie(*, tls: bool, name: str) -> None:
    assert cookies().browser(connection(tls=tls, cookie=f"{name}=x; {name}=x")) == "x"
    with pytest.raises(TwinCookies):
        cookies().browser(connection(tls=tls, cookie=f"{name}=x; {name}=planted"))


def test_over_tls_a_browser_is_not_known_by_what_a_sibling_could_plant() -> None:
    assert cookies().browser(connection(tls=True, cookie="perijove-browser=planted")) == ""


def test_with_subdomains_no_sibling_can_plant_whose_form_it_is() -> None:
    split = Cookies(base_url="/", hub_prefix="/hub/", session_days=14, always_tls=True, domain="hub.example")
    response = Response()
    split.put_visitor(connection(tls=True), response, "mine")
    sent = "perijove-visitor=planted; __Host-perijove-visitor=mine"

    (line,) = response.headers.getlist("set-cookie")
    assert line.startswith("__Host-perijove-visitor=mine;")
    assert "Path=/;" in line
    assert "Domain" not in line
    assert split.visitor(connection(tls=True, cookie=sent)) == "mine"
    assert split.visitor(connection(tls=True, cookie="perijove-visitor=planted")) == ""


def test_what_a_sibling_has_planted_is_removed_for_every_domain_that_it_could_be_for() -> None:
    split = Cookies(base_url="/", hub_prefix="/hub/", session_days=14, domain="hub.example.org")
    response = Response()
    split.drop_twins(connection(tls=False), response)
    lines = [line for line in response.headers.getlist("set-cookie") if line.startswith("perijove-visitor=")]

    assert {("Domain=hub.example.org" in line, "Domain=example.org" in line) for line in lines} == {
        (False, False),
        (True, False),
        (False, True),
    }
    assert not [line for line in lines if "Domain=org" in line]
