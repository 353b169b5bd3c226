from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from perijove.config.errors import WrongValue
from perijove.hub.domain.errors import InvalidRequest
from perijove.hub.domain.principals import Kind as PrincipalKind
from perijove.hub.domain.principals import Principal
from perijove.hub.store.memory import MemoryStore
from perijove.hub.usecases import reload as module
from perijove.hub.usecases.membership import Membership
from perijove.hub.usecases.reload import Reading, Reload
from perijove.hub.usecases.testing import FakeClock
from perijove.kit.tasks import TaskGroup

#: real seconds after which a test is called stuck
PATIENCE = 5.0


class File:
    """What an administrator changes."""

    def __init__(self) -> None:
        self.value = 1
        self.is_wrong = False

    def read(self) -> Reading[int]:
        """As a hub reads it."""
        if self.is_wrong:
            raise WrongValue("config.py:3: c.Perijove.port: 'eight' is no number")
        return Reading(inputs=self.value, changed=("Perijove.allow_signup",), needs_restart=("Perijove.port",))


def hub(store: MemoryStore, file: File, name: str, taken: list[int]) -> tuple[Membership, Reload[int]]:
    membership = Membership(store=store, clock=FakeClock(), name=name, lease_seconds=10)
    reload = Reload(store=store, clock=FakeClock(), membership=membership, read=file.read)
    reload.into(_into(taken))
    return membership, reload


def _into(taken: list[int]) -> Callable[[int], Awaitable[None]]:
    async def take(inputs: int) -> None:
        taken.append(inputs)

    return take


async def test_the_audit_log_tells_who_had_it_read_again_and_names_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(read: Callable[[], object]) -> object:
        return read()

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    store, file = MemoryStore(), File()
    _, reload = hub(store, file, "one", [])
    root = Principal(kind=PrincipalKind.USER, name="root", scopes=frozenset(), address="10.0.0.1")

    await reload(root)
    await reload.asked_here()
    file.is_wrong = True
    with pytest.raises(InvalidRequest):
        await reload(root)

    async with store.reading() as unit:
        by_signal, by_root = await unit.audit.page(limit=9)
    assert (by_root.actor, by_root.address) == ("root", "10.0.0.1")
    assert by_signal.actor == ""
    assert by_root.detail == {"changed": ["Perijove.allow_signup"]}


async def test_what_was_read_is_taken_over_and_what_needs_a_restart_is_said() -> None:
    taken: list[int] = []
    file = File()
    _, reload = hub(MemoryStore(), file, "one", taken)
    file.value = 7

    with capture_logs() as logged:
        reading = await reload()

    assert taken == [7]
    assert reading.changed == ("Perijove.allow_signup",)
    assert reading.needs_restart == ("Perijove.port",)
    assert [line["event"] for line in logged] == ["configuration.reloaded", "configuration.needs_restart"]
    assert logged[1]["names"] == ["Perijove.port"]


async def test_a_wrong_configuration_changes_nothing_and_says_what_and_where() -> None:
    taken: list[int] = []
    file = File()
    _, reload = hub(MemoryStore(), file, "one", taken)
    file.is_wrong = True

    with pytest.raises(InvalidRequest, match=r"Nothing was changed. config.py:3: c.Perijove.port: 'eight'"):
        await reload()
    with capture_logs() as logged:
        await reload.asked_here()

    assert taken == []
    assert [line["event"] for line in logged] == ["configuration.not_reloaded"]


async def test_a_configuration_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    _, reload = hub(MemoryStore(), File(), "one", taken)
    end = asyncio.Event()

    async def hang(_read: object) -> None:
        await end.wait()

    monkeypatch.setattr(module, "READ_SECONDS", 0.01)
    monkeypatch.setattr(asyncio, "to_thread", hang)

    with pytest.raises(InvalidRequest, match="takes too long"):
        await reload()
    assert taken == []


async def test_all_hubs_read_again_when_one_was_asked_and_none_does_it_twice() -> None:
    store, file = MemoryStore(), File()
    here: list[int] = []
    there: list[int] = []
    one, asked = hub(store, file, "one", here)
    two, other = hub(store, file, "two", there)
    await one.keep()
    await two.keep()
    async with TaskGroup("test") as tasks:
        for reload in (asked, other):
            tasks.start("listen", reload.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        await asked()
        async with asyncio.timeout(PATIENCE):
            while not there:  # noqa: ASYNC110  # the thread that reads tells nobody
                await asyncio.sleep(0.001)

    assert (here, there) == ([1], [1])
