"""
Who is at which origin; without subdomains everything is a path, as it always was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.config.settings import HubSettings, Paths
from perijove.hub.domain.origins import ONE_ORIGIN, Origins, origins_of

SPLIT = Origins(hub="https://hub.example:8443", domain="hub.example")


def configured(**changes: Any) -> Origins:
    paths = Paths(state=Path("state"), runtime=Path("run"))
    return origins_of(HubSettings(api_url="", db_url="", paths=paths, control_token="", **changes))


def test_without_subdomains_servers_and_services_are_paths() -> None:
    origins = configured(public_url="https://hub.example/jupyter/")

    assert origins.server("/jupyter/", "ada", "work") == "/jupyter/user/ada/work/"
    assert origins.service("/jupyter/", "grades") == "/jupyter/services/grades/"
    assert origins.server_route("/jupyter/", "ada", "") == "/jupyter/user/ada"
    assert origins.service_route("/jupyter/", "grades") == "/jupyter/services/grades"
    assert (origins.of_user("ada"), origins.of_service("x"), origins.everybody) == ("", "", "")
    assert origins.public("/jupyter/hub/") == "https://hub.example/jupyter/hub/"
    assert not origins.are_many


def test_of_a_hub_that_nobody_knows_nothing_is_public() -> None:
    assert configured() == ONE_ORIGIN
    assert ONE_ORIGIN.public("/user/ada/") == ""
    assert not ONE_ORIGIN.is_elsewhere("ada.hub.example")


def test_with_subdomains_everybody_has_an_origin() -> None:
    origins = configured(subdomain_host="https://hub.example:8443", public_url="https://hub.example:8443/")

    assert origins == SPLIT
    assert origins.server("/", "ada", "") == "https://ada.hub.example:8443/user/ada/"
    assert origins.service("/", "grades") == "https://grades--service.hub.example:8443/services/grades/"
    assert origins.server_route("/", "ada", "work") == "/ada.hub.example/user/ada/work"
    assert origins.service_route("/", "grades") == "/grades--service.hub.example/services/grades"
    assert origins.everybody == "https://*.hub.example:8443"
    assert origins.public(origins.server("/", "ada", "")) == "https://ada.hub.example:8443/user/ada/"
    assert origins.public("/hub/") == "https://hub.example:8443/hub/"


def test_the_port_that_a_scheme_has_anyway_is_left_out() -> None:
    assert configured(subdomain_host="https://hub.example").of_user("ada") == "https://ada.hub.example"
    assert configured(subdomain_host="http://hub.localhost:80").of_user("ada") == "http://ada.hub.localhost"


def test_a_hook_is_asked() -> None:
    origins = Origins(hub="https://hub.example", domain="hub.example", hook="legacy")

    assert origins.host_of("a.b", "user") == "a.b.hub.example"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("ada.hub.example", True), ("ADA.hub.example:8443", True), ("ada.hub.example.", True), ("hub.example", False),
     ("hub.example:8443", False), ("HUB.example.", False), ("127.0.0.1:8000", False), ("", False),
     ("xhub.example", False), ("a.b.hub.example:1", True)],
)  # fmt: skip
def test_somebody_s_host_is_known_however_it_is_written(host: str, *, expected: bool) -> None:
    assert SPLIT.is_elsewhere(host) is expected


@pytest.mark.parametrize(
    ("host", "expected"),
    [("ada.hub.example", True), ("ADA.hub.example.:8443", True), ("bea.hub.example", False), ("hub.example", False)],
)
def test_a_request_is_at_one_host(host: str, *, expected: bool) -> None:
    assert SPLIT.is_at(host, SPLIT.host_of("ada", "user")) is expected
    assert not ONE_ORIGIN.is_at(host, ONE_ORIGIN.host_of("ada", "user"))


@pytest.mark.parametrize(
    ("scheme", "netloc"),
    [("https", "hub.example:8443"), ("https", "ada.hub.example:8443"), ("https", "ADA.Hub.example:8443"),
     ("https", "a.b.hub.example:8443")],
)  # fmt: skip
def test_the_hub_s_origin_and_those_below_are_ours(scheme: str, netloc: str) -> None:
    assert SPLIT.owns(scheme, netloc)


@pytest.mark.parametrize(
    ("scheme", "netloc"),
    [
        ("http", "ada.hub.example:8443"),
        ("https", "ada.hub.example"),
        ("https", "ada.hub.example:443"),
        ("https", "ada.hub.example:08443x"),
        ("https", "xhub.example:8443"),
        ("https", "hub.example.evil.example:8443"),
        ("https", ".hub.example:8443"),
        ("https", "ada..hub.example:8443"),
        ("https", "evil.example:8443@ada.hub.example:8443"),
        ("https", "ada.hub.example:8443@evil.example"),
        ("https", "evil.example%2f.hub.example:8443"),
        ("https", "evil.example/.hub.example:8443"),
        ("https", "evil.example\\.hub.example:8443"),
        ("https", "evil.example#.hub.example:8443"),
        ("https", "evil.example?.hub.example:8443"),
        ("https", "evil。hub.example:8443"),
        ("https", "[::1].hub.example:8443"),
        ("https", "ada.hub.example:8443:8443"),
        ("https", ""),
        ("", "ada.hub.example:8443"),
        ("ftp", "ada.hub.example:8443"),
    ],
)
def test_no_other_origin_is(scheme: str, netloc: str) -> None:
    assert not SPLIT.owns(scheme, netloc)
    assert not ONE_ORIGIN.owns(scheme, netloc)


@given(st.text(alphabet=st.sampled_from("ahub.exmpl:8443@/\\?#%[]-_ \t"), max_size=40))
def test_whatever_is_ours_ends_with_our_name_and_port(netloc: str) -> None:
    if SPLIT.owns("https", netloc):
        assert netloc == "hub.example:8443" or netloc.endswith(".hub.example:8443")
