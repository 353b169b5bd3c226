"""
Where the network cuts a stream of bytes changes nothing about what it means.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.messages import (
    LEGAL_ANSWERS,
    LEGAL_REQUESTS,
    REFUSED_ANSWERS,
    REFUSED_CHUNKS,
    REFUSED_HEADS,
    Legal,
    LegalAnswer,
    Refused,
)
from tests.support.scene import OK, Reply, Scene, Seen

ECHO = 2


def echo(seen: Seen, number: int) -> Reply:
    body = b"%d %b %b %d" % (number, seen.method, seen.target, len(seen.body))
    if seen.method == b"HEAD":
        return Reply((OK[:-ECHO],))
    return Reply((b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body),))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """*data* in pieces; nothing is in none."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if a < b]


def bytewise(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def outcome(pieces: list[bytes], *, connects: bool = True) -> tuple[object, ...]:
    """All that can be told from outside: what servers have read, what the client got, how it ended."""
    scene = Scene(echo, connects=connects)
    scene.send(*pieces)
    if not connects and scene.requests:
        scene.connect()
    said = [(seen.method, seen.target, bytes(seen.body), seen.fields, seen.trailers) for seen in scene.log]
    return said, scene.out, scene.wire.has_ended, scene.wire.is_closed


@pytest.mark.parametrize("case", LEGAL_REQUESTS, ids=str)
def test_a_server_reads_exactly_the_requests_that_were_sent(case: Legal) -> None:
    """
    Traps 4 and 7, the good half: by another parser than ours.
    """
    scene = Scene(echo).send(case.data)

    assert [(seen.method, seen.target, bytes(seen.body)) for seen in scene.log] == list(case.means)
    assert scene.out.count(b"HTTP/1.1 200 OK\r\n") == len(case.means)


@pytest.mark.parametrize("case", LEGAL_REQUESTS, ids=str)
def test_requests_mean_the_same_byte_by_byte(case: Legal) -> None:
    assert outcome(bytewise(case.data)) == outcome([case.data])


@pytest.mark.parametrize("case", LEGAL_REQUESTS, ids=str)
def test_requests_mean_the_same_cut_in_two_anywhere(case: Legal) -> None:
    whole = outcome([case.data])
    places = range(1, min(len(case.data), 400))

    assert [place for place in places if outcome([case.data[:place], case.data[place:]]) != whole] == []


@settings(deadline=None)
@given(st.lists(st.sampled_from(LEGAL_REQUESTS), min_size=1, max_size=4), st.lists(st.integers(0, 10_000), max_size=12))
def test_streams_of_requests_mean_the_same_however_they_are_cut(cases: list[Legal], places: list[int]) -> None:
    data = b"".join(case.data for case in cases)

    assert outcome(cut(data, places)) == outcome([data])


@settings(deadline=None)
@given(
    st.sampled_from([case for case in LEGAL_REQUESTS if len(case.means) == 1]),
    st.lists(st.integers(0, 10_000), max_size=6),
)
def test_requests_mean_the_same_while_the_server_is_being_connected_to(case: Legal, places: list[int]) -> None:
    """
    Trap 12: what arrives meanwhile is neither lost nor taken for something else.
    """
    assert outcome(cut(case.data, places), connects=False) == outcome([case.data])


@pytest.mark.parametrize("case", REFUSED_HEADS, ids=str)
def test_what_is_refused_reaches_no_server_however_it_is_cut(case: Refused) -> None:
    """
    Traps 1, 2, 3, 5, 6 and 18: nor does anything that follows it.
    """
    for pieces in ([case.data], bytewise(case.data) if len(case.data) < 1000 else cut(case.data, [7, 8000, 60_000])):
        scene = Scene(echo).send(*pieces)

        assert scene.servers == []
        assert scene.out.startswith(b"HTTP/1.1 %d " % case.status)
        assert b"\r\nConnection: close\r\n" in scene.out
        assert scene.out.count(b"HTTP/1.1 ") == 1
        assert scene.wire.has_ended


@pytest.mark.parametrize(("why", "head", "body"), REFUSED_CHUNKS, ids=[why for why, _, _ in REFUSED_CHUNKS])
def test_a_malformed_chunk_is_never_a_complete_request(why: str, head: bytes, body: bytes) -> None:
    """
    Trap 4: whatever follows on the connection is not served either.
    """
    following = b"GET /user/ada/next HTTP/1.1\r\nHost: x\r\n\r\n"
    for pieces in ([head + body + following], [head, body + following], bytewise(head + body + following)):
        scene = Scene(echo).send(*pieces)

        assert scene.log == [], why
        assert scene.out.startswith(b"HTTP/1.1 400 ")
        assert scene.servers[0].wire.is_cut


def answered(case: LegalAnswer, pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    request = case.method + b" /user/ada/x HTTP/1.1\r\nHost: x\r\n\r\n"
    scene = Scene(lambda _, __: Reply(tuple(pieces), closes=case.closes)).send(request)
    return scene.out, scene.wire.has_ended, scene.wire.is_cut


@pytest.mark.parametrize("case", LEGAL_ANSWERS, ids=str)
def test_an_answer_arrives_as_it_should_wherever_it_is_cut(case: LegalAnswer) -> None:
    """
    Traps 5, 6, 8 and 11: interim and final, framed, chunked with trailers, until the end.
    """
    whole = answered(case, [case.data])

    assert whole[0] == (case.gets or case.data)
    assert answered(case, bytewise(case.data)) == whole
    for place in range(1, len(case.data)):
        assert answered(case, [case.data[:place], case.data[place:]]) == whole


@settings(deadline=None)
@given(st.sampled_from(LEGAL_ANSWERS), st.lists(st.integers(0, 1000), max_size=8))
def test_answers_mean_the_same_however_they_are_cut(case: LegalAnswer, places: list[int]) -> None:
    assert answered(case, cut(case.data, places)) == answered(case, [case.data])


@pytest.mark.parametrize("case", REFUSED_ANSWERS, ids=str)
def test_an_answer_that_is_not_understood_is_never_complete(case: Refused) -> None:
    """
    Traps 1 to 6 and 18, towards servers: a 502, or a cut connection if the answer had begun.
    """
    request = b"GET /user/ada/x HTTP/1.1\r\nHost: x\r\n\r\n"
    for pieces in ([case.data], bytewise(case.data) if len(case.data) < 2000 else cut(case.data, [9, 60_000])):
        scene = Scene(lambda _, __, pieces=pieces: Reply(tuple(pieces))).send(request)  # type: ignore[misc]
        final = scene.out[scene.out.rfind(b"HTTP/1.1 ") :]

        assert final.startswith(b"HTTP/1.1 502 ") or scene.wire.is_cut
        assert scene.servers[0].wire.is_cut
        if pieces == [case.data]:
            assert final.startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("answer", LEGAL_ANSWERS, ids=str)
def test_half_an_answer_is_never_a_whole_one(answer: LegalAnswer) -> None:
    """
    Trap 8: the server goes away after any byte.
    """
    request = answer.method + b" /user/ada/x HTTP/1.1\r\nHost: x\r\n\r\n"
    end_of_head = answer.data.index(b"\r\n\r\n") + 4
    for place in range(len(answer.data)):
        scene = Scene(lambda _, __, place=place: Reply((answer.data[:place],), closes=True)).send(request)  # type: ignore[misc]
        is_told = b"HTTP/1.1 503 " in scene.out
        # Where only the end of the connection ends it, nobody can tell; the client is told that it is so.
        until_end = b"\r\nConnection: close\r\n" in scene.out and answer.closes and place >= end_of_head

        assert is_told or scene.wire.is_cut or until_end


def test_bytes_ahead_of_an_upgrade_are_the_tunnels_wherever_they_are_cut() -> None:
    """
    Trap 7.
    """
    ask = b"GET /user/ada/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    frames = b"\x81\x85abcdefghi"
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    for place in range(len(ask) + 1):
        scene = Scene(lambda _, __: Reply((switch + b"hello",)), connects=False)
        scene.send(ask[:place], ask[place:] + frames)
        scene.connect()

        assert len(scene.tunnels) == 1
        assert bytes(scene.servers[0].tunnelled) == frames
        assert scene.out.endswith(b"\r\n\r\nhello")


def test_a_client_that_sends_without_end_ahead_of_its_turn_is_not_read() -> None:
    """
    Trap 7: what waits is bounded.
    """
    scene = Scene(connects=False)
    scene.send(b"GET /user/ada/x HTTP/1.1\r\nHost: x\r\n\r\n")
    scene.client.hold_for_connect(hold=False)
    for _ in range(100):
        scene.send(b"GET /user/ada/x HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

    assert scene.wire.is_paused
    assert len(scene.client.pending) < 80_000
    assert scene.wire.unread > 100_000
