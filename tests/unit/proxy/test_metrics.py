from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from perijove.proxy.core.limits import Limit
from perijove.proxy.core.statistics import Kind, Scrape, Statistics, Verdict
from perijove.proxy.metrics import exposition


def samples(scrape: Scrape) -> dict[tuple[str, str], float]:
    """Name and labels of every sample -> its value, as Prometheus reads them."""
    families = list(text_string_to_metric_families(exposition(scrape).decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    return {
        (sample.name, ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def a_busy_proxy() -> Scrape:
    statistics = Statistics()
    statistics.ended(Kind.USER, 200, 0.002)
    statistics.ended(Kind.HUB, 302, 0.2)
    statistics.upgraded(Kind.USER)
    statistics.refused(Limit.HEAD)
    statistics.verdicts[Verdict.ASKED] += 1
    statistics.bytes_in, statistics.bytes_out, statistics.dropped_lines = 10, 20, 30
    statistics.pool_made, statistics.pool_reused = 2, 5
    statistics.gauges.clients, statistics.gauges.tunnels, statistics.gauges.pool_idle = 3, 4, 5
    return Scrape(
        statistics=statistics, routes=7, door=True, workers=2, restarts=1,
        api_calls={"get": 3, "add": 2}, api_statuses={200: 3, 201: 2},
    )  # fmt: skip


def test_prometheus_reads_what_is_there() -> None:
    found = samples(a_busy_proxy())

    expected = {
        ("perijove_proxy_requests_total", "kind=user,status=200"): 1,
        ("perijove_proxy_requests_total", "kind=user,status=101"): 1,
        ("perijove_proxy_requests_total", "kind=hub,status=302"): 1,
        ("perijove_proxy_request_duration_seconds_bucket", "le=0.001"): 0,
        ("perijove_proxy_request_duration_seconds_bucket", "le=0.0025"): 1,
        ("perijove_proxy_request_duration_seconds_bucket", "le=+Inf"): 2,
        ("perijove_proxy_request_duration_seconds_count", ""): 2,
        ("perijove_proxy_request_duration_seconds_sum", ""): 0.202,
        ("perijove_proxy_received_bytes_total", ""): 10,
        ("perijove_proxy_sent_bytes_total", ""): 20,
        ("perijove_proxy_refused_total", "limit=head-size"): 1,
        ("perijove_proxy_door_verdicts_total", "verdict=asked"): 1,
        ("perijove_proxy_door_verdicts_total", "verdict=allowed"): 0,
        ("perijove_proxy_access_log_dropped_lines_total", ""): 30,
        ("perijove_proxy_client_connections", ""): 3,
        ("perijove_proxy_websockets", ""): 4,
        ("perijove_proxy_upstream_idle_connections", ""): 5,
        ("perijove_proxy_upstream_connections_total", ""): 2,
        ("perijove_proxy_upstream_reuses_total", ""): 5,
        ("perijove_proxy_routes", ""): 7,
        ("perijove_proxy_door", ""): 1,
        ("perijove_proxy_workers", ""): 2,
        ("perijove_proxy_worker_restarts_total", ""): 1,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_dashboards_for_configurable_http_proxy_find_their_names() -> None:
    found = samples(a_busy_proxy())

    expected = {
        ("api_route_get", ""): 3,
        ("api_route_add", ""): 2,
        ("api_route_delete", ""): 0,
        ("find_target_for_req_count", ""): 3,
        ("last_activity_updating_count", ""): 3,
        ("requests_ws", ""): 1,
        ("requests_web", ""): 2,
        ("requests_proxy", "status=200"): 1,
        ("requests_proxy", "status=302"): 1,
        ("requests_api", "status=201"): 2,
    }
    assert {key: found.get(key) for key in expected} == expected


def test_a_proxy_without_a_door_says_so() -> None:
    scrape = Scrape(statistics=Statistics(), routes=0, door=False, workers=1, restarts=0, api_calls={}, api_statuses={})

    assert samples(scrape)[("perijove_proxy_door", "")] == 0
