"""
Services that the hub runs: as users of their own, with a token that works, alive through everything but the end.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.support.site import Site, eventually, free_port, unstarted_site

pytestmark = pytest.mark.timeout(180)
#: answers with what it knows of itself
PROGRAM = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"environ": dict(os.environ), "cwd": os.getcwd(), "uid": os.getuid(), "pid": os.getpid(),
                           "fds": sorted(os.listdir("/proc/self/fd"))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Service:
    """The one of this deployment."""

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        self.port = port

    def says(self) -> dict[str, Any]:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/services/echo/about", trust_env=False, timeout=5)
        assert answer.status_code == 200
        said: dict[str, Any] = answer.json()
        return said

    def pid(self) -> int:
        return int(eventually(self.says)["pid"])


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    port = free_port()
    declared = {
        "name": "echo",
        "url": f"http://127.0.0.1:{port}",
        "command": [sys.executable, "-c", PROGRAM, str(port)],
        "cwd": "/usr",
        "environment": {"COLOUR": "blue"},
    }
    roles = [{"name": "counting", "scopes": ["list:users"], "services": ["echo"]}]
    settings = f"c.Perijove.services = {[declared]!r}\nc.Perijove.load_roles = {roles!r}\n"
    with unstarted_site(f"{settings}c.Perijove.cleanup_servers = True\n") as site:
        site.start()
        yield Service(site, port)


def test_it_runs_where_and_as_whom_it_should_with_a_token_that_works(service: Service) -> None:
    said = eventually(service.says)

    environ = said["environ"]
    token = {"Authorization": f"token {environ['JUPYTERHUB_API_TOKEN']}"}
    me = httpx.get(f"{environ['JUPYTERHUB_API_URL']}/user", headers=token, trust_env=False).json()
    assert (me["kind"], me["name"], me["scopes"]) == ("service", "echo", ["list:users", "read:users:name"])
    assert (environ["COLOUR"], said["cwd"]) == ("blue", "/usr")
    assert environ["JUPYTERHUB_SERVICE_URL"] == f"http://127.0.0.1:{service.port}"
    if os.getuid() == 0:
        hub = service.site.part("hub").uids().real
        assert said["uid"] not in {0, hub}


def test_it_is_given_no_descriptor_that_is_not_its_own(service: Service) -> None:
    pid = service.pid()

    open_files = [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert [name for name in open_files if str(service.site.folder) in name and not name.endswith(".log")] == []
    # Its own socket, and at most the request that is answered.
    assert len([name for name in open_files if name.startswith("socket:")]) <= 2


def test_its_end_is_not_for_long_and_that_of_the_hub_is_none_of_its_business(service: Service) -> None:
    first = service.pid()
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: service.pid() != first and service.pid())

    old = service.site.kill_part("hub")
    service.site.wait_for_new_part("hub", old)
    eventually(lambda: httpx.get(f"{service.site.origin}/hub/api/", trust_env=False).status_code == 200)

    assert service.pid() == second
    assert "service.exited" in service.site.output


def test_it_ends_with_the_deployment_in_order(service: Service) -> None:
    pid = service.pid()

    assert service.site.interrupt() == 0

    assert not psutil.pid_exists(pid)
