"""
What a service is told about where it and its hub are.
"""

from __future__ import annotations

from typing import Any

import pytest

from perijove.hub.domain.managed_services import ManagedService
from perijove.hub.domain.roles import Service
from perijove.hub.usecases.service_environment import ServiceEnvironment
from perijove.wire import environment as names
from tests.unit.hub.web.rig import make_settings

SPLIT = {"subdomain_host": "https://hub.example", "public_url": "https://hub.example/"}


def make(*, url: str = "http://127.0.0.1:9", redirect_uri: str = "", **settings: Any) -> dict[str, str]:
    declared = Service(name="grades", api_token_hash="x", url=url, oauth_redirect_uri=redirect_uri)
    managed = ManagedService(name="grades", command=("show",), token="secret", url=url)
    return ServiceEnvironment(make_settings(**settings), [declared]).make(managed)


def test_without_subdomains_a_service_is_a_path() -> None:
    made = make(public_url="https://hub.example/")

    assert made["JUPYTERHUB_HOST"] == ""
    assert made["JUPYTERHUB_PUBLIC_URL"] == "https://hub.example/services/grades/"
    assert made["JUPYTERHUB_OAUTH_CALLBACK_URL"] == "/services/grades/oauth_callback"


def test_nobody_knows_the_address_of_a_hub_that_says_none() -> None:
    made = make()

    assert (made["JUPYTERHUB_PUBLIC_URL"], made["JUPYTERHUB_PUBLIC_HUB_URL"]) == ("", "")


def test_with_subdomains_a_service_learns_its_own_address_and_the_hub_s() -> None:
    made = make(**SPLIT)

    own = "https://grades--service.hub.example/services/grades/"
    assert made["JUPYTERHUB_HOST"] == "https://hub.example"
    assert made["JUPYTERHUB_PUBLIC_URL"] == own
    assert made["JUPYTERHUB_PUBLIC_HUB_URL"] == "https://hub.example/hub/"
    assert made["JUPYTERHUB_OAUTH_CALLBACK_URL"] == f"{own}oauth_callback"
    assert made["JUPYTERHUB_SERVICE_PREFIX"] == "/services/grades/"


def test_where_it_says_itself_that_answers_go_is_kept() -> None:
    made = make(redirect_uri="https://elsewhere.example/cb", **SPLIT)

    assert made["JUPYTERHUB_OAUTH_CALLBACK_URL"] == "https://elsewhere.example/cb"


def test_a_service_without_an_address_has_none_to_tell() -> None:
    assert make(url="", **SPLIT)["JUPYTERHUB_PUBLIC_URL"] == ""


@pytest.mark.parametrize("is_gated", [True, False])
def test_only_a_guarded_service_is_told_how_to_check_who_comes(*, is_gated: bool) -> None:
    settings = make_settings()
    declared = Service(name="board", api_token_hash="x", url="http://10.0.0.9:80", is_gated=is_gated)

    variables = ServiceEnvironment(settings, [declared]).make(ManagedService(name="board", command=("board",)))

    found = (variables.get(names.AUDIENCE), variables.get(names.IDENTITY_KEYS_URL))
    assert found == (("/services/board", f"{settings.api_url}/identity-keys") if is_gated else (None, None))
