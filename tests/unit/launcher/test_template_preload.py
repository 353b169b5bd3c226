from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from perijove.launcher.template_preload import Look, preload, unfit, worse

CALM = Look(threads=1, descriptors={0: "/dev/null", 3: "socket:[1]"})


def looks(*found: Look) -> Iterator[Look]:
    yield from found


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pj_calm", "pj_other"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


@pytest.mark.usefixtures("modules")
def test_modules_that_leave_nothing_behind_are_taken() -> None:
    found = preload(["pj_calm", "pj_other"], looks(CALM, CALM, CALM).__next__)

    assert (found.refused, found.spoiled) == ({}, False)


@pytest.mark.usefixtures("modules")
def test_a_module_that_starts_a_thread_is_refused_by_name_and_spoils_the_template() -> None:
    found = preload(["pj_calm", "pj_other"], looks(CALM, Look(threads=2, descriptors=CALM.descriptors)).__next__)

    assert found.spoiled
    assert list(found.refused) == ["pj_calm"]
    assert "thread" in found.refused["pj_calm"]


@pytest.mark.usefixtures("modules")
def test_a_module_that_leaves_a_file_open_is_refused_with_the_file() -> None:
    opened = Look(threads=1, descriptors={**CALM.descriptors, 4: "/etc/secret"})

    found = preload(["pj_calm"], looks(CALM, opened).__next__)

    assert found.spoiled
    assert "/etc/secret" in found.refused["pj_calm"]


@pytest.mark.usefixtures("modules")
def test_a_module_that_does_not_exist_is_refused_and_the_others_are_taken() -> None:
    found = preload(["pj_missing", "pj_calm"], looks(CALM, CALM, CALM).__next__)

    assert not found.spoiled
    assert list(found.refused) == ["pj_missing"]
    assert "cannot be imported" in found.refused["pj_missing"]


def test_a_descriptor_that_has_become_another_file_counts() -> None:
    assert "eventpoll" in worse(Look(threads=1, descriptors={**CALM.descriptors, 3: "anon_inode:[eventpoll]"}), CALM)


@pytest.mark.parametrize(
    ("now", "says"),
    [
        (CALM, ""),
        (Look(threads=2, descriptors=CALM.descriptors), "2 threads"),
        (Look(threads=1, descriptors={**CALM.descriptors, 9: "anon_inode:[eventpoll]"}), "eventpoll"),
    ],
)
def test_a_process_is_fit_to_be_copied_with_one_thread_and_its_own_descriptors(now: Look, says: str) -> None:
    why = unfit(now, {0, 3})

    assert (says in why) if says else not why
