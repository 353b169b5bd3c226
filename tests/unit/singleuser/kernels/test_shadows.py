from __future__ import annotations

from perijove.singleuser.kernels.shadows import in_order, shadowed


def test_a_users_own_version_of_what_is_imported_is_seen() -> None:
    assert shadowed(frozenset({"numpy", "mine"}), ["sys", "numpy.linalg"]) == {"numpy"}


def test_a_package_that_nobody_has_imported_shadows_nothing() -> None:
    assert not shadowed(frozenset({"mine"}), ["sys", "numpy"])


def test_what_every_interpreter_runs_at_its_start_needs_a_start() -> None:
    assert shadowed(frozenset({"usercustomize"}), ["sys"])


def test_a_users_packages_come_before_those_of_the_system() -> None:
    path = ["/usr/lib/python311.zip", "/usr/lib/python3.11", "/env/site-packages", "/home/ada/own"]

    assert in_order(path, ["/home/ada/own"]) == [
        "/usr/lib/python311.zip",
        "/usr/lib/python3.11",
        "/home/ada/own",
        "/env/site-packages",
    ]
