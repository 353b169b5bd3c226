from __future__ import annotations

from pathlib import Path

import pytest

from perijove.singleuser.environment import BadEnvironment, read

BASE = {
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    "JUPYTERHUB_USER": "ada",
    "JUPYTER_RUNTIME_DIR": "/run/ada",
    "HOME": "/home/ada",
}


def test_what_the_hub_does_not_say_has_a_safe_default() -> None:
    config = read(BASE)

    assert config.audience == "ada/"
    assert config.identity_keys == ()
    assert config.hub_prefix == "/hub/"
    assert config.default_url == "/lab"
    assert config.root_dir == Path("/home/ada")
    assert config.activity_interval == 300
    assert not config.disable_user_config


@pytest.mark.parametrize(
    ("activity", "name", "keep"),
    [
        ("http://h/hub/api/users/ada/activity", "", "http://h/hub/api/users/ada/server/keep"),
        ("http://h/hub/api/users/ada/activity", "a b", "http://h/hub/api/users/ada/servers/a%20b/keep"),
        ("", "", ""),
    ],
)
def test_more_time_is_asked_for_beside_where_activity_is_told(activity: str, name: str, keep: str) -> None:
    config = read({**BASE, "JUPYTERHUB_ACTIVITY_URL": activity, "JUPYTERHUB_SERVER_NAME": name})

    assert config.keep_url == keep


def test_paths_have_slashes_at_both_ends() -> None:
    config = read({**BASE, "JUPYTERHUB_SERVICE_PREFIX": "user/ada", "JUPYTERHUB_BASE_URL": "/nb"})

    assert (config.base_url, config.hub_prefix) == ("/user/ada/", "/nb/hub/")


@pytest.mark.parametrize(
    ("wanted", "found"), [("~", "/home/ada"), ("~/work", "/home/ada/work"), ("/srv", "/srv"), ("", "/home/ada")]
)
def test_the_root_directory_may_begin_at_home(wanted: str, found: str) -> None:
    assert read({**BASE, "JUPYTERHUB_ROOT_DIR": wanted}).root_dir == Path(found)


@pytest.mark.parametrize("missing", ["JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_USER", "JUPYTER_RUNTIME_DIR"])
def test_a_missing_variable_is_named(missing: str) -> None:
    with pytest.raises(BadEnvironment, match=missing):
        read({name: value for name, value in BASE.items() if name != missing})


def test_damaged_keys_are_an_error_and_not_an_open_door() -> None:
    with pytest.raises(BadEnvironment):
        read({**BASE, "PERIJOVE_IDENTITY_KEYS": "[{"})
