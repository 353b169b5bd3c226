from __future__ import annotations

from collections.abc import MutableSequence
from typing import Any

import pytest
from structlog.testing import capture_logs
from traitlets.config import Config

from perijove.authenticators.base import Authenticator
from perijove.hub.domain.errors import LaunchFailed
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import OWN_SIGN_IN, Server
from perijove.hub.domain.users import User
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.ports import SpawnPlan
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.hub.usecases.testing import START, FakeVault
from perijove.spawners.testing import FakeMachine, FakeSpawner

USER = User(id=1, name="ada", admin=False, created=START)
SERVER = Server(id=2, user_id=1, user_name="ada", name="", state=State.LAUNCHING, generation=1, created=START)


def gateway(**traits: Any) -> SpawnerGateway:
    config = Config({"FakeSpawner": traits})
    return SpawnerGateway(
        kind=FakeSpawner,
        config=config,
        backend=FakeMachine(),
        authenticator=Authenticator(),
        auth_states=AuthStateBook(store=MemoryStore(), vault=FakeVault()),
    )


@pytest.fixture(autouse=True)
def logged() -> Any:
    with capture_logs() as entries:
        yield entries


async def from_a_coroutine(spawner: FakeSpawner) -> list[str]:
    return [f"read:users!user={spawner.user.name}"]


@pytest.mark.parametrize(
    "trait", [["read:users!user=ada"], lambda spawner: [f"read:users!user={spawner.user.name}"], from_a_coroutine]
)
async def test_scopes_are_a_list_or_come_from_a_callable(trait: Any) -> None:
    spawners = gateway(server_token_scopes=trait, oauth_client_allowed_scopes=trait)

    assert await spawners.token_scopes(SERVER) == ("read:users!user=ada",)
    assert await spawners.client_scopes(SERVER) == ("read:users!user=ada",)


async def test_nothing_stated_is_nothing() -> None:
    assert (await gateway().token_scopes(SERVER), await gateway().client_scopes(SERVER)) == ((), ())


def failing(_spawner: FakeSpawner) -> list[str]:
    raise KeyError("the administrator's own fault")


@pytest.mark.parametrize("trait", [["no:such"], failing])
async def test_what_is_wrong_gives_no_permission(trait: Any, logged: MutableSequence[Any]) -> None:
    """
    A server does not start with permissions other than those that were meant.
    """
    spawners = gateway(server_token_scopes=trait, oauth_client_allowed_scopes=trait)

    with pytest.raises(LaunchFailed):
        await spawners.token_scopes(SERVER)
    assert await spawners.client_scopes(SERVER) == ()
    assert [entry["trait"] for entry in logged if entry["event"] == "spawner.raised"][
        -1
    ] == "oauth_client_allowed_scopes"


def choose(spawner: FakeSpawner) -> None:
    spawner.cmd = ["jupyterhub-singleuser"]


@pytest.mark.parametrize(
    ("traits", "marked"),
    [({}, False), ({"cmd": ["jupyterhub-singleuser"]}, True), ({"pre_spawn_hook": choose}, True)],
)
async def test_a_handle_remembers_that_the_server_signs_visitors_in_itself(
    traits: dict[str, Any], marked: object
) -> None:
    """
    Its route is made later, perhaps by another hub with another configuration.
    """
    running = await gateway(**traits).launch(SpawnPlan(server=SERVER, user=USER))

    assert running.handle.get(OWN_SIGN_IN, False) is marked
