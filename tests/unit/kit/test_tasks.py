from __future__ import annotations

import asyncio

import pytest

from perijove.kit.tasks import TaskGroup


async def test_a_failed_task_leaves_its_siblings_running() -> None:
    done = asyncio.Event()
    go = asyncio.Event()

    async def fail() -> None:
        raise ValueError("broken")

    async def work() -> None:
        await go.wait()
        done.set()

    async with TaskGroup("test") as tasks:
        tasks.start("fail", fail())
        task = tasks.start("work", work())
        await asyncio.sleep(0)
        go.set()
        await task

    assert done.is_set()


async def test_closing_cancels_what_still_runs() -> None:
    async with TaskGroup("test") as tasks:
        task = tasks.start("forever", asyncio.Event().wait())

    assert task.cancelled()


async def test_a_closed_group_starts_nothing() -> None:
    tasks = TaskGroup("test")
    await tasks.close()

    with pytest.raises(RuntimeError):
        tasks.start("late", asyncio.sleep(0))
