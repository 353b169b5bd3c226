from __future__ import annotations

import json
from typing import Any

import pytest

from perijove.proxy.core.limits import Limit
from perijove.proxy.core.statistics import BUCKETS, Kind, Statistics, Verdict, kind_of, merge


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("/", {}, Kind.HUB),
        ("/", {"user": "ada"}, Kind.HUB),
        ("/hub.example.org", {"hub": True}, Kind.HUB),
        ("/user/ada", {"user": "ada", "server_name": ""}, Kind.USER),
        ("/services/cull", {"service": "cull"}, Kind.SERVICE),
        ("/docs", {"extra": True}, Kind.OTHER),
        ("/docs", {}, Kind.OTHER),
    ],
)
def test_the_hubs_words_say_what_a_route_is_for(path: str, body: dict[str, Any], kind: Kind) -> None:
    assert kind_of(path, body) is kind


def busy() -> Statistics:
    statistics = Statistics()
    statistics.ended(Kind.USER, 200, 0.0005)
    statistics.ended(Kind.USER, 200, 0.3)
    statistics.ended(Kind.HUB, 302, 60.0)
    statistics.upgraded(Kind.USER)
    statistics.refused(Limit.LINE)
    statistics.refused(Limit.LINE)
    statistics.verdicts[Verdict.ENTERED] += 1
    statistics.bytes_in, statistics.bytes_out = 10, 2000
    statistics.pool_made, statistics.pool_reused, statistics.dropped_lines = 1, 2, 3
    statistics.gauges.clients, statistics.gauges.tunnels, statistics.gauges.pool_idle = 4, 1, 2
    return statistics


def test_requests_are_counted_by_kind_and_status() -> None:
    statistics = busy()

    assert list(statistics.by_kind()) == [(Kind.HUB, 302, 1), (Kind.USER, 101, 1), (Kind.USER, 200, 2)]
    assert statistics.by_status() == {302: 1, 101: 1, 200: 2}


def test_latency_is_in_buckets_and_websockets_have_none() -> None:
    statistics = busy()

    assert statistics.latency == [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    assert statistics.seconds == pytest.approx(60.3005)


def test_a_bound_belongs_to_its_bucket() -> None:
    """
    Prometheus' `le` is "less than or equal".
    """
    statistics = Statistics()
    for bound in BUCKETS:
        statistics.ended(Kind.OTHER, 200, bound)

    assert statistics.latency == [1] * len(BUCKETS) + [0]


def test_workers_counts_add_up() -> None:
    total = merge([busy(), Statistics(), busy()])

    assert total.to_json() == {
        "requests": {"1200": 4, "302": 2, "1101": 2},
        "limits": {"line-size": 4},
        "latency": [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2],
        "verdicts": [0, 2, 0, 0],
        "gauges": {"clients": 8, "tunnels": 2, "pool_idle": 4},
        "seconds": pytest.approx(120.601),
        "bytes_in": 20,
        "bytes_out": 4000,
        "pool_made": 2,
        "pool_reused": 4,
        "dropped_lines": 6,
    }


def test_counts_survive_the_link_to_the_parent() -> None:
    sent = busy().to_json()

    assert Statistics.from_json(json.loads(json.dumps(sent))).to_json() == sent


def test_adding_leaves_the_other_alone() -> None:
    one = busy()
    before = one.to_json()
    merge([one, busy()]).ended(Kind.HUB, 200, 1.0)

    assert one.to_json() == before
