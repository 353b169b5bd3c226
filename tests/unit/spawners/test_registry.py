from __future__ import annotations

import pytest

from perijove.spawners.errors import UnknownSpawner
from perijove.spawners.local import LocalSpawner
from perijove.spawners.registry import spawner_class
from perijove.spawners.testing import FakeSpawner


@pytest.mark.parametrize("name", ["local", "localprocess", "default", "perijove.spawners.local.LocalSpawner"])
def test_names_of_jupyterhub_and_import_paths_lead_to_classes(name: str) -> None:
    assert spawner_class(name) is LocalSpawner


def test_the_fake_is_there_for_tests() -> None:
    assert spawner_class("fake") is FakeSpawner


@pytest.mark.parametrize("name", ["locla", "no.such.module.Class", "pathlib.Path", "pathlib.absent", ""])
def test_what_is_no_spawner_is_named(name: str) -> None:
    with pytest.raises(UnknownSpawner):
        spawner_class(name)
