"""
One request and its answer, as transcripts: what arrives on either side, what leaves on the other.
"""

from __future__ import annotations

import pytest

from perijove.proxy.core.confine import Fence
from perijove.proxy.core.heads import MAX_HEAD
from perijove.proxy.core.relocation import Relocation
from perijove.proxy.core.requests import FieldsMemo, read_request
from perijove.proxy.core.routes import Entry
from perijove.proxy.net.exchange import MAX_INTERIM, Exchange
from perijove.proxy.net.upstream import UpstreamConnection
from tests.support.wires import StepLoop, Wire, upstream_on

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


class Play:
    """An exchange, and both its sides as a test sees them."""

    def __init__(
        self,
        head: bytes = GET,
        *,
        is_reused: bool = False,
        fence: Fence | None = None,
        relocation: Relocation | None = None,
    ) -> None:
        self.pending = b""
        self.status = 0
        self.out = bytearray()
        #: what the client was told about the end: "over", "close", "abort" or the status of an error page
        self.ends: list[str] = []
        self.holds: list[bool] = []
        self.returned: list[UpstreamConnection] = []
        self.tunnels: list[UpstreamConnection] = []
        self.reconnects = 0
        self.is_draining = False
        self.time = 100.0
        self.entry = Entry(path="/x", body={"target": "http://192.0.2.1:80", "access": "open"}, last_activity=1.0)
        self.exchange = Exchange(
            client=self,
            surroundings=self,
            request=read_request(head, FieldsMemo()),
            head=b"<head>",
            entry=self.entry,
            claims=None,
            fence=fence,
            relocation=relocation,
        )
        self._loop = StepLoop()
        self.wire = Wire(self._loop)
        self.upstream = upstream_on(self.wire, is_reused=is_reused)

    def begin(self, pending: bytes = b"") -> Play:
        """The connection is there; *pending* is what the client has sent ahead."""
        self.pending = pending
        self.exchange.start(self.upstream)
        return self

    def answer(self, *pieces: bytes) -> Play:
        """The server sends *pieces*."""
        for piece in pieces:
            self.wire.arrive(piece)
        return self

    # ClientSide

    def write(self, data: bytes) -> None:
        self.out += data

    def take_pending(self) -> bytes:
        pending, self.pending = self.pending, b""
        return pending

    def hold_for_server(self, *, hold: bool) -> None:
        self.holds.append(hold)

    def request_over(self, *, close: bool) -> None:
        self.ends.append("close" if close else "over")

    def fail(self, status: int, exchange: Exchange) -> None:
        assert exchange is self.exchange
        self.ends.append(str(int(status)))

    def abort(self) -> None:
        self.ends.append("abort")

    # Surroundings

    def put_back(self, upstream: UpstreamConnection) -> None:
        self.returned.append(upstream)

    def reconnect(self, exchange: Exchange) -> None:
        assert exchange is self.exchange
        self.reconnects += 1

    def join(self, exchange: Exchange, upstream: UpstreamConnection) -> None:
        assert exchange is self.exchange
        self.tunnels.append(upstream)

    def now(self) -> float:
        return self.time


def test_an_answer_ends_the_exchange_and_frees_the_connection() -> None:
    play = Play().begin().answer(OK)

    assert bytes(play.wire.out) == b"<head>"
    assert bytes(play.out) == OK
    assert play.ends == ["over"]
    assert play.returned == [play.upstream]
    assert play.upstream.borrower is None
    assert play.exchange.is_over


def test_nothing_is_kept_back_until_an_answer_is_complete() -> None:
    """
    Trap 20.
    """
    play = Play().begin().answer(OK[:-1])

    assert bytes(play.out) == OK[:-1]
    assert play.exchange.is_answering
    assert play.ends == []


@pytest.mark.parametrize("head", [GET.replace(b"1.1", b"1.0"), GET[:-2] + b"Connection: close\r\n\r\n"])
def test_a_client_that_will_close_is_told_so_but_the_server_is_kept(head: bytes) -> None:
    """
    Trap 10.
    """
    play = Play(head).begin().answer(OK)

    assert b"\r\nConnection: close\r\n" in play.out
    assert play.ends == ["close"]
    assert play.returned == [play.upstream]


def test_while_draining_every_answer_closes() -> None:
    play = Play()
    play.is_draining = True
    play.begin().answer(OK)

    assert b"\r\nConnection: close\r\n" in play.out
    assert play.ends == ["close"]


def test_a_server_that_will_close_is_not_kept_but_the_client_is() -> None:
    play = Play().begin().answer(OK.replace(b"Content", b"Connection: close\r\nContent", 1))

    assert b"close" not in play.out
    assert play.ends == ["over"]
    assert play.returned == []
    assert play.wire.is_cut


def test_a_retired_route_gets_no_connection_back() -> None:
    """
    Trap 14.
    """
    play = Play().begin()
    play.entry.live = False
    play.answer(OK)

    assert play.ends == ["over"]
    assert play.returned == []
    assert play.wire.is_cut


def test_bytes_behind_the_answer_are_dropped_with_the_connection() -> None:
    """
    Trap 8.
    """
    play = Play().begin().answer(OK + OK)

    assert bytes(play.out) == OK
    assert play.returned == []
    assert play.wire.is_cut


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_bytes_behind_an_answer_without_a_body_are_dropped_too(status: bytes) -> None:
    """
    Traps 6 and 8.
    """
    play = Play().begin().answer(b"HTTP/1.1 " + status + b" X\r\n\r\nplanted")

    assert bytes(play.out) == b"HTTP/1.1 " + status + b" X\r\n\r\n"
    assert play.ends == ["over"]
    assert play.wire.is_cut


def test_the_length_of_an_answer_to_head_is_no_body() -> None:
    """
    Trap 6.
    """
    play = Play(GET.replace(b"GET", b"HEAD")).begin().answer(OK[:-2])

    assert play.ends == ["over"]
    assert play.returned == [play.upstream]


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    """
    Trap 8: the client is told that its connection ends too.
    """
    play = Play().begin().answer(b"HTTP/1.1 200 OK\r\n\r\n", b"all ", b"of it")
    before = list(play.ends)
    play.wire.lose()

    assert before == []
    assert bytes(play.out) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"
    assert play.ends == ["close"]


def test_an_answer_without_a_length_that_breaks_is_not_complete() -> None:
    play = Play().begin().answer(b"HTTP/1.1 200 OK\r\n\r\n", b"half")
    play.wire.lose(ConnectionResetError())

    assert play.ends == ["abort"]


@pytest.mark.parametrize("answer", [OK[:-1], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"])
def test_half_an_answer_is_never_finished_cleanly(answer: bytes) -> None:
    """
    Trap 8.
    """
    play = Play().begin().answer(answer)
    play.wire.lose()

    assert play.ends == ["abort"]


def test_a_body_is_passed_on_and_what_follows_is_not() -> None:
    """
    Trap 7.
    """
    play = Play(POST).begin(b"he")
    wanted = play.exchange.wants_body
    rest = play.exchange.request_received(b"lloGET /")

    assert wanted
    assert rest == b"GET /"
    assert bytes(play.wire.out) == b"<head>hello"
    assert not play.exchange.wants_body
    assert not play.exchange.has_body_left


def test_what_is_sent_ahead_of_a_connection_is_body_first() -> None:
    """
    Trap 12.
    """
    play = Play(POST).begin(b"helloGET /")

    assert bytes(play.wire.out) == b"<head>hello"
    assert play.pending == b"GET /"


def test_without_a_body_nothing_that_is_pending_is_touched() -> None:
    play = Play().begin(b"GET /")

    assert bytes(play.wire.out) == b"<head>"
    assert play.pending == b"GET /"
    assert play.exchange.request_received(b"more") == b"more"


def test_no_body_is_wanted_before_there_is_somewhere_to_put_it() -> None:
    play = Play(POST)

    assert not play.exchange.wants_body
    assert play.exchange.has_body_left
    assert play.exchange.request_received(b"hello") == b"hello"


def test_trailers_of_a_request_do_not_reach_the_server() -> None:
    """
    Trap 4: uvicorn with httptools takes them for fields of the head, aiohttp for fields of the request behind.
    """
    play = Play(CHUNKED).begin()
    rest = play.exchange.request_received(b"2\r\nok\r\n0\r\nX-Perijove-Id")
    rest += play.exchange.request_received(b"entity: forged\r\n\r\nGET /")

    assert bytes(play.wire.out) == b"<head>2\r\nok\r\n0\r\n\r\n"
    assert rest == b"GET /"
    assert not play.exchange.has_body_left


def test_trailers_of_an_answer_do_not_reach_the_client() -> None:
    """
    Trap 4: a confined server must not say there what it may not say in a head.
    """
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    play = Play().begin().answer(head + b"2\r\nok\r\n0\r\nSet-Coo", b"kie: a=b\r\n\r\n")

    assert bytes(play.out) == head + b"2\r\nok\r\n0\r\n\r\n"
    assert play.ends == ["over"]
    assert play.returned == [play.upstream]


def test_a_malformed_chunk_ends_the_request() -> None:
    """
    Trap 4.
    """
    play = Play(CHUNKED).begin()
    rest = play.exchange.request_received(b"zz\r\n")

    assert rest == b""
    assert bytes(play.wire.out) == b"<head>"
    assert play.ends == ["400"]
    assert play.wire.is_cut


def test_a_malformed_chunk_under_an_answer_cuts_the_answer() -> None:
    play = Play(CHUNKED).begin().answer(OK[:-1])
    play.exchange.request_received(b"zz\r\n")

    assert play.ends == ["abort"]


def test_an_answer_before_the_body_is_over_ends_both_connections() -> None:
    """
    Trap 9: the rest of the body must not be taken for a request, by either side.
    """
    play = Play(POST).begin(b"he").answer(OK)

    assert play.ends == ["close"]
    assert b"\r\nConnection: close\r\n" in play.out
    assert play.returned == []
    assert play.wire.is_cut


def test_a_body_that_ends_during_the_answer_still_ends_the_connection_it_was_said_to() -> None:
    play = Play(POST).begin(b"he").answer(OK[:-1])
    play.exchange.request_received(b"llo")
    play.answer(OK[-1:])

    assert play.ends == ["close"]
    assert play.returned == [play.upstream]


def test_interim_answers_are_passed_on_and_are_not_the_answer() -> None:
    """
    Trap 5: any 1xx, several, whole or in pieces.
    """
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    play = Play().begin().answer(b"HTTP/1.1 100 Continue\r\n\r\n" + hints[:10], hints[10:] + OK)

    assert bytes(play.out) == b"HTTP/1.1 100 Continue\r\n\r\n" + hints + OK
    assert play.ends == ["over"]


def test_a_client_of_http_1_0_gets_no_interim_answers() -> None:
    """
    RFC 9110 section 15.2.
    """
    play = Play(GET.replace(b"1.1", b"1.0")).begin().answer(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)

    assert play.out.startswith(b"HTTP/1.1 200 OK\r\n")


def test_interim_answers_are_bounded() -> None:
    """
    Trap 5.
    """
    play = Play().begin().answer(b"HTTP/1.1 103 X\r\n\r\n" * (MAX_INTERIM + 1))

    assert play.ends == ["502"]
    assert play.out.count(b"103") == MAX_INTERIM


def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    """
    Trap 1.
    """
    play = Play(GET.replace(b"1.1", b"1.0")).begin().answer(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")

    assert play.ends == ["502"]
    assert play.out == b""


def test_a_head_that_never_ends_is_given_up() -> None:
    """
    Trap 18.
    """
    play = Play().begin().answer(b"HTTP/1.1 200 OK\r\nA: " + b"x" * MAX_HEAD)

    assert play.ends == ["502"]
    assert play.wire.is_cut


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\nA: b\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
)
def test_what_is_not_understood_is_a_502(answer: bytes) -> None:
    play = Play().begin().answer(answer)

    assert play.ends == ["502"]
    assert play.out == b""


def test_chunks_that_go_wrong_later_cut_the_answer() -> None:
    play = Play().begin().answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"zz\r\n")

    assert play.ends == ["abort"]
    assert play.out.endswith(b"2\r\nok\r\n")


def test_a_switch_of_protocols_makes_a_tunnel() -> None:
    """
    Trap 7: what the server says behind its 101 is the tunnel's.
    """
    play = Play(UPGRADE).begin().answer(SWITCHED + b"frame")

    assert play.out.startswith(b"HTTP/1.1 101 ")
    assert play.out.endswith(b"\r\n\r\nframe")
    assert play.out.lower().count(b"upgrade: websocket") == 1
    assert play.tunnels == [play.upstream]
    assert play.exchange.is_over
    assert play.ends == []


def test_a_switch_that_nobody_asked_for_is_a_502() -> None:
    """
    Trap 6.
    """
    play = Play().begin().answer(SWITCHED)

    assert play.ends == ["502"]
    assert play.tunnels == []


def test_a_refused_upgrade_ends_the_clients_connection() -> None:
    """
    What it sends behind it would be taken for a request.
    """
    play = Play(UPGRADE).begin().answer(OK)

    assert play.ends == ["close"]
    assert b"\r\nConnection: close\r\n" in play.out


def test_a_gated_answer_is_confined() -> None:
    play = Play(fence=Fence("/user/ada")).begin().answer(OK.replace(b"Content", b"Clear-Site-Data: *\r\nContent", 1))

    assert bytes(play.out) == OK


def test_a_stale_connection_is_replaced_once() -> None:
    """
    Trap 13.
    """
    play = Play(is_reused=True).begin()
    play.wire.lose()
    second = Wire(StepLoop())
    between = list(play.ends)
    play.exchange.start(upstream_on(second, is_reused=True))
    second.lose()

    assert play.reconnects == 1
    assert play.exchange.is_retried
    assert between == []
    assert bytes(second.out) == b"<head>"
    assert play.ends == ["503"]


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 X\r\n\r\n"])
@pytest.mark.parametrize("head", [GET, POST])
@pytest.mark.parametrize("is_reused", [True, False])
@pytest.mark.parametrize("live", [True, False])
def test_nothing_is_sent_twice_that_may_have_been_acted_on(
    said: bytes, head: bytes, *, is_reused: bool, live: bool
) -> None:
    """
    Trap 13: only on a connection that was idle, before any byte of an answer, and only what is safe.
    """
    play = Play(head, is_reused=is_reused).begin().answer(said)
    play.entry.live = live
    play.wire.lose()

    is_safe = not said and head == GET and is_reused and live
    assert play.reconnects == int(is_safe)
    assert play.ends == ([] if is_safe else ["503"])


def test_a_server_that_does_not_read_holds_back_the_client() -> None:
    """
    Trap 17.
    """
    play = Play(POST).begin()
    play.wire.fill(full=True)
    play.wire.fill(full=False)

    assert play.holds == [True, False]


def test_a_client_that_does_not_read_holds_back_the_server() -> None:
    """
    Trap 17.
    """
    play = Play().begin()
    play.exchange.client_full(full=True)
    held = play.wire.is_paused
    play.exchange.client_full(full=False)

    assert held
    assert not play.wire.is_paused


def test_without_a_server_there_is_nobody_to_hold_back() -> None:
    play = Play()
    play.exchange.client_full(full=True)

    assert play.ends == []
    assert not play.wire.is_paused


def test_a_client_that_leaves_takes_its_server_along() -> None:
    play = Play().begin()
    play.exchange.client_lost()

    assert play.wire.is_cut
    assert play.upstream.borrower is None
    assert play.ends == []


def test_a_client_that_leaves_before_there_is_a_server_ends_the_exchange() -> None:
    play = Play()
    play.exchange.client_lost()

    assert play.exchange.is_over


def test_a_right_that_ends_cuts_both_sides() -> None:
    play = Play().begin().answer(OK[:-1])
    play.exchange.revoke()

    assert play.wire.is_cut
    assert play.ends == ["abort"]


def test_a_server_that_is_not_there_is_a_503() -> None:
    play = Play()
    play.exchange.unreachable()
    play.exchange.unreachable()

    assert play.ends == ["503"]


def test_silence_is_a_504() -> None:
    play = Play().begin()
    play.exchange.time_out()

    assert play.ends == ["504"]
    assert play.wire.is_cut


def test_progress_is_a_byte_in_either_direction() -> None:
    play = Play(POST).begin()
    begun = play.exchange.progress
    play.time = 101.0
    play.exchange.request_received(b"he")
    asked = play.exchange.progress
    play.time = 102.0
    play.answer(b"HTTP/1.1 ")

    assert [begun, asked, play.exchange.progress] == [100.0, 101.0, 102.0]


@pytest.mark.parametrize(("status", "counts"), [(b"200 OK", True), (b"302 Found", False), (b"500 Oops", False)])
def test_only_success_is_activity(status: bytes, counts: bool) -> None:  # noqa: FBT001  # parameter
    """
    Contract section h.
    """
    play = Play().begin().answer(OK.replace(b"200 OK", status))

    assert (play.entry.last_activity > 1.0) is counts


def test_a_body_sent_is_activity() -> None:
    play = Play(POST).begin(b"he")

    assert play.entry.last_activity > 1.0


@pytest.mark.parametrize(
    ("status", "location"), [(b"302 Found", b"http://x/there"), (b"200 OK", b"http://192.0.2.1:80/there")]
)
def test_a_redirect_to_the_server_itself_leads_to_where_the_client_asked(status: bytes, location: bytes) -> None:
    play = Play(relocation=Relocation(host=True)).begin()
    play.answer(b"HTTP/1.1 %b\r\nContent-Length: 0\r\nLocation: http://192.0.2.1:80/there\r\n\r\n" % status)

    assert b"\r\nLocation: %b\r\n" % location in play.out


def test_the_client_knows_its_status_for_the_books() -> None:
    play = Play().begin()
    play.answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    assert play.status == 404
