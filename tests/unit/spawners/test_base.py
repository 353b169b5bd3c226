from __future__ import annotations

import pytest

from perijove.spawners.testing import FakeSpawner


@pytest.mark.parametrize(
    "cmd",
    [
        ["jupyterhub-singleuser"],
        ["/opt/env/bin/jupyterhub-singleuser", "--debug"],
        ["jupyter-labhub"],
        ["batchspawner-singleuser", "jupyterhub-singleuser"],
        ["start-singleuser.sh"],
        ["python3", "-m", "jupyterhub.singleuser"],
        ["/bin/sh", "-c", "exec jupyterhub-singleuser"],
    ],
)
def test_jupyterhubs_servers_sign_visitors_in_themselves(cmd: list[str]) -> None:
    assert FakeSpawner(cmd=cmd).does_own_sign_in
    assert not FakeSpawner(cmd=cmd, route_access="gated").does_own_sign_in


@pytest.mark.parametrize(
    "cmd",
    [[], ["code-server", "--auth", "none"], ["python3", "-m", "perijove.singleuser"], ["perijove-singleuser"]],
)
def test_whatever_else_is_started_is_behind_the_door(cmd: list[str]) -> None:
    """
    A program that nobody knows may ask nobody who they are.
    """
    assert not FakeSpawner(cmd=cmd).does_own_sign_in
    assert FakeSpawner(cmd=cmd, route_access="open").does_own_sign_in
