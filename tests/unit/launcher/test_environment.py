from __future__ import annotations

from pathlib import Path
from typing import Any

from perijove.launcher.accounts import Account
from perijove.launcher.environment import server_environment
from perijove.wire.launcher import LaunchRequest

ACCOUNT = Account(name="ada", login="ada", uid=1001, gid=1001, groups=(1001,), home="/home/ada", shell="/bin/bash")


def at_port(port: int) -> dict[str, str]:
    fields: dict[str, Any] = {"key": "ada/", "generation": 1, "user": "ada", "server_name": ""}
    variables = {"JUPYTERHUB_SERVICE_PREFIX": "/user/ada/"}
    request = LaunchRequest(**fields, system_user="ada", create_user=True, home="", environment=variables)
    return server_environment(request, ACCOUNT, runtime=Path("/r"), socket=Path("/s"), marker="m", port=port)


def environment(**variables: str) -> dict[str, str]:
    fields: dict[str, Any] = {"key": "ada/", "generation": 1, "user": "ada", "server_name": ""}
    request = LaunchRequest(**fields, system_user="ada", create_user=True, home="", environment=variables)
    return server_environment(request, ACCOUNT, runtime=Path("/run/u/ada"), socket=Path("/run/s/x/s"), marker="m")


def test_who_and_where_a_server_is_cannot_be_overruled() -> None:
    made = environment(HOME="/root", USER="root", JUPYTER_RUNTIME_DIR="/tmp", JUPYTERHUB_SERVICE_PREFIX="/user/ada/")

    assert (made["HOME"], made["USER"], made["LOGNAME"], made["SHELL"]) == ("/home/ada", "ada", "ada", "/bin/bash")
    assert made["JUPYTER_RUNTIME_DIR"] == "/run/u/ada"
    assert made["JUPYTERHUB_SERVICE_URL"] == "http+unix://%2Frun%2Fs%2Fx%2Fs/user/ada/"


def test_path_and_language_are_defaults() -> None:
    assert (
        environment(PATH="/opt/bin", LANG="de_DE.UTF-8").items() >= {"PATH": "/opt/bin", "LANG": "de_DE.UTF-8"}.items()
    )
    assert environment()["LANG"] == "C.UTF-8"


def test_a_program_that_binds_its_own_port_is_told_which() -> None:
    assert at_port(4711)["JUPYTERHUB_SERVICE_URL"] == "http://127.0.0.1:4711/user/ada/"
