from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from perijove.supervisor.accounts import check_interpreter, folder, lock
from perijove.supervisor.errors import AlreadyRunning, EnvironmentUnsafe, FolderUnusable
from tests.support.site import site_folder

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners are what is judged")


@pytest.fixture
def place() -> Iterator[Path]:
    with site_folder() as made:
        yield made


def environment(place: Path) -> tuple[Path, Path]:
    """An interpreter and a folder of packages."""
    packages = place / "environment" / "lib" / "perijove"
    packages.mkdir(parents=True)
    python = place / "environment" / "python"
    python.touch(mode=0o755)
    return python, packages


@needs_root
def test_an_environment_that_all_may_read_and_only_root_may_write_is_good(place: Path) -> None:
    check_interpreter(*environment(place))


@needs_root
@pytest.mark.parametrize("part", ["environment", "environment/lib", "environment/lib/perijove"])
def test_a_folder_that_others_cannot_enter_is_refused_by_name(part: str, place: Path) -> None:
    """
    Servers run as other users; below root's home they could not even be started.
    """
    python, packages = environment(place)
    (place / part).chmod(0o700)

    with pytest.raises(EnvironmentUnsafe, match=f"Other users cannot enter {place / part},"):
        check_interpreter(python, packages)


@needs_root
@pytest.mark.parametrize(("mode", "uid"), [(0o777, 0), (0o755, 65534)])
def test_a_folder_that_others_could_change_is_refused_by_name(mode: int, uid: int, place: Path) -> None:
    """
    Whoever can write there would have root run their program.
    """
    python, packages = environment(place)
    packages.chmod(mode)
    os.chown(packages, uid, -1)

    with pytest.raises(EnvironmentUnsafe, match=f"{packages} can be changed by others than root"):
        check_interpreter(python, packages)


@needs_root
def test_an_interpreter_is_judged_where_its_link_leads(place: Path) -> None:
    python, packages = environment(place)
    hidden = place / "hidden"
    hidden.mkdir(mode=0o700)
    python.unlink()
    python.symlink_to(hidden / "python")
    (hidden / "python").touch(mode=0o755)

    with pytest.raises(EnvironmentUnsafe, match=f"cannot enter {hidden},"):
        check_interpreter(python, packages)


def test_a_folder_gets_its_mode_and_a_file_in_its_place_is_refused(place: Path) -> None:
    (place / "file").touch()

    made = folder(place / "a" / "b", mode=0o700)

    assert made.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FolderUnusable, match=f"{place / 'file'} cannot be made"):
        folder(place / "file", mode=0o700)


def test_a_link_in_place_of_a_folder_is_refused(place: Path) -> None:
    """
    Somebody else could lay it, and have perijove write where they like.
    """
    (place / "elsewhere").mkdir()
    (place / "link").symlink_to(place / "elsewhere")

    with pytest.raises(FolderUnusable, match="is not a folder"):
        folder(place / "link", mode=0o700)


def test_a_lock_is_held_by_one_and_free_when_that_one_is_gone(place: Path) -> None:
    held = lock(place / "lock")

    with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
        lock(place / "lock")

    held.close()
    lock(place / "lock").close()
