from __future__ import annotations

from datetime import UTC, datetime

from perijove.cli.audit import words_of
from perijove.hub.domain.audit import Action, AuditEntry

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)


def test_an_entry_is_a_line_for_people() -> None:
    entry = AuditEntry(
        at=NOW,
        action=Action.SERVER_ENTERED,
        actor="root",
        actor_kind="user",
        target="ada",
        address="10.0.0.1",
        detail={"server": "", "visit": "s1"},
    )

    assert words_of(entry) == "2026-05-06 07:08:09  server-entered  root → ada  [10.0.0.1]  visit=s1"


def test_it_says_when_nobody_is_known_and_when_it_was_the_hub() -> None:
    unknown = AuditEntry(at=NOW, action=Action.SIGN_IN_FAILED, target="ada", address="10.0.0.1")
    hub = AuditEntry(at=NOW, action=Action.SERVER_STOPPED, target="ada", detail={"why": "idle"})
    service = AuditEntry(at=NOW, action=Action.TOKEN_MADE, actor="culler", actor_kind="service", target="ada")

    assert "(nobody known) → ada" in words_of(unknown)
    assert "(perijove) → ada  why=idle" in words_of(hub)
    assert "service culler → ada" in words_of(service)


def test_nothing_that_a_stranger_wrote_moves_the_cursor() -> None:
    entry = AuditEntry(
        at=NOW,
        action=Action.SIGNED_IN,
        actor="ada",
        detail={"browser": "\x1b[2Jgone\r\nforged line\u202e", "n": ["\x07"]},
    )

    shown = words_of(entry)

    assert shown.isprintable()
    assert r"\x1b[2Jgone\r\nforged line\u202e" in shown
