from __future__ import annotations

import pytest

from perijove.config.hubs import contradictions_of_hubs, hub_name
from perijove.config.traits import Perijove

POSTGRES = "postgresql+psycopg://hub@db/perijove"


def test_several_hubs_need_a_database_that_several_may_write() -> None:
    assert list(contradictions_of_hubs(Perijove(hubs=1), "sqlite:////x")) == []
    assert list(contradictions_of_hubs(Perijove(hubs=2), POSTGRES)) == []
    assert [name for name, _ in contradictions_of_hubs(Perijove(hubs=2), "sqlite:////x")] == ["hubs"]


@pytest.mark.parametrize("url", ["http://10.0.0.1:8001", "https://proxy:8001", "http+unix://%2Frun%2Fx.sock"])
def test_addresses_of_hubs_and_proxies_are_origins(url: str) -> None:
    configured = Perijove(hub_urls=[url], proxy_api_urls=[url])

    assert list(contradictions_of_hubs(configured, POSTGRES)) == []


@pytest.mark.parametrize("url", ["10.0.0.1:8001", "ftp://proxy", "http://", "http://proxy/api", ""])
def test_what_is_no_origin_is_refused(url: str) -> None:
    configured = Perijove(hub_urls=[url], proxy_api_urls=[url])

    assert [name for name, _ in contradictions_of_hubs(configured, POSTGRES)] == ["hub_urls", "proxy_api_urls"]


def test_hubs_of_one_host_have_names_of_their_own() -> None:
    assert hub_name(Perijove(), host="lab", number=2) == "lab-2"
    assert hub_name(Perijove(hub_name="east"), host="lab", number=1) == "east-1"


def test_a_hubs_name_does_not_look_like_an_incarnation() -> None:
    assert [name for name, _ in contradictions_of_hubs(Perijove(hub_name="lab#2"), POSTGRES)] == ["hub_name"]
