"""
A client's connection from its first byte to its last, as transcripts.
"""

from __future__ import annotations

from perijove.proxy.net.client import Phase
from tests.support.scene import OK, Reply, Scene

ASK = b"GET /user/ada/%d HTTP/1.1\r\nHost: x\r\n\r\n"
UPLOAD = b"POST /user/ada/x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


def test_what_was_sent_ahead_is_answered_although_the_client_sends_no_more() -> None:
    """
    Trap 15: having said all is not having left.
    """
    scene = Scene(connects=False)
    scene.send(ASK % 1, ASK % 2 + UPLOAD).end()
    for _ in range(3):
        scene.connect()

    assert [seen.target for seen in scene.log] == [b"/user/ada/1", b"/user/ada/2", b"/user/ada/x"]
    assert scene.out == OK * 3
    assert scene.wire.is_closed
    assert not scene.wire.is_cut


def test_half_a_request_behind_the_last_is_dropped_with_the_connection() -> None:
    scene = Scene(connects=False)
    scene.send(ASK % 1, (ASK % 2)[:-1]).end()
    scene.connect()

    assert scene.out == OK
    assert scene.wire.is_closed


def test_an_upload_that_ends_too_early_is_cut_off() -> None:
    """
    Nobody is to take it for complete: neither the server nor whoever sent it.
    """
    scene = Scene().send(UPLOAD[:-1]).end()

    assert scene.log == []
    assert scene.servers[0].wire.is_cut
    assert scene.wire.is_cut


def test_a_connection_that_ends_between_requests_is_closed() -> None:
    scene = Scene().send(ASK % 1).end()

    assert scene.out == OK
    assert scene.client.phase is Phase.GONE


def test_a_client_that_does_not_take_its_answer_gets_it_before_the_next_one_is_made() -> None:
    """
    Trap 17, and trap 15 in the middle of it.
    """
    scene = Scene(lambda _, number: Reply((OK.replace(b"ok", b"%02d" % number),)))
    scene.wire.fill(full=True)
    scene.send(ASK % 1 + ASK % 2).end()
    asked_before = len(scene.log)
    scene.wire.fill(full=False)
    scene.settle()

    assert asked_before <= 1
    assert [seen.target for seen in scene.log] == [b"/user/ada/1", b"/user/ada/2"]
    assert scene.wire.is_closed
