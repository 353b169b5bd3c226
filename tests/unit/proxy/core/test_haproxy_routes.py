from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perijove.proxy.core.errors import BadRequest
from perijove.proxy.core.haproxy_routes import (
    SHARDS,
    Way,
    audience_tag,
    backend_of,
    backends,
    map_key,
    place,
    server_address,
)
from perijove.proxy.core.paths import decode_path
from perijove.proxy.core.routes import Entry, RouteTable
from perijove.proxy.core.statistics import Kind
from perijove.proxy.core.targets import parse_target


def entry(path: str = "/user/ada", **body: Any) -> Entry:
    body = {"target": "http://127.0.0.1:8123", "access": "gated", "audience": "ada/", "user": "ada"} | body
    return Entry(path=path, body=body, last_activity=0.0)


def way(of: Entry, *, is_door_on: bool = True, prepends_path: bool = True) -> Way:
    return place(of, number=1, is_door_on=is_door_on, prepends_path=prepends_path).way


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/", "/"), ("/user/ada", "/user/ada/"), ("/user/a+b@c", "/user/a+b@c/"), ("/services/x/.y", "/services/x/.y/"),
        ("/user/a b", None), ("/user/é", None), ("/user/a%b", None), ("/user/a;b", None), ("/user/a#b", None),
        ("/user/a\nb", None), ("/user/..", None), ("/a//b", None), ("/user/a|b", None), ("/user/a\\b", None),
    ],
)  # fmt: skip
def test_only_routes_that_plain_paths_belong_to_are_in_the_map(path: str, key: str | None) -> None:
    assert map_key(path) == key


@given(st.text(alphabet=st.characters(max_codepoint=0x17F), max_size=12).map(lambda text: "/" + text))
def test_a_plain_path_reads_in_one_way(path: str) -> None:
    """
    What haproxy looks up is what the route table would look up.
    """
    if map_key(path) is None:
        return

    assert decode_path(path.encode("ascii")) == path


@given(st.lists(st.sampled_from(["user", "ada", "ad", "lab", "a.b", "..x", "+"]), max_size=4), st.booleans())
def test_a_plain_path_belongs_to_the_longest_key(segments: list[str], slash: bool) -> None:  # noqa: FBT001  # a draw
    """
    `path,concat(/),map_beg` finds the entry that the table finds.
    """
    table = RouteTable()
    for path in ("/", "/user", "/user/ada", "/user/ada/lab", "/user/a b", "/user/ada/+"):
        table.put(path, {"target": "http://h:1", "access": "open"}, now=0.0)
    asked = "/" + "/".join(segments) + ("/" if slash and segments else "")
    keys = {key: known for known in table if (key := map_key(known.path)) is not None}
    longest = max((key for key in keys if (asked + "/").startswith(key)), key=len)

    assert keys[longest] is table.find_raw(asked.encode("ascii"))


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/a//b", "/..", "/a/."])
def test_what_the_table_refuses_or_doubts_is_not_plain(path: str) -> None:
    assert map_key(path) is None
    if "//" not in path:
        with pytest.raises(BadRequest):
            decode_path(path.encode("ascii"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://127.0.0.1:8123", "ipv4@127.0.0.1:8123"), ("http://10.0.0.1", "ipv4@10.0.0.1:80"),
        ("http://[::1]:8123", "ipv6@::1:8123"), ("http+unix://%2Frun%2Fa.sock", "unix@/run/a.sock"),
        ("http://localhost:8123", None), ("https://127.0.0.1:8123", None), ("http+unix://%2Frun%2Fa%20b", None),
        ("http+unix://%2Frun%2Fa%3Bb", None), ("http+unix://%2Frun%2F" + "a" * 120, None),
        ("http://[fe80::1%25x]:1", None),
    ],
)  # fmt: skip
def test_targets_are_numbers_and_plain_socket_paths(url: str, address: str | None) -> None:
    assert server_address(parse_target(url)) == address


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (entry(), Way.GATED),
        (entry(audience=""), Way.WORKER),
        (entry("/"), Way.WORKER),
        (entry("/user/a+b"), Way.WORKER),
        (entry("/user/é"), Way.WORKER),
        (entry(target="http://localhost:1"), Way.WORKER),
        (entry(fallbacks=["http://127.0.0.1:2"]), Way.WORKER),
        (entry(target="http://127.0.0.1:1/base"), Way.WORKER),
        (entry(access="open"), Way.SERVICE),
        (entry("/user/a+b", access="open"), Way.SERVICE),
        (entry("/", access="open"), Way.HUB),
    ],
)
def test_each_route_has_its_way(of: Entry, expected: Way) -> None:
    assert way(of) is expected


def test_without_a_door_everything_is_passed_on_as_it_is() -> None:
    assert way(entry(audience=""), is_door_on=False) is Way.HUB


def test_a_base_that_is_not_put_in_front_is_no_hindrance() -> None:
    assert way(entry(target="http://127.0.0.1:1/base"), prepends_path=False) is Way.GATED


def test_the_map_holds_what_the_configuration_takes_apart() -> None:
    gated = place(entry(), number=70, is_door_on=True, prepends_path=True)
    tag = audience_tag("ada/")

    assert gated.value == f"g|b1x6|k1r70|{tag}|/user/ada"
    assert gated.full_name == "b1x6/k1r70"
    assert place(entry(audience=""), number=1, is_door_on=True, prepends_path=True).value == "w"


def test_audiences_have_tags_of_their_own() -> None:
    assert len({audience_tag(name) for name in ("ada/", "ada/lab", "eve/", "é/", "a|b")}) == 5
    assert audience_tag("é/|; x").isalnum()


def test_servers_are_spread_over_the_backends_of_their_kind() -> None:
    assert len(backends()) == SHARDS * len(Kind)
    assert {backend_of(f"k2r{number}") for number in range(SHARDS)} == {f"b2x{number}" for number in range(SHARDS)}
