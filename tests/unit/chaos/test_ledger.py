from __future__ import annotations

import pytest

from perijove.chaos.ledger import Found, Ledger, Promise, broken, disagreements

READY = Found(exists=True, is_ready=True, is_active=True, answers=True)
STOPPED = Found(exists=True)


def ledger(*answers: tuple[str, int | None, str]) -> Ledger:
    made = Ledger(people={"ada"})
    for what, status, text in answers:
        made.answered(what, "ada", status, text)
    return made


@pytest.mark.parametrize(
    ("answers", "promise"),
    [
        ([("start", 201, "")], Promise.RUNS),
        ([("start", 202, "")], Promise.RUNS),
        ([("start", 400, "ada/ is already running")], Promise.RUNS),
        ([("start", 201, ""), ("stop", 204, "")], Promise.STOPPED),
        ([("stop", 204, ""), ("start", None, "")], Promise.NOTHING),
        ([("start", 201, ""), ("stop", 503, "")], Promise.NOTHING),
        ([("stop", 204, ""), ("start", 400, "ada/ is pending stop")], Promise.STOPPED),
    ],
)
def test_what_was_acknowledged_last_is_promised_and_nothing_else(
    answers: list[tuple[str, int | None, str]], promise: Promise
) -> None:
    assert ledger(*answers).servers["ada"] is promise


@pytest.mark.parametrize(
    ("answer", "found", "fault"),
    [
        (("start", 201, ""), STOPPED, "lost"),
        (("start", 201, ""), Found(), "was made and is not there"),
        (("stop", 204, ""), READY, "though its stop was acknowledged"),
        (("look", 200, ""), Found(exists=True, is_active=True), "neither ready nor stopped"),
        (("look", 200, ""), Found(exists=True, is_active=True, is_ready=True), "does not answer"),
        (("start", 500, "An unexpected error"), STOPPED, "500 An unexpected error"),
        (("look", 500, "surprise"), STOPPED, "500 surprise"),
    ],
)
def test_a_broken_promise_is_told(answer: tuple[str, int, str], found: Found, fault: str) -> None:
    assert any(fault in text for text in broken(ledger(answer), {"ada": found}))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (("start", 201, ""), READY),
        (("start", 202, ""), Found(exists=True, failure="no such image")),
        (("stop", 202, ""), STOPPED),
        (("start", None, ""), READY),
        (("start", 503, ""), STOPPED),
        (("start", 500, "no such image"), STOPPED),
    ],
)
def test_a_kept_promise_is_no_news(answer: tuple[str, int | None, str], found: Found) -> None:
    assert broken(ledger(answer), {"ada": found}) == []


def test_a_killed_server_was_promised_nothing() -> None:
    made = ledger(("start", 201, ""))
    made.forget("ada")

    assert broken(made, {"ada": STOPPED}) == []


@pytest.mark.parametrize(
    ("ready", "routed", "launched", "running", "fault"),
    [
        ({"ada"}, [], ["ada"], {"ada"}, "no route to the server of ada"),
        (set(), ["ada"], [], set(), "a route to ada"),
        ({"ada"}, ["ada", "ada"], ["ada"], {"ada"}, "ada has 2 routes"),
        ({"ada"}, ["ada"], [], {"ada"}, "the launcher has none"),
        ({"ada"}, ["ada"], ["ada", "ada"], {"ada"}, "ada has 2 servers"),
        (set(), [], ["ada"], {"ada"}, "the hub does not know it"),
        (set(), [], [], {"ada"}, "processes of ada are left"),
    ],
)
def test_what_hub_proxy_launcher_and_machine_do_not_agree_about_is_told(
    ready: set[str], routed: list[str], launched: list[str], running: set[str], fault: str
) -> None:
    assert any(fault in text for text in disagreements(ready, routed, launched, running))


@pytest.mark.parametrize("running", [{"ada"}, None])
def test_where_all_agree_nothing_is_told(running: set[str] | None) -> None:
    assert disagreements({"ada"}, ["ada"], ["ada"], running) == []
