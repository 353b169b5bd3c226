from __future__ import annotations

import pytest
from traitlets import TraitError

from perijove.config.launcher import Launcher, launcher_words


def test_modules_are_told_one_by_one() -> None:
    told = " ".join(launcher_words(Launcher(preload=["numpy", "matplotlib.pyplot"], recycle_after=50)))

    assert "--preload numpy --preload matplotlib.pyplot --recycle-after 50" in told


def test_kernels_are_forked_unless_the_administrator_says_no() -> None:
    assert "--kernel-app" not in launcher_words(Launcher())
    assert "--kernel-app" in launcher_words(Launcher(fork_kernels=False))


def test_what_cannot_be_a_module_is_refused() -> None:
    with pytest.raises(TraitError, match="'numpy pandas' names none"):
        Launcher(preload=["numpy pandas"])


def test_walls_are_told_with_what_is_seen_through_them() -> None:
    launcher = Launcher(isolation="require", shared_paths=["/home/course", "/root/venv"], no_new_privs=False)

    told = " ".join(launcher_words(launcher))

    assert "--isolation require --shared-path /home/course --shared-path /root/venv --new-privileges" in told


@pytest.mark.parametrize("path", ["course", "", "/home/../root", "~/course"])
def test_a_shared_path_is_absolute(path: str) -> None:
    with pytest.raises(TraitError, match="is none"):
        Launcher(shared_paths=[path])


def test_amounts_that_were_not_configured_are_left_to_the_launcher() -> None:
    assert not {"--reserve-memory", "--processes-limit"} & {*launcher_words(Launcher())}


def test_amounts_are_told_in_bytes() -> None:
    told = " ".join(launcher_words(Launcher(reserve_memory="1G", processes_limit=500)))

    assert f"--reserve-memory {2**30} --processes-limit 500" in told


def test_a_bound_below_one_is_refused() -> None:
    with pytest.raises(TraitError):
        Launcher(processes_limit=0)
