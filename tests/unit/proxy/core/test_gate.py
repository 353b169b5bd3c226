from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from perijove.proxy.core.gate import (
    REFUSAL_SECONDS,
    Allow,
    AskHub,
    Decision,
    Enter,
    Exchanged,
    Gate,
    Refuse,
    Visit,
    hub_token_of,
    is_same_origin,
)
from perijove.proxy.core.requests import FieldsMemo, RequestHead, read_request
from perijove.proxy.core.revocation import RevocationList
from perijove.wire.control import Revocation
from perijove.wire.identity import IdentityClaims, binding_of, digest_of

NOW = 500.0
CLAIMS = IdentityClaims(sub="ada", sid="s1", aud="ada/", scope=("read",), name="Ada", iat=100, exp=1000, jti="j")
HTML = b"Accept: text/html,*/*"
COOKIE = b"Cookie: perijove-identity=good"
UPGRADE = (b"Connection: Upgrade", b"Upgrade: websocket")


def ask(*lines: bytes, start: bytes = b"GET /user/ada/lab?a=1 HTTP/1.1") -> RequestHead:
    head = b"\r\n".join([start, b"Host: hub.example.org:8000", *lines]) + b"\r\n\r\n"
    return read_request(head, FieldsMemo())


@dataclass
class World:
    """A gate that believes the token `good` of ada/, and counts the signatures it checks."""

    revocations: RevocationList = field(default_factory=RevocationList)
    claims: IdentityClaims = CLAIMS
    checked: int = 0
    limit: int = 100
    gate: Gate = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(verify=self._verify, revocations=self.revocations, enter_path="/hub/enter", limit=self.limit)

    def _verify(self, identity: str, audience: str) -> IdentityClaims | None:
        self.checked += 1
        return self.claims if identity.startswith("good") and audience == self.claims.aud else None

    def decide(self, request: RequestHead, *, audience: str = "ada/", now: float = NOW) -> Decision:
        return self.gate.decide(audience=audience, request=request, now=now)

    def learn(self, identity: str, *, until: float = 900.0) -> None:
        self.gate.learn(token="t", audience="ada/", exchanged=Exchanged(identity=identity, until=until))


def test_a_good_statement_lets_in() -> None:
    decision = World().decide(ask(COOKIE))

    assert decision == Allow(identity="good", claims=CLAIMS, target=b"/user/ada/lab?a=1")


def test_a_statement_for_another_server_does_not() -> None:
    assert isinstance(World().decide(ask(COOKIE), audience="eve/"), Refuse)


def test_a_route_without_audience_refuses_everybody() -> None:
    assert isinstance(World().decide(ask(COOKIE), audience=""), Refuse)


def test_any_valid_cookie_of_several_counts() -> None:
    """
    The cookies of `/user/ada/` and `/user/ada/lab/` both arrive at the second.
    """
    request = ask(b"Cookie: perijove-identity=bad; perijove-identity=good")

    assert isinstance(World().decide(request), Allow)


def test_valid_cookies_of_two_people_let_nobody_in() -> None:
    """
    One of them was planted: by script of a server that both may enter, at a longer path so that it comes first.
    """
    people = {"good": CLAIMS, "good-too": replace(CLAIMS, sub="eve", sid="s2")}
    gate = Gate(verify=lambda identity, _: people[identity], revocations=RevocationList(), enter_path="/hub/enter")
    request = ask(b"Cookie: perijove-identity=good-too; perijove-identity=good", HTML)

    assert isinstance(gate.decide(audience="ada/", request=request, now=NOW), Refuse)


@pytest.mark.parametrize(("is_behind", "kind"), [(True, Allow), (False, Refuse)])
def test_a_statement_in_the_header_counts_only_behind_somebody_who_puts_it_there(
    *, is_behind: bool, kind: type[Decision]
) -> None:
    world = World()
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", is_behind=is_behind)
    good, bad = (ask(b"X-Perijove-Identity: " + value) for value in (b"good", b"bad"))
    twice = ask(b"X-Perijove-Identity: good", b"X-Perijove-Identity: good")

    assert isinstance(gate.decide(audience="ada/", request=good, now=NOW), kind)
    assert isinstance(gate.decide(audience="ada/", request=bad, now=NOW), Refuse)
    assert isinstance(gate.decide(audience="ada/", request=twice, now=NOW), Refuse)
    assert isinstance(gate.decide(audience="eve/", request=good, now=NOW), Refuse)


def test_a_statement_in_the_header_is_checked_like_a_cookie() -> None:
    """
    What changes something must come from this host.
    """
    world = World()
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", is_behind=True)
    request = ask(b"X-Perijove-Identity: good", b"Origin: http://evil", start=b"POST /user/ada/ HTTP/1.1")

    assert isinstance(gate.decide(audience="ada/", request=request, now=NOW), Refuse)


def test_a_signature_is_checked_once() -> None:
    world = World()
    for _ in range(3):
        world.decide(ask(COOKIE))
        world.decide(ask(b"Cookie: perijove-identity=bad"))

    assert world.checked == 2


def test_verdicts_are_forgotten_with_the_keys() -> None:
    world = World()
    world.decide(ask(COOKIE))
    world.gate.forget()
    world.decide(ask(COOKIE))

    assert world.checked == 2


def test_remembered_verdicts_are_bounded() -> None:
    world = World(limit=2)
    for number in range(5):
        world.decide(ask(b"Cookie: perijove-identity=good%d" % number))

    assert world.gate.sessions() == 2


def test_made_up_statements_push_no_good_one_out() -> None:
    """
    Strangers can make up as many as they like; they are remembered apart, and fewer.
    """
    world = World(limit=2)
    world.decide(ask(COOKIE))
    for number in range(5):
        world.decide(ask(b"Cookie: perijove-identity=bad%d" % number))
    world.decide(ask(COOKIE))

    assert world.checked == 6


def test_a_token_that_the_hub_would_not_look_at_is_not_asked_about() -> None:
    assert isinstance(World().decide(ask(b"Authorization: token " + b"x" * 300)), Refuse)


def test_a_token_that_was_good_and_is_refused_now_is_refused() -> None:
    world = World()
    world.learn("good")
    world.learn("")

    assert isinstance(world.decide(ask(b"Authorization: token t")), Refuse)


def test_an_expired_statement_is_refused_although_it_was_good() -> None:
    world = World()
    world.decide(ask(COOKIE))

    assert isinstance(world.decide(ask(COOKIE), now=1000.5), Refuse)


def test_a_revoked_statement_is_refused_although_it_was_good() -> None:
    world = World()
    world.decide(ask(COOKIE))
    world.revocations.add(Revocation(before=100, user="ada"))

    assert isinstance(world.decide(ask(COOKIE)), Refuse)


def test_a_navigation_without_a_statement_goes_to_the_entrance() -> None:
    decision = World().decide(ask(HTML, b"Sec-Fetch-Mode: navigate"), audience="a b/lab")

    assert decision == Enter(location="/hub/enter?server=a%20b/lab&next=/user/ada/lab%3Fa%3D1")


@pytest.mark.parametrize(
    "request_head",
    [
        ask(),
        ask(b"Accept: application/json"),
        ask(HTML, b"Sec-Fetch-Mode: cors"),
        ask(HTML, start=b"POST /user/ada/lab HTTP/1.1"),
        ask(HTML, *UPGRADE),
    ],
)
def test_programs_are_refused_rather_than_redirected(request_head: RequestHead) -> None:
    assert isinstance(World().decide(request_head), Refuse)


CROSS = [
    (b"Origin: http://evil.example",),
    (b"Origin: null",),
    (b"Origin: http://hub.example.org",),
    (b"Sec-Fetch-Site: cross-site",),
    (b"Sec-Fetch-Site: same-site", b"Origin: http://hub.example.org:8000"),
    (b"Origin: garbage",),
]


@pytest.mark.parametrize("lines", CROSS)
def test_a_cookie_does_not_let_other_sites_act(lines: tuple[bytes, ...]) -> None:
    """
    Without this any web page could open a kernel's WebSocket with the visitor's cookie.
    """
    world = World()

    assert isinstance(world.decide(ask(COOKIE, *lines, start=b"POST /user/ada/x HTTP/1.1")), Refuse)
    assert isinstance(world.decide(ask(COOKIE, *lines, *UPGRADE)), Refuse)
    assert isinstance(world.decide(ask(COOKIE, *lines)), Allow)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"Origin: http://hub.example.org:8000", b"Sec-Fetch-Site: same-origin"),
        (b"Origin: HTTP://HUB.example.org:8000",),
        (b"Sec-Fetch-Site: none",),
    ],
)
def test_its_own_pages_may_act(lines: tuple[bytes, ...]) -> None:
    assert isinstance(World().decide(ask(COOKIE, *lines, start=b"POST /user/ada/x HTTP/1.1")), Allow)
    assert isinstance(World().decide(ask(COOKIE, *lines, *UPGRADE)), Allow)


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        (b"http://a", b"a:80", True),
        (b"https://a:443", b"a", True),
        (b"https://a", b"a:80", False),
        (b"http://a.b", b"b", False),
    ],
)
def test_default_ports_are_the_same_origin(origin: bytes, host: bytes, same: bool) -> None:  # noqa: FBT001  # parameter
    head = b"POST / HTTP/1.1\r\nHost: %b\r\nOrigin: %b\r\n\r\n" % (host, origin)

    assert is_same_origin(read_request(head, FieldsMemo())) is same


def test_a_hub_token_is_exchanged_once_and_then_lets_in() -> None:
    world = World()
    request = ask(b"Authorization: token t", b"Origin: http://evil.example", start=b"POST /user/ada/x HTTP/1.1")

    assert world.decide(request) == AskHub(token="t")
    world.learn("good")

    assert isinstance(world.decide(request), Allow)
    assert isinstance(world.decide(request, now=901.0), AskHub)


def test_a_refused_hub_token_is_not_asked_about_again_at_once() -> None:
    world = World()
    request = ask(b"Authorization: bearer t", HTML)
    world.learn("", until=NOW + REFUSAL_SECONDS)

    assert isinstance(world.decide(request), Refuse)
    assert isinstance(world.decide(request, now=NOW + REFUSAL_SECONDS + 1), AskHub)


def test_a_refused_hub_token_leaves_the_cookie_to_count() -> None:
    world = World()
    world.learn("")

    assert isinstance(world.decide(ask(b"Authorization: bearer t", COOKIE)), Allow)


def test_a_revoked_exchange_is_asked_about_anew() -> None:
    world = World()
    world.learn("good")
    world.revocations.add(Revocation(before=100, sid="s1"))

    assert isinstance(world.decide(ask(b"Authorization: bearer t")), AskHub)


@pytest.mark.parametrize(
    ("target", "token", "rest"),
    [
        (b"/x?token=abc", "abc", b"/x"),
        (b"/x?a=1&token=a%2Bb&b=2", "a+b", b"/x?a=1&b=2"),
        (b"/x?%74oken=abc&a", "abc", b"/x?a"),
        (b"/x?token=a&token=b", "a", b"/x"),
        (b"/x?tokens=a", "", b"/x?tokens=a"),
        (b"/x", "", b"/x"),
    ],
)
def test_a_websocket_may_carry_its_token_in_the_query(target: bytes, token: str, rest: bytes) -> None:
    """
    The token is taken out: the server must not see it.
    """
    start = b"GET " + target + b" HTTP/1.1"

    assert hub_token_of(ask(*UPGRADE, start=start)) == (token, rest)
    assert hub_token_of(ask(start=start)) == ("", target)


def test_visits_are_told_once_per_use() -> None:
    world = World()
    world.decide(ask(COOKIE))
    world.decide(ask(COOKIE))
    world.decide(ask(b"Cookie: perijove-identity=bad"))

    assert world.gate.take_visits() == [Visit(sid="s1", user="ada", audience="ada/", scope=("read",))]
    assert world.gate.take_visits() == []


def test_a_statement_with_other_claims_is_another_verdict() -> None:
    world = World(claims=replace(CLAIMS, aud="eve/"))

    assert isinstance(world.decide(ask(COOKIE), audience="eve/"), Allow)
    assert isinstance(world.decide(ask(COOKIE), audience="ada/"), Refuse)


HOST_COOKIE = "__Host-perijove-browser"
BOUND = replace(CLAIMS, binding=binding_of(HOST_COOKIE, digest_of("mine")))


@pytest.mark.parametrize(
    ("cookies", "kind"),
    [
        (b"__Host-perijove-browser=mine", Allow),
        (b"__Host-perijove-browser=mine; perijove-browser=planted", Allow),
        (b"__Host-perijove-browser=mine; __Host-perijove-browser=mine", Allow),
        (b"", Enter),
        (b"__Host-perijove-browser=another", Enter),
        (b"perijove-browser=mine", Enter),
        (b"__Host-perijove-browser=mine; __Host-perijove-browser=another", Enter),
        (b"__host-perijove-browser=mine", Enter),
        (b"x__Host-perijove-browser=mine", Enter),
    ],
)
def test_a_bound_statement_lets_in_only_the_browser_that_it_was_made_for(cookies: bytes, kind: type[Decision]) -> None:
    """
    Script at a sibling host can plant a statement of its owner's here, but not the cookie that this is bound to.
    """
    request = ask(b"Cookie: perijove-identity=good; " + cookies, HTML)

    assert isinstance(World(claims=BOUND).decide(request), kind)


def test_a_bound_statement_in_the_header_is_not_let_in_without_its_browser() -> None:
    world = World(claims=BOUND)
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", is_behind=True)
    bare = ask(b"X-Perijove-Identity: good")
    whole = ask(b"X-Perijove-Identity: good", b"Cookie: __Host-perijove-browser=mine")

    assert isinstance(gate.decide(audience="ada/", request=bare, now=NOW), Refuse)
    assert isinstance(gate.decide(audience="ada/", request=whole, now=NOW), Allow)


def test_of_two_people_s_statements_only_the_bound_one_counts_in_its_browser() -> None:
    people = {"good": BOUND, "planted": replace(BOUND, sub="eve", binding=binding_of(HOST_COOKIE, digest_of("eve's")))}
    gate = Gate(verify=lambda identity, _: people[identity], revocations=RevocationList(), enter_path="/hub/enter")
    request = ask(b"Cookie: perijove-identity=planted; perijove-identity=good; __Host-perijove-browser=mine")

    decision = gate.decide(audience="ada/", request=request, now=NOW)

    assert isinstance(decision, Allow)
    assert decision.claims.sub == "ada"


@pytest.mark.parametrize("site", [b"same-site", b"cross-site"])
@pytest.mark.parametrize("mode", [b"no-cors", b"cors", b"websocket"])
@pytest.mark.parametrize(("apart", "kind"), [(True, Refuse), (False, Allow)])
def test_where_hosts_are_kept_apart_pages_of_others_read_nothing_by_cookies(
    site: bytes, mode: bytes, *, apart: bool, kind: type[Decision]
) -> None:
    """
    A script or picture of another user's page: to browsers all users are one site, so that the cookie comes along.
    """
    world = World()
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", keeps_sites_apart=apart)
    request = ask(COOKIE, b"Sec-Fetch-Site: " + site, b"Sec-Fetch-Mode: " + mode, HTML)

    assert isinstance(gate.decide(audience="ada/", request=request, now=NOW), kind)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Mode: cors"),
        (b"Sec-Fetch-Site: none", b"Sec-Fetch-Mode: navigate"),
        (b"Sec-Fetch-Site: same-site", b"Sec-Fetch-Mode: navigate"),
        (b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Mode: navigate"),
        (),
    ],
)
def test_own_pages_links_and_programs_get_in_all_the_same(lines: tuple[bytes, ...]) -> None:
    world = World()
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", keeps_sites_apart=True)

    assert isinstance(gate.decide(audience="ada/", request=ask(COOKIE, *lines), now=NOW), Allow)


def test_a_token_in_a_header_is_nobody_s_by_accident() -> None:
    world = World()
    gate = Gate(verify=world._verify, revocations=world.revocations, enter_path="/hub/enter", keeps_sites_apart=True)
    gate.learn(token="t", audience="ada/", exchanged=Exchanged(identity="good", until=900.0))
    request = ask(b"Authorization: token t", b"Sec-Fetch-Site: same-site", b"Sec-Fetch-Mode: cors")

    assert isinstance(gate.decide(audience="ada/", request=request, now=NOW), Allow)
