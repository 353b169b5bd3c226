from __future__ import annotations

from structlog.testing import capture_logs

from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.check_services import CheckServices
from perijove.hub.usecases.load_roles import load_roles
from perijove.hub.usecases.services import ServiceDirectory

SERVICES = [
    {"name": "board", "api_token": "token-of-board", "url": "http://board:1"},
    {"name": "grader", "api_token": "token-of-grader", "url": "http://grader:1"},
    {"name": "script", "api_token": "token-of-script"},
]


class Answers:
    """A prober whom some answer."""

    def __init__(self) -> None:
        self.up = {"http://board:1", "http://grader:1"}
        self.asked: list[tuple[str, str]] = []

    async def wait_until_answers(self, target: str, path: str, *, timeout: float) -> bool:
        assert timeout > 0
        self.asked.append((target, path))
        return target in self.up


async def test_a_service_that_ceases_to_answer_is_told_once_and_once_more_when_it_does_again() -> None:
    directory = ServiceDirectory(store=MemoryStore(), roles=load_roles(roles=(), services=SERVICES))
    prober = Answers()
    check = CheckServices(directory=directory, prober=prober, base_url="/", every=60)

    with capture_logs() as logged:
        await check.look()
        prober.up.discard("http://board:1")
        await check.look()
        await check.look()
        prober.up.add("http://board:1")
        await check.look()

    assert [(line["event"], line["service"]) for line in logged] == [
        ("service.does_not_answer", "board"),
        ("service.answers_again", "board"),
    ]
    assert prober.asked[:2] == [
        ("http://board:1", "/services/board/"),
        ("http://grader:1", "/services/grader/"),
    ]
