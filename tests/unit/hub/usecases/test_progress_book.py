from __future__ import annotations

import asyncio
from dataclasses import replace

from perijove.hub.domain.lifecycle import State
from perijove.hub.domain.servers import Server
from perijove.hub.usecases.progress_book import MAX_EVENTS, ProgressBook
from perijove.hub.usecases.testing import START

SERVER = Server(id=1, user_id=2, user_name="a&b", name="", state=State.LAUNCHING, generation=1, created=START)


async def nothing() -> None:
    """
    Nobody looks.
    """


def at(state: State, failure: str = "") -> Server:
    return replace(SERVER, state=state, failure=failure)


def test_the_last_word_has_the_address_as_text_and_as_html() -> None:
    event = ProgressBook(base_url="/").last_word(at(State.READY))

    assert event.to_json() == {
        "progress": 100,
        "ready": True,
        "message": "Server ready at /user/a%26b/",
        "html_message": 'Server ready at <a href="/user/a%26b/">/user/a%26b/</a>',
        "url": "/user/a%26b/",
    }


async def test_a_start_that_another_hub_began_is_told_from_its_row() -> None:
    book = ProgressBook(base_url="/")
    story = book.follow(at(State.PROBING), nothing, every=60)
    first = await anext(story)

    book.moved(at(State.READY))

    assert first.message == "Waiting for the server to answer..."
    assert (await anext(story)).ready
    assert [event async for event in story] == []


async def test_a_chattering_spawner_cannot_fill_the_memory() -> None:
    book = ProgressBook(base_url="/")
    book.moved(at(State.QUEUED))
    for n in range(10 * MAX_EVENTS):
        book.say(SERVER.id, 50, f"message {n}")
    story = asyncio.ensure_future(_all(book))  # noqa: TID251  # the test's own reader
    await asyncio.sleep(0)
    book.moved(at(State.READY))

    assert len(await story) == MAX_EVENTS + 1


async def _all(book: ProgressBook) -> list[str]:
    return [event.message async for event in book.follow(SERVER, nothing, every=60)]


async def test_nothing_is_kept_of_a_start_that_is_over() -> None:
    book = ProgressBook(base_url="/")
    for end in (at(State.READY), at(State.STOPPED, "it failed"), at(State.STOPPING)):
        book.moved(at(State.QUEUED))
        waiter = book.next_move(SERVER.id)
        book.moved(end)
        book.say(SERVER.id, 50, "too late")

        assert await waiter == end
        assert book._logs == {}
        assert book._waiters == {}


async def test_who_stops_waiting_is_forgotten() -> None:
    book = ProgressBook(base_url="/")
    one, other = book.next_move(1), book.next_move(1)

    one.cancel()
    await asyncio.sleep(0)
    still = set(book._waiters[1])
    other.cancel()
    await asyncio.sleep(0)

    assert still == {other}
    assert book._waiters == {}
