from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perijove.singleuser.activity import LOOK_SECONDS, ActivityReporter, Standing, activity_body
from perijove.singleuser.busy import KERNEL
from perijove.singleuser.environment import read

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONFIG = replace(
    read({"JUPYTERHUB_SERVICE_PREFIX": "/", "JUPYTERHUB_USER": "ada", "JUPYTER_RUNTIME_DIR": "/run"}),
    activity_interval=100.0,
)


class Hub:
    """Says of each server what it was told to say."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.away = False
        self.answer = ""

    async def post(self, body: str) -> str:
        if self.away:
            raise ConnectionError("away")
        self.bodies.append(json.loads(body)["servers"][""])
        return self.answer

    def says(self, **deadline: object) -> None:
        self.answer = json.dumps({"servers": {"": deadline}})


class Scene:
    """A server, its reporter and the hub, and a clock to turn."""

    def __init__(self, *, spread: float = 0.0) -> None:
        self.now = NOON
        self.server = Standing(last_activity=NOON)
        self.hub = Hub()
        self.reporter = ActivityReporter(
            config=CONFIG,
            standing=lambda: self.server,
            post=self.hub.post,
            now=lambda: self.now,
            spread=lambda: spread,
        )

    def stop_in(self, seconds: float) -> None:
        at = self.now + timedelta(seconds=seconds)
        self.hub.says(stop_at=at.isoformat(), because="nothing ran", warn_seconds=60, may_be_put_off=True)

    def use(self) -> None:
        self.server = Standing(last_activity=self.now)

    async def after(self, seconds: float) -> int:
        """Report *seconds* later; how many reports the hub has then."""
        self.now += timedelta(seconds=seconds)
        await self.reporter.report()
        return len(self.hub.bodies)


async def test_a_hub_that_does_not_care_is_told_only_what_is_new() -> None:
    scene = Scene()

    before = [await scene.after(seconds) for seconds in (0, 100, 100)]
    scene.use()

    assert before == [1, 1, 1]
    assert await scene.after(100) == 2


async def test_a_hub_that_stops_idle_servers_hears_from_them_all_the_time() -> None:
    """
    So it knows that a server which says nothing new is there to be warned.
    """
    scene = Scene()
    scene.hub.says()

    assert [await scene.after(seconds) for seconds in (0, 10, 90, 90)] == [1, 1, 2, 3]
    assert scene.reporter.deadline is None


async def test_what_runs_is_told_with_the_time_since_when() -> None:
    scene = Scene()
    await scene.after(0)
    scene.server = Standing(last_activity=NOON + timedelta(seconds=100), busy=KERNEL)
    await scene.after(100)
    scene.server = replace(scene.server, last_activity=NOON + timedelta(seconds=200))
    await scene.after(100)

    idle, *busy = scene.hub.bodies
    assert idle == {"last_activity": "2026-11-22T12:00:00.000000Z", "busy": False}
    assert [(body["busy"], body["with"], body["since"]) for body in busy] == [
        (True, "kernel", "2026-11-22T12:01:40.000000Z")
    ] * 2


async def test_a_hub_that_is_away_is_told_later() -> None:
    scene = Scene()
    scene.hub.away = True

    pauses = []
    for _ in range(8):
        assert not await scene.reporter.report()
        pauses.append(scene.reporter.pause())
    scene.hub.away = False

    assert await scene.reporter.report()
    assert len(scene.hub.bodies) == 1
    assert pauses == [2, 4, 8, 16, 32, 64, 100, 100]
    assert scene.reporter.pause() == 100


@pytest.mark.parametrize(("spread", "pause"), [(-1, 90), (0, 100), (1, 110)])
def test_reports_of_many_servers_spread_out(spread: float, pause: float) -> None:
    assert Scene(spread=spread).reporter.pause() == pytest.approx(pause)


async def test_the_next_report_is_when_the_user_is_to_be_warned_if_that_is_sooner() -> None:
    scene = Scene()
    scene.stop_in(90)
    await scene.after(0)

    assert scene.reporter.pause() == 30
    assert scene.reporter.warning is None
    assert await scene.after(30) == 2


async def test_the_user_is_warned_only_of_what_the_hub_has_confirmed() -> None:
    """
    Somebody else may have kept the server meanwhile.
    """
    scene = Scene()
    scene.stop_in(90)
    await scene.after(0)

    scene.now += timedelta(seconds=40)
    before = scene.reporter.warning
    scene.stop_in(50)
    await scene.after(0)

    assert before is None
    assert scene.reporter.warning == scene.reporter.deadline is not None
    assert scene.reporter.pause() == LOOK_SECONDS


async def test_once_the_user_is_warned_whatever_changes_is_told_at_once() -> None:
    scene = Scene()
    scene.stop_in(50)
    told = [await scene.after(0), await scene.after(5)]
    scene.use()
    told.append(await scene.after(5))
    scene.server = Standing(last_activity=scene.now, busy=KERNEL)
    told.append(await scene.after(5))
    scene.server = Standing(last_activity=scene.now, busy=KERNEL)
    told.append(await scene.after(5))

    assert told == [1, 1, 2, 3, 3]


async def test_a_server_that_is_used_again_is_no_longer_to_be_stopped() -> None:
    scene = Scene()
    scene.stop_in(50)
    await scene.after(0)
    warned = scene.reporter.warning
    scene.now += timedelta(seconds=1)
    scene.use()
    scene.stop_in(1000)
    await scene.after(5)

    assert warned is not None
    assert scene.reporter.warning is None


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "no JSON",
        "[]",
        '{"servers": []}',
        '{"servers": {"other": {"stop_at": "2026-01-01T00:00:00Z"}}}',
        '{"servers": {"": {"stop_at": "2026-01-01T00:00:00Z"}}}',
        '{"servers": {"": {"stop_at": 7, "because": "", "warn_seconds": 1, "may_be_put_off": true}}}',
    ],
)
async def test_an_answer_that_says_nothing_keeps_the_server(answer: str) -> None:
    scene = Scene()
    scene.hub.answer = answer

    await scene.after(0)

    assert scene.reporter.deadline is None


def test_the_body_is_the_contracts() -> None:
    body = json.loads(activity_body("x", Standing(last_activity=NOON), None))

    stamp = "2026-11-22T12:00:00.000000Z"
    assert body == {"servers": {"x": {"last_activity": stamp, "busy": False}}, "last_activity": stamp}
