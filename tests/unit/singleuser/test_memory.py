from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from perijove.kit import cgroups
from perijove.kit.cgroups import Memory
from perijove.singleuser.memory import MemoryWatch, message

GROUP = (Path("/nowhere"), 2)
LIMIT = 1000


class Scene:
    """A group of which one can say what it uses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, limit: int | None = LIMIT) -> None:
        self.used = 0
        #: pages of files, which do not count
        self.cached = 0
        self.looks = 0
        self.told: list[Mapping[str, Any]] = []
        self._limit = limit
        monkeypatch.setattr(cgroups, "read_memory", self._read)
        monkeypatch.setattr(cgroups, "is_above", self._is_above)
        self.watch = MemoryWatch(group=GROUP, tell=self.told.append)

    def _read(self, directory: Path, version: int) -> Memory:
        assert (directory, version) == GROUP
        self.looks += 1
        return Memory(used=self.used, limit=self._limit)

    def _is_above(self, directory: Path, version: int, part: float) -> bool:
        assert (directory, version) == GROUP
        return self._limit is not None and self.used + self.cached > self._limit * part

    def at(self, used: int, *, cached: int = 0) -> list[bool]:
        """What has been told so far, when so much is used."""
        self.used, self.cached = used, cached
        self.watch.look()
        return [model["warn"] for model in self.told]


def test_a_user_is_warned_once_above_nine_tenths(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)

    assert scene.at(900) == []
    assert scene.at(901) == [True]
    assert scene.at(990) == [True]


def test_the_warning_is_withdrawn_when_there_is_room_again_and_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.at(950)

    assert scene.at(850) == [True]
    assert scene.at(800) == [True, False]
    assert scene.at(950) == [True, False, True]


def test_pages_of_files_are_no_reason_for_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Scene(monkeypatch).at(500, cached=490) == []


def test_while_there_is_room_only_the_cheap_look_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    scene.at(100)

    assert scene.looks == 0


def test_a_page_that_is_opened_later_asks_how_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch)
    before = scene.watch.model()
    scene.at(950)

    assert (before["warn"], before["used"], before["limit"]) == (False, 0, LIMIT)
    assert scene.watch.model()["warn"]
    assert scene.watch.model()["message"].startswith("This server uses 950 bytes of 1000 bytes of memory.")


def test_all_of_it_is_shown_however_much_there_is() -> None:
    assert len(message(1023 * 2**30, 1023 * 2**30)) <= 140


def test_without_a_limit_there_is_nothing_to_warn_of(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, limit=None)

    assert scene.at(10**9) == []
    assert not scene.watch.is_limited
    assert scene.watch.model() == {"warn": False, "used": 10**9, "limit": 0, "message": ""}


def test_without_a_group_there_is_nothing_to_look_at() -> None:
    watch = MemoryWatch(group=None, tell=lambda _: pytest.fail("told"))
    watch.look()

    assert not watch.is_limited
    assert watch.model() == {"warn": False, "used": 0, "limit": 0, "message": ""}
