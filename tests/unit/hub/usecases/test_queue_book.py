from __future__ import annotations

import asyncio
from dataclasses import replace

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.queue import Place
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.queue_book import QueueBook
from perijove.hub.usecases.testing import START
from perijove.hub.usecases.testing_time import LoopClock

SERVER = Server(id=1, user_id=1, user_name="ada", name="", state=State.QUEUED, generation=1, created=START)


def entered(state: State) -> Server:
    return replace(SERVER, state=state)


async def test_whoever_comes_and_whoever_makes_room_is_news() -> None:
    book = QueueBook(clock=LoopClock())
    for state in (State.QUEUED, State.READY, State.STOPPING, State.STOPPED):
        book.moved(entered(state))
        await asyncio.wait_for(book.news(60), 1)

    book.wake()
    await asyncio.wait_for(book.news(60), 1)


async def test_a_start_that_goes_on_is_no_news() -> None:
    clock = LoopClock()
    book = QueueBook(clock=clock)
    for state in (State.LAUNCHING, State.PROBING, State.ROUTING):
        book.moved(entered(state))
    before = clock.monotonic()

    await book.news(5)

    assert clock.monotonic() - before >= 5


async def test_what_a_start_usually_takes_follows_the_latest_that_succeeded() -> None:
    book = QueueBook(clock=LoopClock())
    usual = []
    for seconds, end in ((10, State.READY), (60, State.STOPPING), (20, State.READY)):
        book.moved(entered(State.LAUNCHING))
        await asyncio.sleep(seconds)
        book.moved(entered(end))
        assert book.start_seconds is not None
        usual.append(round(book.start_seconds))

    assert usual == [10, 10, 12]


async def test_places_are_those_told_last() -> None:
    book = QueueBook(clock=LoopClock())
    book.stand({1: Place(ahead=2)})
    book.stand({2: Place(ahead=0)})

    assert (book.place_of(1), book.place_of(2)) == (None, Place(ahead=0))
