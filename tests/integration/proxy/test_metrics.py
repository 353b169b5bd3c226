"""
What is scraped is what happened, from a port that can do nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from perijove.kit.jws import SigningKey
from tests.integration.proxy.support import (
    UPGRADE,
    Connection,
    Response,
    echoing,
    identity,
    request,
    running,
    serving,
    websocket,
)
from tests.integration.proxy.test_process import AUTH, ask, process, started


async def scrape(where: Path, target: str = "/metrics", *, method: str = "GET") -> Response:
    client = Connection(*await asyncio.open_unix_connection(str(where), limit=2**20))
    client.send(request(target, method=method))
    answer = await client.response(head_only=method == "HEAD")
    await client.gone()
    return answer


async def samples(where: Path) -> dict[str, float]:
    """Every sample by its name and labels."""
    answer = await scrape(where)
    assert answer.status == 200
    assert (answer.field("content-type") or "").startswith("text/plain; version=")
    return {
        " ".join([sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))]): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_a_scrape_says_what_happened(tmp_path: Path) -> None:
    key, where = SigningKey.generate(), tmp_path / "m"
    async with (
        serving(echoing()) as server,
        serving(websocket) as live,
        running(metrics_socket=where) as proxy,
    ):
        closed = await samples(where)
        await proxy.control("PUT", "/api/keys", {"keys": [key.public_jwk]})
        await proxy.route("/", server.url, hub=True)
        await proxy.route("/user/ada", server.url, access="gated", audience="ada/", user="ada")
        await proxy.route("/services/live", live.url, service="live")
        cookie = f"Cookie: perijove-identity={identity(key)}"
        client = await proxy.connect()
        for _ in range(3):
            client.send(request("/user/ada/lab", cookie))
            assert (await client.response()).status == 200
        await proxy.ask("/user/ada/lab")
        await proxy.ask("/user/ada/lab", "Accept: text/html")
        await proxy.ask("/hub/home", "Range: x")
        await proxy.ask("/bad", "Bad Header: x")
        tunnel = await proxy.connect()
        tunnel.send(request("/services/live/ws", *UPGRADE))
        await tunnel.read_head()
        tunnel.send(b"x" * 1000)
        await tunnel.read(1000)
        opened = await samples(where)
        await tunnel.gone()
        await proxy.until(lambda statistics: not statistics.gauges.tunnels)
        after = await samples(where)

    assert closed["perijove_proxy_door"] == 0
    expected = {
        "perijove_proxy_requests_total kind=user status=200": 3,
        "perijove_proxy_requests_total kind=user status=403": 1,
        "perijove_proxy_requests_total kind=user status=302": 1,
        "perijove_proxy_requests_total kind=hub status=200": 1,
        "perijove_proxy_requests_total kind=other status=400": 1,
        "perijove_proxy_requests_total kind=service status=101": 1,
        "perijove_proxy_door_verdicts_total verdict=allowed": 3,
        "perijove_proxy_door_verdicts_total verdict=refused": 1,
        "perijove_proxy_door_verdicts_total verdict=entered": 1,
        "perijove_proxy_door": 1,
        "perijove_proxy_routes": 3,
        "perijove_proxy_websockets": 1,
        "perijove_proxy_workers": 1,
        "perijove_proxy_request_duration_seconds_count": 7,
        "requests_ws": 1,
        "requests_web": 7,
        "api_route_add": 3,
        "requests_api status=201": 3,
        "requests_proxy status=200": 4,
    }
    assert {name: opened.get(name) for name in expected} == expected
    assert opened["perijove_proxy_upstream_reuses_total"] >= 2
    assert after["perijove_proxy_websockets"] == 0
    assert after["perijove_proxy_sent_bytes_total"] - opened["perijove_proxy_sent_bytes_total"] == 1000
    assert after["perijove_proxy_received_bytes_total"] - opened["perijove_proxy_received_bytes_total"] == 1000


@pytest.mark.parametrize(
    ("target", "method", "status"),
    [("/", "GET", 404), ("/api/routes", "GET", 404), ("/metrics", "POST", 405), ("/metrics", "HEAD", 200),
     ("/" + "x" * 9000, "GET", 431), ("http://x/metrics", "GET", 400)],
)  # fmt: skip
async def test_nothing_else_can_be_had_there(tmp_path: Path, target: str, method: str, status: int) -> None:
    async with running(metrics_socket=tmp_path / "m"):
        answer = await scrape(tmp_path / "m", target, method=method)

    assert answer.status == status


async def test_workers_are_counted_together_and_never_backwards(tmp_path: Path) -> None:
    """
    Prometheus takes a smaller number for a new start: what a worker counted outlives it.
    """
    public, control, where = tmp_path / "p", tmp_path / "c", tmp_path / "m"
    flags = ("--socket", str(public), "--api-socket", str(control), "--metrics-socket", str(where), "--workers", "2")
    async with serving(echoing()) as server, process(*flags) as child:
        await started(child)
        await ask(control, "/api/routes/", AUTH, method="POST", content={"target": server.url, "access": "open"})
        for _ in range(20):
            assert (await ask(public, "/x")).status == 200
        before = await samples(where)
        _kill_a_worker(child.pid)
        counted: list[dict[str, float]] = []
        async with asyncio.timeout(30):
            while not counted or not counted[-1]["perijove_proxy_worker_restarts_total"]:
                counted.append(await samples(where))
                await asyncio.sleep(0.02)

    name = "perijove_proxy_requests_total kind=hub status=200"
    assert before[name] == 20
    assert before["perijove_proxy_workers"] == 2
    assert {found[name] for found in counted} == {20}


def _kill_a_worker(pid: int) -> None:
    psutil.Process(pid).children()[0].kill()


async def test_without_a_port_or_a_socket_nothing_of_it_is_loaded() -> None:
    """
    The library costs a few megabytes.
    """
    code = (
        "import sys, json; from perijove.cli.proxy import proxy; import perijove.proxy.app; "
        "print(json.dumps([name for name in sys.modules if name.startswith('prometheus')]))"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[3] / "src"
    )
    out, _ = await child.communicate()

    assert json.loads(out) == []
