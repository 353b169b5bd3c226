from __future__ import annotations

from perijove.launcher.template_files import LOOK_EVERY, Installed


class Disk:
    def __init__(self) -> None:
        self.times = {"/lib": 1}
        self.looks = 0

    def look(self) -> dict[str, int]:
        self.looks += 1
        return dict(self.times)


class Clock:
    seconds = 100.0

    def now(self) -> float:
        return self.seconds


def test_a_new_distribution_is_noticed() -> None:
    disk, clock = Disk(), Clock()
    installed = Installed(disk.look, clock.now)
    installed.remember()
    clock.seconds += LOOK_EVERY
    before = installed.has_changed()
    disk.times["/lib"] = 2
    clock.seconds += LOOK_EVERY

    assert not before
    assert installed.has_changed()


def test_the_disk_is_looked_at_once_in_a_while_however_many_forks_there_are() -> None:
    disk, clock = Disk(), Clock()
    installed = Installed(disk.look, clock.now)
    installed.remember()
    for _ in range(100):
        clock.seconds += LOOK_EVERY / 100
        installed.has_changed()

    assert disk.looks <= 3


def test_what_changed_while_a_template_imported_is_noticed_afterwards() -> None:
    """
    It may have imported the half of each version.
    """
    disk, clock = Disk(), Clock()
    installed = Installed(disk.look, clock.now)
    installed.remember()
    disk.times["/lib"] = 2
    clock.seconds += LOOK_EVERY

    assert installed.has_changed()
