from __future__ import annotations

import json
import sys
from types import ModuleType

from perijove.singleuser.kernels.shadows import found_in, in_order, shadowed

SYSTEM = "/usr/lib/python3/dist-packages"
ENVIRONMENT = "/env/lib/site-packages"
IMPORTED = {"json": "/usr/lib/python3.11", "numpy": SYSTEM, "pandas": ENVIRONMENT}
AHEAD = ["/usr/lib/python3.11", ENVIRONMENT]


def test_a_users_own_version_of_what_is_imported_is_seen() -> None:
    assert shadowed(frozenset({"numpy", "mine"}), IMPORTED, AHEAD) == {"numpy"}


def test_what_is_found_before_the_users_packages_is_shadowed_by_none_of_them() -> None:
    """
    The standard library, and what a virtual environment has itself.
    """
    assert not shadowed(frozenset({"json", "pandas"}), IMPORTED, AHEAD)


def test_a_package_that_nobody_has_imported_shadows_nothing() -> None:
    assert not shadowed(frozenset({"mine"}), IMPORTED, AHEAD)


def test_what_every_interpreter_runs_at_its_start_needs_a_start() -> None:
    assert shadowed(frozenset({"usercustomize"}), IMPORTED, AHEAD)


def test_a_users_packages_come_before_those_of_the_system_and_after_those_of_an_environment() -> None:
    path = ["/usr/lib/python3.11", ENVIRONMENT, SYSTEM, "/home/ada/own"]

    assert in_order(path, ["/home/ada/own"], system=[SYSTEM]) == [
        "/usr/lib/python3.11",
        ENVIRONMENT,
        "/home/ada/own",
        SYSTEM,
    ]


def test_modules_are_known_by_the_folder_that_they_were_found_in() -> None:
    nowhere = ModuleType("nowhere")

    found = found_in({"json": json, "json.decoder": json.decoder, "sys": sys, "nowhere": nowhere})

    assert found == {"json": str(json.__path__[0]).removesuffix("/json")}
