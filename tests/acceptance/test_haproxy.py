"""
A whole deployment with a haproxy in front: people get into their servers as they do without.
"""

from __future__ import annotations

import shutil

import httpx
import psutil
import pytest

from tests.support.rest import OPEN_HOUSE
from tests.support.site import eventually, running_site
from tests.support.visitor import Visitor

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(shutil.which("haproxy") is None, reason="haproxy is not installed (apt install haproxy)"),
]


def test_a_visitor_is_in_their_server_and_a_stranger_is_not() -> None:
    with running_site(f'{OPEN_HOUSE}\nc.Perijove.proxy_engine = "haproxy"\n') as site:
        with Visitor(site, "ada") as ada:
            ada.sign_in()
            # Until it has started, the hub shows how far it is.
            eventually(lambda: ada.get("/user/ada/lab").url.path == "/user/ada/lab")
            again = [ada.get("/user/ada/api/status") for _ in range(3)]
        stranger = httpx.get(f"{site.origin}/user/ada/api/status", trust_env=False)
        proxy = site.part("proxy")
        below = eventually(proxy.children)
        owners = {known.uids() for known in [proxy, *below]}
        site.kill_part("proxy")
        eventually(lambda: not any(known.is_running() and known.status() != psutil.STATUS_ZOMBIE for known in below))

    assert [answer.json()["kernels"] for answer in again] == [0, 0, 0]
    assert stranger.status_code == 403
    assert len(owners) == 1
