from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from perijove.kit.logs import configure, scrub


@pytest.fixture
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/x?token=abc", "/x?token=[secret]"),
        ("/x?a=1&code=abc&b=2", "/x?a=1&code=[secret]&b=2"),
        ("/hub/welcome?key=abc", "/hub/welcome?key=[secret]"),
        ("/x?monkey=abc", "/x?monkey=abc"),
    ],
)
def test_secrets_in_addresses_never_reach_the_log(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.usefixtures("_logs_as_before")
def test_a_further_handler_gets_the_lines_in_its_own_form_and_without_secrets() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s|%(message)s"))

    configure(process="hub", also=[handler])
    structlog.get_logger("ours").warning("door.refused", user="ada", token="hunter2")
    logging.getLogger("theirs").error("GET /hub/welcome?key=%s", "hunter2")
    structlog.get_logger("ours").debug("too.fine")

    assert out.getvalue().splitlines() == [
        "WARNING|door.refused user='ada' token='[secret]'",
        "ERROR|GET /hub/welcome?key=[secret]",
    ]


@pytest.mark.usefixtures("_logs_as_before")
def test_a_further_handler_tells_what_was_raised() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(message)s"))

    configure(process="hub", also=[handler])
    try:
        dict[str, str]()["socket"]
    except KeyError:
        structlog.get_logger("ours").exception("driver.died")

    first, *_, last = out.getvalue().splitlines()
    assert first == "driver.died"
    assert last == "KeyError: 'socket'"


@pytest.mark.usefixtures("_logs_as_before")
def test_a_further_handler_without_a_form_has_ours() -> None:
    out = io.StringIO()

    configure(process="hub", fmt="json", also=[logging.StreamHandler(out)])
    structlog.get_logger("ours").info("hub.ready", user="ada")

    told = json.loads(out.getvalue())
    assert (told["event"], told["user"], told["process"]) == ("hub.ready", "ada", "hub")
