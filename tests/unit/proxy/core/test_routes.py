from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from perijove.proxy.core.errors import BadControlCall, TooManyRoutes
from perijove.proxy.core.routes import MAX_FALLBACKS, MAX_KNOWN, MAX_KNOWN_LENGTH, Entry, RouteTable, packed, unpacked
from perijove.proxy.core.statistics import Kind


def body(port: int = 1, **more: Any) -> dict[str, Any]:
    return {"target": f"http://127.0.0.1:{port}", **more}


def table_of(*paths: str) -> RouteTable:
    table = RouteTable()
    for path in paths:
        table.put(path, body(), now=1.0)
    # All have been asked for: what was not has nothing that could be retired.
    list(table)
    return table


def found(table: RouteTable, path: str) -> str | None:
    entry = table.find(path)
    return entry.path if entry else None


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/hub/home", "/"),
        ("/user", "/"),
        ("/user/ada", "/user/ada"),
        ("/user/ada/", "/user/ada"),
        ("/user/ada/api/contents", "/user/ada"),
        ("/user/adam", "/"),
        ("/user/ada/lab2", "/user/ada/lab2"),
        ("/user/ada/lab2/tree", "/user/ada/lab2"),
        ("/user/ada/lab22", "/user/ada"),
        ("/user/eve/x/y/z/a/b/c/d", "/"),
    ],
)
def test_the_longest_prefix_of_whole_segments_wins(path: str, route: str) -> None:
    table = table_of("/", "/user/ada", "/user/ada/lab2")

    assert found(table, path) == route


def test_without_a_default_an_unknown_path_has_no_route() -> None:
    assert found(table_of("/user/ada"), "/user/eve") is None


@pytest.mark.parametrize("path", ["", "/"])
def test_the_default_route_has_two_names(path: str) -> None:
    assert found(table_of(path), "/anything") == "/"


def test_an_encoded_slash_never_matches_a_deeper_route() -> None:
    """
    A decoded segment with a slash in it looks like two; only what lies below a match may differ.
    """
    table = table_of("/", "/user/ada")

    assert found(table, "/user/ada/a/b") == "/user/ada"


def test_replacing_a_route_by_an_equal_one_keeps_what_is_open_on_it() -> None:
    """
    A hub that posts its routes again must not cut anybody's WebSocket.
    """
    table = table_of("/user/ada")
    entry = table.get("/user/ada")

    retired = table.put("/user/ada/", body(user="ada"), now=2.0)

    assert retired == []
    assert table.get("/user/ada") is entry
    assert entry is not None
    assert entry.live
    assert entry.body["user"] == "ada"
    assert entry.last_activity == 2.0


@pytest.mark.parametrize(
    "change",
    [
        body(2),
        body(access="open"),
        body(audience="ada/"),
        {"target": "http+unix://%2Fx"},
        body(fallbacks=["http://127.0.0.1:2"]),
    ],
)
def test_a_change_of_where_or_who_retires_the_entry(change: dict[str, Any]) -> None:
    table = table_of("/user/ada")
    old = table.get("/user/ada")

    retired = table.put("/user/ada", change, now=2.0)

    assert retired == [old]
    assert old is not None
    assert not old.live


def test_the_version_is_another_after_each_change_and_only_then() -> None:
    table = RouteTable()
    seen = [table.version]
    changes: list[Callable[[], object]] = [
        lambda: table.put("/user/ada", body(), now=1.0),
        lambda: table.put("/user/ada", body(user="ada"), now=1.0),
        lambda: table.put("/user/bob", body(), now=1.0),
        lambda: table.remove("/user/bob"),
        lambda: table.replace({"/user/ada": body(), "/x": body()}, now=1.0),
        lambda: table.replace({}, now=1.0),
    ]
    for change in changes:
        change()
        seen.append(table.version)

    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("path", ["user/ada", "/user/ada/", "//user/ada", "user/ada//"])
def test_a_whole_table_may_have_slashes_around_its_paths(path: str) -> None:
    table = RouteTable()
    table.replace({path: body(), "/x": body()}, now=1.0)

    assert sorted(table.bodies()) == ["/user/ada", "/x"]


def test_what_changes_no_route_leaves_the_version() -> None:
    table = table_of("/user/ada")
    before = table.version
    table.put("/user/ada/", body(), now=2.0)
    table.replace({"/user/ada": body()}, now=3.0)
    table.remove("/user/eve")
    table.note_activity("/user/ada", 4.0)
    with pytest.raises(BadControlCall):
        table.put("/user/ada", {}, now=5.0)

    assert table.version == before


def test_who_stands_in_comes_after_the_target_in_the_order_given() -> None:
    given = body(fallbacks=["http://127.0.0.1:2", "http+unix://%2Fx"])
    known, unknown = (Entry(path="/x", body=unpacked(form), last_activity=0.0) for form in (given, packed(given)))

    assert [target.key for target in known.targets] == ["127.0.0.1|1", "127.0.0.1|2", "unix:/x"]
    assert unknown.targets == known.targets


@pytest.mark.parametrize(
    "fallbacks",
    ["http://127.0.0.1:2", [1], None, ["http://127.0.0.1:2"] * (MAX_FALLBACKS + 1), ["x"], ["http://127.0.0.1:2/y"]],
)
def test_what_cannot_stand_in_is_refused(fallbacks: object) -> None:
    table = RouteTable()
    with pytest.raises(BadControlCall):
        table.put("/x", body(fallbacks=fallbacks), now=1.0)

    assert len(table) == 0


def test_who_stands_in_has_the_path_of_the_target() -> None:
    given = {"target": "http://127.0.0.1:1/base/", "fallbacks": ["http://127.0.0.1:2/base"]}

    assert [target.base for target in Entry(path="/x", body=given, last_activity=0.0).targets] == ["/base", "/base"]


def test_removing_answers_what_was_retired() -> None:
    table = table_of("/user/ada")

    assert [entry.path for entry in table.remove("user/ada/")] == ["/user/ada"]
    assert table.remove("/user/ada") == []
    assert len(table) == 0


def test_replacing_the_table_leaves_exactly_what_was_given() -> None:
    table = table_of("/", "/user/ada", "/user/eve")
    kept = table.get("/user/ada")

    retired = table.replace({"/user/ada": body(), "/user/bob": body(3)}, now=2.0)

    assert {entry.path for entry in table} == {"/user/ada", "/user/bob"}
    assert {entry.path for entry in retired} == {"/", "/user/eve"}
    assert table.get("/user/ada") is kept


def test_a_bad_route_in_a_new_table_changes_nothing() -> None:
    table = table_of("/user/ada")

    with pytest.raises(BadControlCall):
        table.replace({"/user/bob": body(), "/user/eve": {}}, now=2.0)

    assert {entry.path for entry in table} == {"/user/ada"}


@pytest.mark.parametrize(
    "bad",
    [{}, {"target": 1}, {"target": "ftp://x"}, body(access="public"), body(audience=3), body(access=None)],
)
def test_a_body_that_is_no_route_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadControlCall):
        RouteTable().put("/x", bad, now=1.0)


def test_unstated_access_is_gated() -> None:
    assert Entry(path="/x", body=body(), last_activity=0.0).access == "gated"


def test_the_prefix_is_the_route_as_it_stands_in_urls() -> None:
    entry = Entry(path="/user/a b", body=body(), last_activity=0.0)

    assert (entry.prefix, entry.depth) == ("/user/a%20b", 2)


def test_with_host_routing_the_host_is_no_part_of_the_prefix() -> None:
    table = RouteTable(host_routing=True)
    table.put("/hub.example.org/user/ada", body(), now=1.0)
    entry = table.find("/hub.example.org/user/ada/lab")

    assert entry is not None
    assert (entry.prefix, entry.depth) == ("/user/ada", 2)


def test_a_path_as_sent_is_found_again_after_every_change() -> None:
    """
    What is remembered of a path must not outlive the table it was looked up in.
    """
    table = table_of("/")
    found_first = [entry.path for _ in range(2) if (entry := table.find_raw(b"/user/%61da/x"))]
    table.put("/user/ada", body(), now=1.0)
    found_then = table.find_raw(b"/user/%61da/x")
    table.remove("/user/ada")
    table.remove("/")

    assert found_first == ["/", "/"]
    assert found_then is not None
    assert found_then.path == "/user/ada"
    assert table.find_raw(b"/user/%61da/x") is None


def test_a_route_is_got_by_its_own_path_and_no_other() -> None:
    table = table_of("/user/ada")
    entry = table.get("/user/ada/")

    assert entry is not None
    assert entry.path == "/user/ada"
    assert table.get("/user/ada/lab") is None


def test_what_is_remembered_of_paths_is_bounded() -> None:
    table = table_of("/")
    for number in range(MAX_KNOWN + 10):
        table.find_raw(b"/%d" % number)
    table.find_raw(b"/" + b"x" * MAX_KNOWN_LENGTH)

    assert len(table._known) == 10


def test_a_full_table_takes_no_more_routes_and_keeps_those_it_has() -> None:
    table = RouteTable(limit=2)
    table.put("/a", body(), now=1.0)
    table.put("/b", body(), now=1.0)
    table.put("/a", body(2), now=2.0)
    with pytest.raises(TooManyRoutes):
        table.put("/c", body(), now=3.0)
    with pytest.raises(TooManyRoutes):
        table.replace({"/a": body(), "/b": body(), "/c": body()}, now=3.0)

    assert sorted(entry.path for entry in table) == ["/a", "/b"]


def test_a_limit_may_be_raised() -> None:
    table = RouteTable(limit=1)
    table.put("/a", body(), now=1.0)
    table.limit = 2
    table.put("/b", body(), now=1.0)

    assert len(table) == 2


def test_a_route_that_becomes_anothers_is_counted_as_such() -> None:
    table = RouteTable()
    table.put("/x", body(user="ada"), now=1.0)
    before = next(iter(table)).kind
    table.put("/x", body(service="x"), now=2.0)

    assert (before, next(iter(table)).kind) == (Kind.USER, Kind.SERVICE)


def test_a_route_names_the_protocols_that_may_take_over() -> None:
    table = RouteTable()
    table.put("/a", body(upgrades=["TCP", "spdy/3.1"]), now=0.0)
    table.put("/b", body(), now=0.0)

    assert [entry.upgrades for entry in table] == [{b"tcp", b"spdy/3.1"}, set()]


@pytest.mark.parametrize("upgrades", ["tcp", [1], ["é"], ["h2c"], ["tcp", "HTTP/2.0"], ["TLS/1.0"], {}, None])
def test_a_protocol_that_hides_requests_or_is_none_is_refused(upgrades: object) -> None:
    with pytest.raises(BadControlCall):
        RouteTable().put("/a", body(upgrades=upgrades), now=0.0)


def test_a_route_that_no_longer_allows_a_protocol_is_retired() -> None:
    table = RouteTable()
    table.put("/a", body(upgrades=["tcp"]), now=0.0)
    old = table.get("/a")

    assert table.put("/a", body(), now=0.0) == [old]


def test_a_route_that_nobody_asked_for_has_nothing_to_retire() -> None:
    table = RouteTable()
    table.put("/a", body(), now=0.0)
    table.put("/b", body(), now=0.0)

    assert table.put("/a", body(2), now=0.0) == []
    assert table.remove("/b") == []
    assert table.replace({}, now=0.0) == []


def test_the_time_of_last_use_is_kept_before_and_after_the_first_request() -> None:
    table = RouteTable()
    table.put("/a", body(), now=3.0)
    table.note_activity("/a", 5.0)
    table.note_activity("/a", 4.0)
    table.note_activity("/gone", 9.0)
    before = table.last_activity("/a")
    entry = table.get("/a")
    table.note_activity("/a", 7.0)
    table.note_activity("/a", 6.0)

    assert (before, table.last_activity("/a"), entry and entry.last_activity) == (5.0, 7.0, 7.0)
    assert table.last_activity("/gone") == 0.0


def test_only_what_was_used_here_is_told() -> None:
    table = RouteTable()
    for path in ("/a", "/b", "/c"):
        table.put(path, body(), now=None)
    for path, moment in (("/a", 5.0), ("/b", 2.0)):
        table.get(path)
        table.note_activity(path, moment)

    assert table.used_since(2.0) == {"/a": 5.0}


@pytest.mark.parametrize(
    "content",
    [
        body(),
        body(access="open", user="ada"),
        body(access="gated", audience="ada/", user="ada", server_name="", jupyterhub=True),
        body(audience='a"b\\/', service="x"),
        body(audience="é/", hub=True),
        body(audience="two\nlines/", service="x"),
        body(audience="{}", hub=True, user="ada", service="x"),
        body(access="open", fallbacks=["http://127.0.0.1:2"]),
        body(upgrades=["tcp"], audience="ada/"),
        body(upgrades=["tcp"], access="gated"),
        {"target": "http+unix://%2Frun%2Fx.sock", "audience": "a/b"},
    ],
)
def test_what_is_packed_leads_where_it_did(content: dict[str, Any]) -> None:
    whole, brief = (Entry(path="/x", body=unpacked(form), last_activity=0.0) for form in (content, packed(content)))

    assert brief.leads_where(whole)
    assert brief.kind == whole.kind
    assert len(packed(content)) <= len(json.dumps(content))


@pytest.mark.parametrize(
    ("target", "is_good"),
    [
        ("http://10.0.0.1:8888", True),
        ("http://10.0.0.1:65535", True),
        ("http://10.0.0.1:65536", False),
        ("http://10.0.0.1:0", True),
        ("http://name", True),
        ("http://[::1]:80/base", True),
        ("http://", False),
        ("http://a b", False),
        ("http://a@b", False),
        ("http+unix://%2Frun%2fa.sock", True),
        ("http+unix://run", False),
        ("http+unix://%2Frun%00", False),
        ("ftp://x", False),
    ],
)
def test_the_quick_look_at_a_route_says_what_the_close_one_says(target: str, is_good: bool) -> None:  # noqa: FBT001
    table = RouteTable()
    try:
        table.put("/a", {"target": target}, now=0.0)
    except BadControlCall:
        assert not is_good
        return
    assert is_good
    assert table.get("/a")


@pytest.mark.parametrize("path", ["/a/../b", "/a/./b", "/a\nb", "//a//b", "/a//b"])
def test_a_path_that_nobody_can_ask_for_is_refused(path: str) -> None:
    table = RouteTable()

    with pytest.raises(BadControlCall):
        table.put(path, body(), now=0.0)

    assert len(table) == 0


@pytest.mark.parametrize("path", ["/user/a%b", "/user/a b", "/user/é", "/user/a.b", "/user/..a"])
def test_odd_names_have_routes_as_well(path: str) -> None:
    table = RouteTable()
    table.put(path, body(), now=0.0)

    assert found(table, path + "/lab") == path


def test_a_table_gives_back_what_it_was_given() -> None:
    table = RouteTable()
    table.put("a/", body(user="ada"), now=0.0)

    assert table.bodies() == {"/a": body(user="ada")}


def test_replacing_a_route_in_use_by_another_description_of_it_is_no_use() -> None:
    table = table_of("/a")
    entry = table.get("/a")

    assert table.replace({"/a": body(user="ada")}, now=9.0) == []
    assert table.get("/a") is entry
    assert table.last_activity("/a") == 1.0
