from __future__ import annotations

from perijove.supervisor.plan import FIRST_PAUSE, LONGEST_PAUSE, pause_before_restart


def test_the_first_death_is_mended_at_once() -> None:
    assert pause_before_restart(1) == FIRST_PAUSE


def test_a_part_that_keeps_dying_is_given_ever_longer_pauses_up_to_a_bound() -> None:
    pauses = [pause_before_restart(deaths) for deaths in range(1, 50)]

    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
