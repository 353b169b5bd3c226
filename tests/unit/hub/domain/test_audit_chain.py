from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from perijove.hub.domain.audit import Action, AuditEntry, seal_of
from perijove.hub.domain.audit_chain import Link, Verifier
from perijove.hub.domain.errors import InvalidRequest

NOW = datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)


def chain(length: int, *, actor: str = "ada") -> list[AuditEntry]:
    made: list[AuditEntry] = []
    before = Link()
    for sequence in range(1, length + 1):
        entry = AuditEntry(
            id=sequence, at=NOW + timedelta(seconds=sequence), action=Action.SIGNED_IN, actor=actor, detail={"n": "1"}
        )
        seal = seal_of(entry, sequence=sequence, before=before.sealed_hash)
        made.append(replace(entry, sequence=sequence, sealed_hash=seal))
        before = Link.of(made[-1])
    return made


def faults(entries: Sequence[AuditEntry], *, start: Link | None = None, known: Link | None = None) -> list[str]:
    verifier = Verifier(start=start, known=known)
    for entry in entries:
        verifier.look(entry)
    return verifier.faults()


def test_a_chain_as_it_was_sealed_has_no_faults() -> None:
    assert faults(chain(9)) == []
    assert faults([]) == []


@pytest.mark.parametrize(
    "change",
    [
        {"actor": "eve"},
        {"actor_kind": "service"},
        {"target": "bob"},
        {"address": "::1"},
        {"detail": {"n": "2"}},
        {"action": Action.SIGNED_OUT},
        {"at": NOW},
    ],
)
def test_a_changed_entry_is_named(change: dict[str, object]) -> None:
    entries = chain(5)
    entries[2] = replace(entries[2], **change)  # type: ignore[arg-type]  # each is a field

    (fault,) = faults(entries)

    assert fault.startswith("Entry 3 (")
    assert "does not fit its seal" in fault


def test_an_entry_changed_and_sealed_anew_no_longer_fits_the_next() -> None:
    entries = chain(5)
    forged = replace(entries[2], actor="eve")
    entries[2] = replace(forged, sealed_hash=seal_of(forged, sequence=3, before=entries[1].sealed_hash))

    (fault,) = faults(entries)

    assert fault.startswith("Entry 4 (")
    assert "the seal of entry 3 was" in fault


def test_a_removed_entry_is_named_and_so_are_several() -> None:
    entries = chain(9)

    assert faults([*entries[:2], *entries[3:]]) == ["Entry 3 is missing."]
    assert faults([*entries[:2], *entries[5:]]) == ["Entries 3 to 5 are missing."]
    assert faults(entries[1:]) == ["Entry 1 is missing."]


def test_swapped_entries_are_named_together() -> None:
    entries = chain(6)
    one, other = entries[1], entries[4]
    entries[1] = replace(other, sequence=one.sequence, sealed_hash=one.sealed_hash)
    entries[4] = replace(one, sequence=other.sequence, sealed_hash=other.sealed_hash)

    assert faults(entries) == ["Entries 2 and 5 have changed places."]


def test_what_was_forgotten_on_purpose_is_no_fault() -> None:
    entries = chain(6)

    assert faults(entries[3:], start=Link.of(entries[2])) == []
    assert faults(entries[4:], start=Link.of(entries[2])) == ["Entry 4 is missing."]


def test_a_log_made_anew_does_not_fit_a_link_that_was_kept() -> None:
    kept = Link.of(chain(5)[3])

    assert faults(chain(5), known=kept) == []
    assert faults(chain(5, actor="eve"), known=kept) == [
        "The seal of entry 4 is not the one that was kept: the log up to there was made anew."
    ]


def test_an_end_that_was_cut_off_shows_by_a_link_that_was_kept() -> None:
    entries = chain(5)

    assert faults(entries[:3]) == []
    assert faults(entries[:3], known=Link.of(entries[4])) == [
        "The log ends at entry 3, but there was an entry 5: the end is missing."
    ]


def test_a_kept_link_from_before_the_beginning_says_that_it_is_too_old() -> None:
    entries = chain(6)

    assert faults(entries[3:], start=Link.of(entries[2]), known=Link.of(entries[2])) == []
    (fault,) = faults(entries[3:], start=Link.of(entries[2]), known=Link.of(entries[0]))
    assert "older than what is kept" in fault


def test_links_are_written_and_read_again() -> None:
    link = Link.of(chain(3)[-1])

    assert Link.from_fact(link.to_fact()) == link
    assert Link.from_words(str(link)) == link
    assert Link.from_fact(None) == Link()
    for text in ("", "3", "x:" + "0" * 64, "3:abc"):
        with pytest.raises(InvalidRequest):
            Link.from_words(text)
