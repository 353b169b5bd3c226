from __future__ import annotations

from typing import Any

import pytest

from perijove.spawners.base import Spawner
from perijove.spawners.errors import SpawnRefused
from perijove.spawners.values import SpawnerUser


def override(*groups: str, **traits: Any) -> dict[str, Any]:
    return {"groups": list(groups), "spawner_override": traits}


async def applied(overrides: Any, *groups: str, **traits: Any) -> Spawner:
    spawner = Spawner(user=SpawnerUser(name="ada", groups=groups), group_overrides=overrides, **traits)
    await spawner.use_groups()
    return spawner


async def test_members_get_the_traits_of_their_group_and_others_do_not() -> None:
    overrides = {"big": override("physics", "staff", mem_limit="8G", cpu_guarantee=2)}

    member, other = await applied(overrides, "staff"), await applied(overrides, "arts", mem_limit="1G")

    assert (member.mem_limit, member.cpu_guarantee) == (8 * 2**30, 2)
    assert (other.mem_limit, other.cpu_guarantee) == (2**30, None)


async def test_who_is_in_several_groups_gets_the_last_by_key() -> None:
    overrides = {"20-staff": override("staff", mem_limit="4G"), "10-all": override("all", mem_limit="1G", cpu_limit=1)}

    spawner = await applied(overrides, "all", "staff")

    assert (spawner.mem_limit, spawner.cpu_limit) == (4 * 2**30, 1)


async def test_dictionaries_are_merged_into_what_is_configured() -> None:
    spawner = await applied({"a": override("g", environment={"B": "2"})}, "g", environment={"A": "1", "B": "1"})

    assert spawner.environment == {"A": "1", "B": "2"}


async def test_a_value_may_be_computed_for_the_spawner() -> None:
    async def later(spawner: Spawner) -> str:
        return f"/tree/{spawner.user.name}"

    assert (await applied({"a": override("g", default_url=later)}, "g")).default_url == "/tree/ada"


async def test_all_of_it_may_be_computed_for_the_spawner() -> None:
    spawner = await applied(lambda spawner: {"a": override(*spawner.user.groups, debug=True)}, "g")

    assert spawner.debug


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"a": {"groups": ["g"]}}, "must have 'groups' and 'spawner_override'"),
        ({"a": {"groups": "g", "spawner_override": {}}}, "'groups' must be a list"),
        ({"a": {"groups": [1], "spawner_override": {}}}, "'groups' must be a list"),
        ({"a": {"groups": ["g"], "spawner_override": 1}}, "must be a dictionary"),
        ({"a": override("g", mem_limti="1G")}, "there is no trait 'mem_limti'"),
        ({"a": override("g", parent=None)}, "there is no trait 'parent'"),
    ],
)
async def test_a_mistake_stops_the_start_up_and_every_start(overrides: Any, why: str) -> None:
    assert why in Spawner(group_overrides=overrides).unenforceable()["group_overrides"]
    with pytest.raises(SpawnRefused, match=why):
        await applied(lambda _: overrides, "g")


async def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(SpawnRefused, match=r"'a': .*mem_limit"):
        await applied({"a": override("g", mem_limit="much")}, "g")


@pytest.mark.parametrize(
    ("traits", "wrong"),
    [
        ({"mem_limit": "1G", "mem_guarantee": "2G"}, {"mem_guarantee"}),
        ({"cpu_limit": 1, "cpu_guarantee": 1.5}, {"cpu_guarantee"}),
        ({"mem_limit": 0}, {"mem_limit"}),
        ({"cpu_limit": -1}, {"cpu_limit"}),
        ({"cpu_guarantee": -1}, {"cpu_guarantee"}),
        ({"mem_limit": "2G", "mem_guarantee": "2G", "cpu_limit": 1}, set()),
    ],
)
def test_limits_that_contradict_each_other_stop_the_start_up(traits: dict[str, Any], wrong: set[str]) -> None:
    assert set(Spawner(**traits).unenforceable()) == wrong
