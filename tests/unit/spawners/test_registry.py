from __future__ import annotations

from pathlib import Path

import pytest

from perijove.spawners.errors import UnknownSpawner
from perijove.spawners.local import LocalSpawner
from perijove.spawners.registry import find_spawner, spawners


@pytest.mark.parametrize("name", ["local", "localprocess", "default", "perijove.spawners.local.LocalSpawner"])
def test_names_of_jupyterhub_and_import_paths_lead_to_classes(name: str) -> None:
    assert find_spawner(name) is LocalSpawner


def test_a_class_is_taken_as_it_is() -> None:
    class Own(LocalSpawner):
        """Of a configuration file."""

    assert find_spawner(Own) is Own
    with pytest.raises(UnknownSpawner, match="'Path'"):
        find_spawner(Path)


def test_every_short_name_leads_to_its_class() -> None:
    assert all(find_spawner(name) is found for name, found in spawners().items())


@pytest.mark.parametrize("name", ["locla", "no.such.module.Class", "pathlib.Path", "pathlib.absent", ""])
def test_what_is_no_spawner_is_named(name: str) -> None:
    with pytest.raises(UnknownSpawner):
        find_spawner(name)
