from __future__ import annotations

from perijove.singleuser.environment import read
from perijove.singleuser.pages import ANNOUNCEMENTS, RIGHTS_OPTION, page_config
from perijove.singleuser.visitor import Visitor
from perijove.wire.identity import FULL_ACCESS

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


def test_a_page_says_who_visits_and_what_they_may() -> None:
    bob = Visitor(username="bob", scopes=("read",))

    config = page_config(CONFIG, app="lab", given={"terminalsAvailable": True}, visitor=bob)

    assert (config["hubUser"], config["hubServerUser"]) == ("bob", "ada")
    assert (config[RIGHTS_OPTION], config["terminalsAvailable"]) == ("read", False)


def test_whoever_may_run_code_has_terminals() -> None:
    config = page_config(
        CONFIG, app="lab", given={"terminalsAvailable": True}, visitor=Visitor(username="ada", scopes=FULL_ACCESS)
    )

    assert (config[RIGHTS_OPTION], config["terminalsAvailable"]) == ("read write execute", True)
