from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from perijove.singleuser.stopping import LATEST, SOONEST, WHILE_WARNED, Stopping
from tests.unit.singleuser.test_activity import Scene

CONFIRMED = "2026-11-22T13:00:00Z"


def stopping(scene: Scene, answer: str = "") -> Stopping:
    asked: list[str] = []

    async def ask(body: str) -> str:
        asked.append(body)
        return answer

    return Stopping(reporter=scene.reporter, ask=ask, now=lambda: scene.now)


async def test_a_page_is_told_of_an_end_that_is_near() -> None:
    scene = Scene()
    scene.stop_in(50)
    await scene.after(0)

    model = stopping(scene).model()

    assert model == {
        "warn": True,
        "stop_at": "2026-11-22T12:00:50+00:00",
        "because": "nothing ran",
        "may_be_put_off": True,
        "ask_again_seconds": WHILE_WARNED,
    }


@pytest.mark.parametrize(("seconds", "again"), [(70, 10 + SOONEST), (7200, LATEST)])
async def test_a_page_asks_again_when_the_warning_is_due(seconds: float, again: float) -> None:
    scene = Scene()
    scene.stop_in(seconds)
    await scene.after(0)

    assert stopping(scene).model() == {"warn": False, "ask_again_seconds": again}


async def test_a_page_of_a_server_that_is_never_stopped_asks_seldom() -> None:
    assert stopping(Scene()).model() == {"warn": False, "ask_again_seconds": LATEST}


async def test_keeping_a_server_withdraws_the_warning() -> None:
    scene = Scene()
    scene.stop_in(50)
    await scene.after(0)
    later = {"stop_at": CONFIRMED, "because": "nothing ran", "warn_seconds": 60, "may_be_put_off": False}

    model = await stopping(scene, json.dumps(later)).keep()

    assert model["warn"] is False
    assert model["kept_until"] == datetime(2026, 11, 22, 13, tzinfo=UTC).isoformat()


@pytest.mark.parametrize("answer", ["", "{}", "null"])
async def test_a_server_that_is_not_to_be_stopped_any_more_has_no_end(answer: str) -> None:
    scene = Scene()
    scene.stop_in(50)
    await scene.after(0)

    model: dict[str, Any] = await stopping(scene, answer).keep()

    assert model["kept_until"] is None
    assert scene.reporter.deadline is None
