from __future__ import annotations

from typing import Any

from perijove.proxy.core.haproxy_table import HEALTH_KEY, MAX_SINGLE, RouteSteps, RouteSync
from perijove.proxy.core.routes import RouteTable

OPTIONS = "weight 0 pool-max-conn 32 pool-purge-delay 4s"


def body(port: int = 1, **more: Any) -> dict[str, Any]:
    return {"target": f"http://127.0.0.1:{port}", "access": "open", "service": "x", **more}


def sync(table: RouteTable, **more: Any) -> RouteSync:
    return RouteSync(table=table, map_file="m", **({"is_passing": False, "prepends_path": True} | more))


def following(*paths: str) -> tuple[RouteTable, RouteSync]:
    table = RouteTable()
    for path in paths:
        table.put(path, body(), now=0.0)
    routes = sync(table)
    routes.everything(is_door_on=True)
    return table, routes


def steps(routes: RouteSync, *paths: str) -> RouteSteps:
    return routes.steps(paths or None, is_door_on=True)


def test_the_whole_map_has_a_server_for_each_route_and_the_proxys_own_address() -> None:
    table, _ = following("/", "/user/a b", "/services/x")
    places = sync(table).everything(is_door_on=True)

    assert {key: place.value for key, place in places.items()} == {
        "/": "h|b0x1|k0r1||",
        "/services/x/": "s|b2x3|k2r3||",
        HEALTH_KEY: "w",
    }


def test_a_new_route_has_its_server_first() -> None:
    table, routes = following()
    table.put("/services/x", body(), now=0.0)

    assert steps(routes, "/services/x") == RouteSteps(
        servers=[f"add server b2x1/k2r1 ipv4@127.0.0.1:1 {OPTIONS}", "enable server b2x1/k2r1"],
        entries=["add map m /services/x/ s|b2x1|k2r1||"],
    )
    assert steps(routes, "/services/x") == RouteSteps()


def test_a_route_that_leads_elsewhere_has_another_server_and_its_entry_is_set() -> None:
    table, routes = following("/services/x")
    table.put("/services/x", body(2), now=0.0)
    found = steps(routes)

    assert found.entries == ["set map m /services/x/ s|b2x2|k2r2||"]
    assert found.retired == ["b2x1/k2r1"]


def test_a_route_that_is_repeated_changes_nothing() -> None:
    table, routes = following("/services/x")
    table.put("/services/x", body(more=1), now=5.0)

    assert steps(routes) == RouteSteps()


def test_a_removed_route_is_taken_out_and_its_server_retired() -> None:
    table, routes = following("/services/x", "/user/a b")
    table.remove("/services/x")
    table.remove("/user/a b")

    assert steps(routes) == RouteSteps(entries=["del map m /services/x/"], retired=["b2x1/k2r1", "b2x2/k2r2"])


def test_a_route_without_a_key_has_no_entry() -> None:
    table, routes = following()
    table.put("/user/a b", body(), now=0.0)
    table.put("/_chp_healthz", body(), now=0.0)

    assert steps(routes).entries == []


def test_a_route_that_was_never_there_is_not_taken_out() -> None:
    _, routes = following()

    assert steps(routes, "/services/x") == RouteSteps()


def test_the_workers_routes_have_an_entry_and_no_server() -> None:
    table, routes = following()
    table.put("/services/x", body(target="http://localhost:1"), now=0.0)
    found = steps(routes)
    table.put("/services/x", body(), now=0.0)

    assert found == RouteSteps(entries=["add map m /services/x/ w"])
    assert steps(routes).entries == ["set map m /services/x/ s|b2x2|k2r2||"]


def test_many_changes_are_one_step() -> None:
    table, routes = following("/services/x")
    for number in range(MAX_SINGLE + 1):
        table.put(f"/services/y{number}", body(), now=0.0)
    found = steps(routes)

    assert found.entries == []
    assert found.whole is not None
    assert len(found.whole) == MAX_SINGLE + 3
    assert found.whole[HEALTH_KEY] == "w"


def test_the_door_changes_what_gated_routes_are() -> None:
    table, _ = following()
    table.put("/user/ada", body(access="gated", audience="ada/"), now=0.0)
    routes = sync(table)
    routes.everything(is_door_on=False)
    found = routes.steps(None, is_door_on=True)

    assert found.entries[0].startswith("set map m /user/ada/ g|")
    assert found.retired == ["b2x1/k2r1"]
    assert routes.servers_for(["ada/", "eve/"]) == ["b2x2/k2r2"]
    assert routes.servers_for(["eve/"]) == []


def test_what_only_the_worker_can_do_has_no_map() -> None:
    table, _ = following("/services/x")
    routes = sync(table, is_passing=True)
    places = routes.everything(is_door_on=True)
    table.put("/services/y", body(), now=0.0)

    assert places == {}
    assert steps(routes).entries == []


def test_numbers_of_servers_go_on_where_the_last_haproxy_ended() -> None:
    table, _ = following("/services/x")
    routes = sync(table, number=41)
    routes.everything(is_door_on=True)

    assert routes.number == 42
    assert routes.path_of() == {"k2r42": "/services/x"}
