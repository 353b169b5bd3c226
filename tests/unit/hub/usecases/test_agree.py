from __future__ import annotations

import asyncio

import pytest

from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases.agree import AgreeWithOthers, Common, HubsDiffer, common_secret
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.testing_time import LoopClock
from perijove.kit.tasks import TaskGroup

OURS = common_secret("signing key", fingerprint="abc", where="/srv/hub/signing-key.pem")
ANOTHER = common_secret("signing key", fingerprint="xyz", where="/srv/hub/signing-key.pem")
HERE = Common(name="launcher", fingerprint="here", remedy="Start it on their machine.")
THERE = Common(name="launcher", fingerprint="there", remedy="Start it on their machine.")


def hub(store: MemoryStore, name: str) -> tuple[Membership, AgreeWithOthers]:
    membership = Membership(store=store, clock=LoopClock(), name=name, lease_seconds=10)
    return membership, AgreeWithOthers(store=store, membership=membership, lease_seconds=10)


async def test_hubs_with_the_same_secrets_agree_at_once() -> None:
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS])
    await one.keep()
    _, other_agrees = hub(store, "two")
    began = asyncio.get_running_loop().time()

    await other_agrees([OURS])

    assert asyncio.get_running_loop().time() == began


async def test_a_hub_with_another_secret_than_one_that_runs_does_not_start_and_says_what_to_copy() -> None:
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS])
    _, other_agrees = hub(store, "two")
    async with TaskGroup("test") as tasks:
        tasks.start("one", one.run())
        await asyncio.sleep(1)

        with pytest.raises(HubsDiffer, match=r"copy /srv/hub/signing-key\.pem from") as refused:
            await other_agrees([ANOTHER])

    assert "signing key" in refused.value.message
    assert "(one)" in refused.value.message


async def test_a_renewed_secret_holds_once_the_hubs_with_the_old_one_are_gone() -> None:
    """
    The others were killed, and look alive for a while.
    """
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS])
    await one.keep()
    _, other_agrees = hub(store, "two")

    await other_agrees([ANOTHER])

    async with store.reading() as unit:
        assert await unit.facts.get("fingerprint of the signing key") == "xyz"


async def test_a_secret_that_is_renewed_while_hubs_run_is_the_one_that_others_need_from_then_on() -> None:
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS])
    _, other_agrees = hub(store, "two")
    async with TaskGroup("test") as tasks:
        tasks.start("one", one.run())
        await asyncio.sleep(1)
        await agree.renew([ANOTHER])

        await other_agrees([ANOTHER])
        with pytest.raises(HubsDiffer):
            await other_agrees([OURS])


async def test_a_hub_that_is_alone_may_renew_its_own_secret_at_a_restart() -> None:
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS])
    await one.keep()
    _, again = hub(store, "one")
    began = asyncio.get_running_loop().time()

    await again([ANOTHER])

    assert asyncio.get_running_loop().time() == began


async def test_a_hub_whose_servers_run_elsewhere_does_not_start_beside_those_that_run() -> None:
    store = MemoryStore()
    one, agree = hub(store, "one")
    await agree([OURS, HERE])
    _, other_agrees = hub(store, "two")
    async with TaskGroup("test") as tasks:
        tasks.start("one", one.run())
        await asyncio.sleep(1)

        with pytest.raises(HubsDiffer) as refused:
            await other_agrees([OURS, THERE])
        await other_agrees([OURS, HERE])

    assert refused.value.message == (
        "The launcher of this hub is not that of the hubs that run over the same database (one). "
        "Start it on their machine."
    )
