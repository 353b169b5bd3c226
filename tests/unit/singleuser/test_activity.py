from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perijove.singleuser.activity import ActivityReporter, activity_body
from perijove.singleuser.environment import ServerConfig, read

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONFIG = replace(
    read({"JUPYTERHUB_SERVICE_PREFIX": "/", "JUPYTERHUB_USER": "ada", "JUPYTER_RUNTIME_DIR": "/run"}),
    activity_interval=100.0,
)


class Hub:
    def __init__(self) -> None:
        self.bodies: list[str] = []
        self.away = False

    async def post(self, body: str) -> None:
        if self.away:
            raise ConnectionError("away")
        self.bodies.append(body)


class Server:
    latest = NOON


def reporter(hub: Hub, server: Server, *, spread: float = 0.0, config: ServerConfig = CONFIG) -> ActivityReporter:
    return ActivityReporter(config=config, last_activity=lambda: server.latest, post=hub.post, spread=lambda: spread)


async def test_nothing_new_is_not_reported() -> None:
    hub, server = Hub(), Server()
    reports = reporter(hub, server)

    await reports.report()
    await reports.report()
    server.latest = NOON + timedelta(seconds=1)
    await reports.report()

    assert len(hub.bodies) == 2


async def test_a_hub_that_is_away_is_told_later() -> None:
    hub, server = Hub(), Server()
    reports = reporter(hub, server)
    hub.away = True

    pauses = []
    for _ in range(8):
        assert not await reports.report()
        pauses.append(reports.pause())
    hub.away = False

    assert await reports.report()
    assert len(hub.bodies) == 1
    assert pauses == [2, 4, 8, 16, 32, 64, 100, 100]
    assert reports.pause() == 100


@pytest.mark.parametrize(("spread", "pause"), [(-1, 90), (0, 100), (1, 110)])
def test_reports_of_many_servers_spread_out(spread: float, pause: float) -> None:
    assert reporter(Hub(), Server(), spread=spread).pause() == pytest.approx(pause)


def test_the_body_is_the_contracts() -> None:
    body = json.loads(activity_body("x", NOON))

    stamp = "2026-11-22T12:00:00.000000Z"
    assert body == {"servers": {"x": {"last_activity": stamp}}, "last_activity": stamp}
