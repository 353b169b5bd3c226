"""
Contract i: where pages lead, and what they answer to those who may not see them.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.contract.hub.client import Hub


@pytest.mark.parametrize("path", ["/hub/home", "/hub/token", "/hub/spawn", "/hub/spawn/x?opt-a=1"])
def test_a_stranger_is_sent_to_sign_in_and_back(hub: Hub, path: str) -> None:
    answer = hub.page(path)

    target = urlsplit(answer.headers["location"])
    assert (answer.status_code, target.path) == (302, "/hub/login")
    assert parse_qs(target.query)["next"] == [path]


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/", 302, "/hub/"),
        ("/nowhere/at/all?a=1", 302, "/hub/nowhere/at/all?a=1"),
        ("/user/nobody", 301, "/user/nobody/"),
        ("/services/nothing", 301, "/services/nothing/"),
        ("/hub", 301, "/hub/"),
        ("/user/nobody/lab?a=1", 302, "/hub/user/nobody/lab?a=1"),
    ],
)
def test_an_address_leads_elsewhere(hub: Hub, path: str, status: int, location: str) -> None:
    answer = hub.page(path)

    assert (answer.status_code, answer.headers["location"]) == (status, location)


@pytest.mark.parametrize("path", ["/hub/home", "/hub/login", "/hub/spawn"])
def test_a_form_of_a_stranger_is_refused(hub: Hub, path: str) -> None:
    assert hub.page(path, method="POST").status_code == 403


def test_an_unknown_page_is_404_and_a_page(hub: Hub) -> None:
    answer = hub.page("/hub/nothing-here")

    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("code", [404, 503])
def test_the_page_of_an_error_is_no_error_itself(hub: Hub, code: int) -> None:
    answer = hub.page(f"/hub/error/{code}")

    assert answer.status_code == 200
    assert str(code) in answer.text


def test_a_server_that_does_not_run_is_424_for_programs(hub: Hub) -> None:
    name = hub.user("not-running")
    token = hub.token_of(name)

    for method in ("GET", "POST"):
        answer = hub.raw(
            method,
            f"/hub/user/{name}/api/kernels",
            headers={"Accept": "application/json", "Authorization": f"token {token}"},
        )
        assert answer.status_code == 424, method
        assert answer.json()["message"].startswith("JupyterHub server no longer running at ")


@pytest.mark.parametrize("path", ["/hub/login", "/hub/nothing-here", "/hub/error/503"])
def test_no_page_may_be_framed(hub: Hub, path: str) -> None:
    headers = hub.page(path).headers

    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "report-uri /hub/security/csp-report" in headers["content-security-policy"]
    assert "x-jupyterhub-version" in headers


def test_files_and_the_logo_are_everybody_s(hub: Hub) -> None:
    answer = hub.raw("GET", "/hub/logo", headers={})
    if answer.status_code == 302:
        answer = hub.raw("GET", answer.headers["location"], headers={})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("image/")


def test_a_report_of_a_stranger_is_refused(hub: Hub) -> None:
    assert hub.page("/hub/security/csp-report", method="POST").status_code in {302, 403}
