from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from perijove.config.settings import HubSettings, Paths, ServerPolicy
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.usecases.environment import ServerEnvironment
from perijove.hub.usecases.testing import START, FakeSigner

SETTINGS = HubSettings(
    api_url="http://127.0.0.1:8081/hub/api",
    db_url="sqlite://",
    paths=Paths(state=Path("state"), runtime=Path("runtime")),
    control_token="control-secret",
)
USER = User(id=1, name="ada+x@example.org", admin=False, created=START)
SERVER = Server(id=2, user_id=1, user_name=USER.name, name="", state=State.LAUNCHING, generation=1, created=START)


def make(settings: HubSettings = SETTINGS, server: Server = SERVER) -> dict[str, str]:
    return ServerEnvironment(settings=settings, signer=FakeSigner(), lab_assets_url="/hub/lab-assets/abc").make(
        USER, server, "the-token", ["read:users!user"]
    )


def test_a_server_learns_what_the_contract_lists() -> None:
    access = '["access:servers!server=ada+x@example.org/", "access:servers!user=ada+x@example.org"]'

    assert make() == {
        "JUPYTERHUB_API_TOKEN": "the-token",
        "JPY_API_TOKEN": "the-token",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada%2Bx%40example.org",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
        "JUPYTERHUB_ACTIVITY_URL": "http://127.0.0.1:8081/hub/api/users/ada%2Bx@example.org/activity",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada%2Bx@example.org/",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": "/user/ada%2Bx@example.org/oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": access,
        "JUPYTERHUB_OAUTH_SCOPES": access,
        "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES": '["read:users!user"]',
        "JUPYTERHUB_USER": "ada+x@example.org",
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_ACTIVITY_INTERVAL": "300",
        "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED": "0",
        "JUPYTERHUB_PUBLIC_URL": "",
        "JUPYTERHUB_PUBLIC_HUB_URL": "",
        "JUPYTERHUB_DEFAULT_URL": "/lab",
        "PERIJOVE_IDENTITY_KEYS": json.dumps([{"kid": "key-1", "kty": "EC"}]),
        "PERIJOVE_AUDIENCE": "ada+x@example.org/",
        "PERIJOVE_LAB_ASSETS_URL": "/hub/lab-assets/abc",
    }


def test_a_named_server_below_a_prefix_with_a_public_address() -> None:
    settings = replace(
        SETTINGS,
        base_url="/jupyter/",
        public_url="https://hub.example/jupyter/",
        servers=ServerPolicy(default_url=""),
    )

    made = make(settings, replace(SERVER, name="work"))

    assert made["JUPYTERHUB_CLIENT_ID"].endswith("-work")
    assert made["JUPYTERHUB_SERVICE_PREFIX"] == "/jupyter/user/ada%2Bx@example.org/work/"
    assert made["JUPYTERHUB_PUBLIC_URL"] == "https://hub.example/jupyter/user/ada%2Bx@example.org/work/"
    assert made["JUPYTERHUB_PUBLIC_HUB_URL"] == "https://hub.example/jupyter/hub/"
    assert made["PERIJOVE_AUDIENCE"] == "ada+x@example.org/work"
    assert "JUPYTERHUB_DEFAULT_URL" not in made


def test_no_other_secret_of_the_hub_is_in_it() -> None:
    assert "control-secret" not in str(make())


def test_with_subdomains_a_server_learns_its_own_address_and_the_hub_s() -> None:
    settings = replace(SETTINGS, subdomain_host="https://hub.example:8443", public_url="https://hub.example:8443/")
    server = replace(SERVER, user_name="ada", name="work")

    made = ServerEnvironment(settings=settings, signer=FakeSigner(), lab_assets_url="/hub/lab-assets/abc").make(
        replace(USER, name="ada"), server, "the-token", []
    )

    own = "https://ada.hub.example:8443/user/ada/work/"
    assert made["JUPYTERHUB_HOST"] == "https://hub.example:8443"
    assert made["JUPYTERHUB_PUBLIC_URL"] == own
    assert made["JUPYTERHUB_PUBLIC_HUB_URL"] == "https://hub.example:8443/hub/"
    assert made["JUPYTERHUB_OAUTH_CALLBACK_URL"] == f"{own}oauth_callback"
    assert made["JUPYTERHUB_SERVICE_PREFIX"] == "/user/ada/work/"
    assert made["JUPYTERHUB_API_URL"] == "http://127.0.0.1:8081/hub/api"
    assert made["PERIJOVE_LAB_ASSETS_URL"] == "/hub/lab-assets/abc"
