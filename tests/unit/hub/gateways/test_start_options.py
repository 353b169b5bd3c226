from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs
from traitlets.config import Config

from perijove.authenticators.base import Authenticator
from perijove.hub.domain.errors import InvalidRequest, LaunchFailed
from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.domain.users import User
from perijove.hub.gateways.spawners import SpawnerGateway
from perijove.hub.ports import SpawnPlan
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.auth_states import AuthStateBook
from perijove.spawners.base import NoBackend, Spawner
from perijove.spawners.values import Running, SpawnRequest

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADA = User(id=1, name="ada", admin=True, created=NOW)
SERVER = Server(
    id=1,
    user_id=1,
    user_name="ada",
    name="",
    state=State.LAUNCHING,
    generation=1,
    created=NOW,
    user_options={"page": "/tree"},
)


class Tiny(Spawner):
    async def start(self, request: SpawnRequest) -> Running:
        return Running(target="http://x", handle={"url": self.default_url, "of": request.key})


def gateway(**traits: Any) -> SpawnerGateway:
    return SpawnerGateway(
        kind=Tiny,
        config=Config({"Tiny": traits}),
        backend=NoBackend(),
        authenticator=Authenticator(),
        auth_states=AuthStateBook(store=MemoryStore(), vault=None),
    )


def fails(*_: object, **__: object) -> None:
    raise RuntimeError("of the administrator")


async def test_a_start_does_what_the_options_ask_for() -> None:
    running = await gateway(apply_user_options={"page": "default_url"}).launch(SpawnPlan(server=SERVER, user=ADA))

    assert running.handle == {"url": "/tree", "of": "ada/"}


async def test_a_start_with_wrong_options_fails_with_a_sentence() -> None:
    with pytest.raises(LaunchFailed, match="Invalid user options: page"):
        await gateway(apply_user_options={"page": "debug"}).launch(SpawnPlan(server=SERVER, user=ADA))


async def test_groups_come_before_the_options_and_after_the_configuration() -> None:
    overrides = {"a": {"groups": ["class"], "spawner_override": {"default_url": "/lab", "debug": True}}}
    plan = SpawnPlan(server=SERVER, user=ADA, groups=("class",))
    ours = gateway(group_overrides=overrides, default_url="/x")
    chosen = gateway(group_overrides=overrides, apply_user_options={"page": "default_url"})

    assert (await ours.launch(plan)).handle["url"] == "/lab"
    assert (await ours.launch(SpawnPlan(server=SERVER, user=ADA))).handle["url"] == "/x"
    assert (await chosen.launch(plan)).handle["url"] == "/tree"


async def test_the_form_is_made_for_whom_it_asks() -> None:
    asks = gateway(options_form=lambda spawner: f"{spawner.user.name} {spawner.user.admin} {spawner.user_options}")

    assert (asks.has_form, gateway().has_form) == (True, False)
    assert await asks.form(ADA, "", {"a": 1}) == "ada True {'a': 1}"


async def test_options_are_read_or_refused_with_a_sentence() -> None:
    assert await gateway(options_from_form="simple").read(ADA, "", {"a": ["1"]}) == {"a": "1"}
    with pytest.raises(InvalidRequest, match="Invalid user options"):
        await gateway(options_from_form=lambda form: form["none"]).read(ADA, "", {})


async def test_mistakes_in_the_administrator_s_code_are_logged_and_not_told() -> None:
    with capture_logs() as logged:
        with pytest.raises(LaunchFailed, match="only an administrator"):
            await gateway(options_form=fails).form(ADA, "", {})
        with pytest.raises(LaunchFailed, match="only an administrator"):
            await gateway(options_from_form=fails).read(ADA, "", {})
        event: Mapping[str, Any] = await gateway(progress_ready_hook=fails).ready_event(SERVER, {"progress": 100})

    assert event == {"progress": 100}
    assert [line["event"] for line in logged] == [
        "spawner.options_form_raised",
        "spawner.options_from_form_raised",
        "spawner.progress_ready_hook_raised",
    ]
