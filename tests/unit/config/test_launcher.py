from __future__ import annotations

import pytest
from traitlets import TraitError

from perijove.config.launcher import Launcher, launcher_words


def test_modules_are_told_one_by_one() -> None:
    launcher = Launcher(preload=["numpy", "matplotlib.pyplot"], recycle_after=50)

    assert launcher_words(launcher) == (
        *("--preload", "numpy", "--preload", "matplotlib.pyplot"),
        *("--recycle-after", "50"),
    )


def test_kernels_are_forked_unless_the_administrator_says_no() -> None:
    assert "--kernel-app" not in launcher_words(Launcher())
    assert launcher_words(Launcher(fork_kernels=False))[:2] == ("--kernel-app", "")


def test_what_cannot_be_a_module_is_refused() -> None:
    with pytest.raises(TraitError, match="'numpy pandas' names none"):
        Launcher(preload=["numpy pandas"])
