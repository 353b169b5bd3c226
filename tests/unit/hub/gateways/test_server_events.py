from __future__ import annotations

import io
import json
import logging
from dataclasses import replace
from typing import Any

from structlog.testing import capture_logs

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.gateways.server_events import SCHEMA, HandledServerEvents
from perijove.hub.ports import ServerAction
from perijove.hub.usecases.testing import START, FakeClock

SERVER = Server(id=1, user_id=1, user_name="ada", name="", state=State.READY, generation=1, created=START)


class Breaking(logging.Handler):
    """Written by somebody in a hurry."""

    def emit(self, _record: logging.LogRecord) -> None:
        raise OSError(28, "No space left on device")


class Keeping(logging.Handler):
    """Wants the members, not the line."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.events.append(record.msg)


def test_an_event_is_a_line_of_json_in_the_envelope_of_jupyter_events() -> None:
    text = io.StringIO()
    events = HandledServerEvents([logging.StreamHandler(text)], clock=FakeClock())

    events.emit(ServerAction.START, SERVER)
    events.emit(ServerAction.STOP, replace(SERVER, name="zweiter"))

    first, second = map(json.loads, text.getvalue().splitlines())
    assert first == {
        "__timestamp__": "2026-01-02T03:04:05Z",
        "__schema__": "https://schema.jupyter.org/jupyterhub/events/server-action",
        "__schema_version__": "1",
        "__metadata_version__": 1,
        "action": "start",
        "username": "ada",
        "servername": "",
    }
    assert (second["action"], second["servername"]) == ("stop", "zweiter")


def test_a_handler_of_its_own_gets_the_members() -> None:
    keeping = Keeping()

    HandledServerEvents([keeping], clock=FakeClock()).emit(ServerAction.START, SERVER)

    assert [event["__schema__"] for event in keeping.events] == [SCHEMA]


def test_a_handler_that_raises_is_logged_and_harms_no_other() -> None:
    keeping = Keeping()

    with capture_logs() as lines:
        HandledServerEvents([Breaking(), keeping], clock=FakeClock()).emit(ServerAction.START, SERVER)

    assert [line["event"] for line in lines] == ["events.not_written"]
    assert "No space left" in lines[0]["why"]
    assert len(keeping.events) == 1


def test_a_handler_for_warnings_alone_gets_none() -> None:
    keeping = Keeping()
    keeping.setLevel(logging.WARNING)

    HandledServerEvents([keeping], clock=FakeClock()).emit(ServerAction.START, SERVER)

    assert keeping.events == []
