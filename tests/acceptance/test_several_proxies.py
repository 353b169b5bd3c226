"""
A second proxy in front of the same hub, as on another machine: it has every route, key and revocation, too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from perijove.wire.routes import unix_origin
from tests.support.rest import OPEN_HOUSE, Rest
from tests.support.site import PATIENCE, Site, eventually, free_port, unstarted_site

pytestmark = pytest.mark.timeout(180)
SECRET = "5ec3e7" * 8


class Second:
    """The other proxy."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.port, self.api_port = free_port(), free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.control = f"http://127.0.0.1:{self.api_port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Until the end of the block; it forgets everything then."""
        hub = unix_origin(str(self._site.runtime / "hub" / "hub.sock"))
        words = ["proxy", "--ip", "127.0.0.1", "--port", str(self.port)]
        words += ["--api-ip", "127.0.0.1", "--api-port", str(self.api_port), "--default-target", hub]
        words += ["--hub-url", f"{hub}/hub/", "--enter-path", "/hub/enter"]
        environ = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": SECRET}
        process = subprocess.Popen([sys.executable, "-P", "-m", "perijove", *words], env=environ, cwd="/")
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)

    def routes(self) -> set[str]:
        """What it serves."""
        headers = {"Authorization": f"token {SECRET}"}
        answer = httpx.get(f"{self.control}/api/routes", headers=headers, timeout=PATIENCE, trust_env=False)
        return set(answer.json())

    def status(self, path: str, rest: Rest) -> int:
        """Of a request through it."""
        url = f"{self.origin}{path}"
        return httpx.get(url, headers=rest.headers, timeout=PATIENCE, trust_env=False).status_code


@pytest.fixture
def deployment() -> Iterator[tuple[Site, Second]]:
    with unstarted_site(OPEN_HOUSE) as site:
        second = Second(site)
        own = unix_origin(str(site.runtime / "proxy" / "control.sock"))
        site.add(f"c.Perijove.proxy_api_urls = {[own, second.control]!r}")
        site.start(environ={"CONFIGPROXY_AUTH_TOKEN": SECRET})
        yield site, second


def test_every_proxy_serves_every_server_and_one_that_was_away_gets_all_when_it_is_back(
    deployment: tuple[Site, Second],
) -> None:
    site, second = deployment
    with Rest(site) as rest:
        for name in ("ada", "bob", "eve"):
            rest.user(name)
        # It is not there yet, which delays nobody.
        rest.start("ada")

        with second.running():
            eventually(lambda: second.routes() == {"/", "/user/ada"})
            rest.start("bob")
            assert second.status("/user/bob/api/status", rest) == 200
            assert second.status("/user/ada/api/status", rest) == 200
            assert second.status("/user/ada/api/status", Rest(site, "wrong" * 8)) == 403

        rest.stop("ada")
        rest.start("eve")

        with second.running():
            eventually(lambda: second.routes() == {"/", "/user/bob", "/user/eve"})
            assert second.status("/user/eve/api/status", rest) == 200
            rest.stop("bob")
            assert second.routes() == {"/", "/user/eve"}
    assert SECRET not in site.output
