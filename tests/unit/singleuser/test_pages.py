from __future__ import annotations

from perijove.singleuser.environment import read
from perijove.singleuser.pages import ANNOUNCEMENTS, page_config

CONFIG = read(
    {
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/x/",
        "JUPYTERHUB_USER": "ada",
        "JUPYTERHUB_SERVER_NAME": "x",
        "JUPYTERHUB_HOST": "https://hub.example",
        "JUPYTER_RUNTIME_DIR": "/run/ada",
        "PERIJOVE_LAB_ASSETS_URL": "/hub/assets/",
    }
)


def test_no_token_of_the_server_reaches_a_page() -> None:
    assert page_config(CONFIG, app="lab", given={"token": "secret"})["token"] == ""


def test_what_an_administrator_disabled_stays_disabled() -> None:
    disabled = page_config(CONFIG, app="lab", given={"disabledExtensions": ["a:b"]})["disabledExtensions"]

    assert disabled == ["a:b", ANNOUNCEMENTS]


def test_only_the_app_whose_assets_are_shared_looks_for_them_there() -> None:
    given = {"fullStaticUrl": "/own"}

    assert page_config(CONFIG, app="lab", given=given)["fullStaticUrl"] == "/hub/assets"
    assert page_config(CONFIG, app="notebook", given=given)["fullStaticUrl"] == "/own"
