"""
The real `jupyterhub-idle-culler`, unmodified, in its own environment: what twenty years of deployments have running.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.rest import Rest
from tests.support.site import Site, eventually, unstarted_site

PEER = os.environ.get("PERIJOVE_TEST_PEER", "")
pytestmark = [
    pytest.mark.skipif(not PEER, reason="JupyterHub is not here: PERIJOVE_TEST_PEER=$(script/environment peer)"),
    pytest.mark.timeout(180),
]
TOKEN = "token-of-the-idle-culler"
SCRIPT = "token-of-the-script"
#: the scopes are those of its own documentation
SETTINGS = f"""
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Perijove.activity_interval = 1
c.JupyterHub.services = [
    {{"name": "idle-culler", "api_token": "{TOKEN}"}},
    {{"name": "script", "api_token": "{SCRIPT}"}},
]
c.JupyterHub.load_roles = [
    {{"name": "culling", "services": ["idle-culler"],
      "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers", "admin:users"]}},
    {{"name": "script", "services": ["script"], "scopes": ["admin:users", "admin:servers", "access:servers"]}},
]
"""


@pytest.fixture
def site() -> Iterator[Site]:
    with unstarted_site(SETTINGS) as made:
        made.start()
        yield made


@contextmanager
def culler(site: Site, folder: Path, *words: str) -> Iterator[Path]:
    said = folder / "culler.log"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [f"{PEER}/bin/python", "-m", "jupyterhub_idle_culler", f"--url={site.origin}/hub/api", *words],
            env={"PATH": os.environ["PATH"], "JUPYTERHUB_API_TOKEN": TOKEN, "JUPYTERHUB_BASE_URL": "/"},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            yield said
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_idle_servers_and_then_their_users_are_culled(site: Site, tmp_path: Path) -> None:
    with Rest(site, SCRIPT) as rest:
        for name in ("ada", "bob"):
            rest.user(name)
        rest.start("ada")

        with culler(site, tmp_path, "--timeout=3", "--cull-every=1", "--cull-users=true") as said:
            eventually(lambda: {user["name"] for user in rest("GET", "/hub/api/users").json()} == set())

        assert site.records("ada") == []
        words = said.read_text()
    assert "Culling server ada" in words
    assert "Culling user ada" in words
    assert "Traceback" not in words
