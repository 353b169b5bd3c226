"""
Behind another proxy, which speaks TLS: what it says is believed if the configuration names it, and only then.
"""

from __future__ import annotations

import httpx
import pytest

from tests.support.site import Site, running_site

pytestmark = pytest.mark.timeout(120)
FROM_TLS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
TRUSTED = 'c.Perijove.trusted_forwarders = {"127.0.0.1"}\n'


def cookies(site: Site) -> list[str]:
    answer = httpx.get(f"{site.origin}/hub/login", headers=FROM_TLS, trust_env=False)
    return answer.headers.get_list("set-cookie")


def refusals(site: Site) -> str:
    """Post a wrong password; what the log says of it."""
    with httpx.Client(base_url=site.origin, headers=FROM_TLS, trust_env=False) as browser:
        form = {"username": "ada", "password": "wrong", "_xsrf": _xsrf(browser.get("/hub/login").text)}
        own = {"Sec-Fetch-Site": "same-origin", "Origin": site.origin}
        # A secure cookie does not go over plain HTTP: the outer proxy would, so the test does it by hand.
        jar = "; ".join(f"{cookie.name}={cookie.value}" for cookie in browser.cookies.jar)
        browser.cookies.clear()
        browser.post("/hub/login", data=form, headers={**own, "Cookie": jar})
    return next(line for line in site.output.splitlines() if "sign_in.refused" in line)


def _xsrf(page: str) -> str:
    return page.partition('name="_xsrf" value="')[2].partition('"')[0]


def test_a_proxy_that_is_named_is_believed() -> None:
    with running_site(TRUSTED) as site:
        assert all("; Secure" in cookie for cookie in cookies(site))
        assert "address=203.0.113.7" in refusals(site)


def test_anybody_else_is_not() -> None:
    """
    Or everybody could pretend to be another address, and get as many attempts as they like.
    """
    with running_site() as site:
        assert not any("; Secure" in cookie for cookie in cookies(site))
        assert "address=127.0.0.1" in refusals(site)
