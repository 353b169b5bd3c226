from __future__ import annotations

import pytest
from traitlets import TraitError

from perijove.config.launcher import Launcher, launcher_words


def test_what_was_not_configured_is_left_to_the_launcher() -> None:
    assert launcher_words(Launcher()) == ()


def test_amounts_are_told_in_bytes() -> None:
    launcher = Launcher(reserve_memory="1G", processes_limit=500)

    assert launcher_words(launcher) == ("--reserve-memory", str(2**30), "--processes-limit", "500")


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(TraitError):
        Launcher(processes_limit=0)
