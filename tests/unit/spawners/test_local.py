from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from perijove.spawners.base import Spawner
from perijove.spawners.launcher_client import LauncherClient
from perijove.spawners.local import LocalSpawner, _running
from perijove.spawners.values import BackendSettings, SpawnerUser, SpawnRequest
from perijove.wire.launcher import Launched, Limits

REQUEST = SpawnRequest(key="ada/x", generation=3, user="ada", server_name="x", environment={"A": "1"})


LAUNCHED = Launched(key="ada/x", generation=3, pid=1, start_time=2, socket="/run/s", log="/log", launched_at=0.0)


def spawner(**traits: Any) -> LocalSpawner:
    return LocalSpawner(
        user=SpawnerUser(name="ada"), server_name="x", backend=LauncherClient(Path("/nonexistent")), **traits
    )


async def test_by_default_the_template_is_forked_as_the_user_of_the_same_name() -> None:
    asked = spawner().launch_request(REQUEST)

    assert (asked.key, asked.generation, asked.user, asked.server_name) == ("ada/x", 3, "ada", "x")
    assert (asked.system_user, asked.create_user, asked.home, asked.argv) == ("ada", True, "", ())
    assert asked.limits == Limits()


async def test_every_trait_reaches_the_launcher() -> None:
    asked = spawner(
        cmd=["jupyterhub-singleuser"],
        args=["--debug"],
        system_user_prefix="jupyter-",
        create_system_users=False,
        home_dir="/srv/{username}",
        mem_limit="1G",
        cpu_limit=2,
        mem_guarantee="500M",
        cpu_guarantee=0.5,
        open_files_limit=100,
        processes_limit=50,
    ).launch_request(REQUEST)

    assert (asked.argv, asked.args) == (("jupyterhub-singleuser",), ("--debug",))
    assert (asked.system_user, asked.create_user, asked.home) == ("jupyter-ada", False, "/srv/ada")
    assert asked.limits == Limits(
        memory=2**30, cpu=2.0, open_files=100, processes=50, memory_guarantee=500 * 2**20, cpu_guarantee=0.5
    )
    told = {name: text for name, text in asked.environment.items() if name.startswith(("MEM_", "CPU_"))}
    assert told == {
        "MEM_LIMIT": str(2**30),
        "MEM_GUARANTEE": str(500 * 2**20),
        "CPU_LIMIT": "2.0",
        "CPU_GUARANTEE": "0.5",
    }


class Launcher(LauncherClient):
    """A launcher that says what it cannot hold."""

    def __init__(self, **answer: Any) -> None:
        super().__init__(Path("/nonexistent"))
        self._answer = answer
        self.asked = 0

    async def hello(self) -> dict[str, Any]:
        self.asked += 1
        return self._answer


async def refused(launcher: Launcher, **traits: Any) -> dict[str, str]:
    return dict(await LocalSpawner(backend=launcher, **traits).unenforceable_here())


async def test_what_the_launcher_cannot_hold_stops_the_hub_with_its_sentence() -> None:
    launcher = Launcher(refused={"memory": "no groups", "cpu_guarantee": "none at all"})

    assert await refused(launcher, mem_limit="1G", cpu_limit=1) == {"mem_limit": "no groups"}
    assert await refused(launcher, cpu_guarantee=1) == {"cpu_guarantee": "none at all"}


async def test_what_only_a_group_is_held_to_is_checked_too() -> None:
    overrides = {"a": {"groups": ["class"], "spawner_override": {"mem_limit": "1G"}}}

    assert await refused(Launcher(refused={"memory": "no groups"}), group_overrides=overrides) == {
        "mem_limit": "no groups"
    }


async def test_a_guarantee_that_is_more_than_there_is_stops_the_hub() -> None:
    launcher = Launcher(refused={}, for_all={"memory": 2**30, "cpu": 2, "open_files": None})

    assert set(await refused(launcher, mem_guarantee="2G", cpu_guarantee=3, open_files_limit=10**9)) == {
        "mem_guarantee",
        "cpu_guarantee",
    }
    assert not await refused(launcher, mem_guarantee="1G", cpu_guarantee=2)


async def test_where_nothing_is_limited_the_launcher_is_not_even_asked() -> None:
    launcher = Launcher(refused={"memory": "no groups"})

    assert not await refused(launcher)
    assert launcher.asked == 0


def test_a_server_that_signs_visitors_in_itself_gets_a_port_and_others_a_socket() -> None:
    """
    Everybody on this machine reaches a port; the socket is in a folder that only the proxy can enter.
    """
    assert not spawner().launch_request(REQUEST).own_port
    assert not spawner(cmd=["/opt/bin/some-app"]).launch_request(REQUEST).own_port
    assert spawner(cmd=["/opt/bin/jupyterhub-singleuser"]).launch_request(REQUEST).own_port
    assert _running(replace(LAUNCHED, port=4711)).target == "http://127.0.0.1:4711"
    assert _running(LAUNCHED).target == "http+unix://%2Frun%2Fs"


def test_its_servers_are_seen_by_hubs_of_one_machine_and_one_launcher() -> None:
    here = [LocalSpawner.place(BackendSettings(launcher_socket=Path(path))) for path in ("/run/a/l", "/run/../run/a/l")]
    other_launcher = LocalSpawner.place(BackendSettings(launcher_socket=Path("/run/b/l")))

    assert here[0] == here[1] != ""
    assert other_launcher != here[0]


def test_a_spawner_that_does_not_say_otherwise_is_seen_by_every_hub() -> None:
    assert Spawner.place(BackendSettings(launcher_socket=Path("/run/a/l"))) == ""
