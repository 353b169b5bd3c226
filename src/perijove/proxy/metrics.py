"""
Metrics for Prometheus, on a port or socket of their own: who may scrape need not be able to add routes.

The numbers come from the engine (`core/statistics.py`) and the control API; here they get their names. Those of
configurable-http-proxy are kept for the dashboards that know them (contract section h); its two summaries are counted
and not timed: a look-up is one access to a dictionary.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from perijove.proxy.core.answers import Answer, refusal
from perijove.proxy.core.requests import RequestHead
from perijove.proxy.core.statistics import BUCKETS, SWITCHED, Scrape, Statistics, Verdict

PATH: Final = b"/metrics"
#: Bytes of a scraper's request.
MAX_REQUEST: Final = 8 * 1024
#: Seconds for one scrape.
SCRAPE_SECONDS: Final = 10.0
#: Scrapers served at once; more are cut off.
MAX_SCRAPERS: Final = 16


async def answer(request: RequestHead, scrape: Callable[[], Awaitable[Scrape]]) -> Answer:
    """What is said to *request*; *scrape* looks at everything that is counted."""
    if request.path != PATH:
        return refusal(HTTPStatus.NOT_FOUND, "Metrics are at /metrics.")
    if request.method not in {b"GET", b"HEAD"}:
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Metrics can only be read.")
    return Answer(status=HTTPStatus.OK, body=exposition(await scrape()), content_type=CONTENT_TYPE_LATEST)


def exposition(scrape: Scrape) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(_Once(scrape))
    return generate_latest(registry)


class _Once(Collector):
    """What `prometheus_client` wants in order to write down what is there already."""

    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def describe(self) -> list[Metric]:
        """Nothing in advance: names cannot collide in a registry of one."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All metrics."""
        yield from _traffic(self._scrape.statistics)
        yield from _upstreams(self._scrape.statistics)
        yield from _state(self._scrape)
        yield from _as_chp_calls_them(self._scrape)


def _traffic(statistics: Statistics) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "perijove_proxy_requests", "Requests that are over, and WebSockets that were opened (101).",
        labels=["kind", "status"],
    )  # fmt: skip
    for kind, status, count in statistics.by_kind():
        requests.add_metric([kind.name.lower(), str(status)], count)
    yield requests
    latency = HistogramMetricFamily(
        "perijove_proxy_request_duration_seconds", "From the end of a request's head to the end of its answer."
    )
    buckets, total = [], 0
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], statistics.latency, strict=True):
        total += count
        buckets.append((bound, float(total)))
    latency.add_metric([], buckets, sum_value=statistics.seconds)
    yield latency
    yield _counter("received_bytes", "From clients, in requests and WebSockets that are over.", statistics.bytes_in)
    yield _counter("sent_bytes", "To clients, likewise.", statistics.bytes_out)
    limits = CounterMetricFamily("perijove_proxy_refused", "Refused by a limit.", labels=["limit"])
    for name, count in sorted(statistics.limits.items()):
        limits.add_metric([name], count)
    yield limits
    verdicts = CounterMetricFamily("perijove_proxy_door_verdicts", "What the door said.", labels=["verdict"])
    for verdict in Verdict:
        verdicts.add_metric([verdict.name.lower()], statistics.verdicts[verdict])
    yield verdicts
    yield _counter("access_log_dropped_lines", "Lines that could not be written.", statistics.dropped_lines)


def _upstreams(statistics: Statistics) -> Iterator[Metric]:
    gauges = statistics.gauges
    yield _gauge("client_connections", "Open connections from clients that are no WebSockets.", gauges.clients)
    yield _gauge("websockets", "Open WebSockets.", gauges.tunnels)
    yield _gauge("upstream_idle_connections", "Connections to servers that wait for a request.", gauges.pool_idle)
    yield _counter("upstream_connections", "Connections made to servers.", statistics.pool_made)
    yield _counter("upstream_reuses", "Requests that found a connection waiting.", statistics.pool_reused)


def _state(scrape: Scrape) -> Iterator[Metric]:
    yield _gauge("routes", "Routes in the table.", scrape.routes)
    yield _gauge("door", "1 if there is a door, 0 if every route is open.", int(scrape.door))
    yield _gauge("workers", "Processes that carry the traffic.", scrape.workers)
    yield _counter("worker_restarts", "Workers that died and were replaced.", scrape.restarts)


def _as_chp_calls_them(scrape: Scrape) -> Iterator[Metric]:
    statistics = scrape.statistics
    statuses = statistics.by_status()
    websockets = statuses.get(SWITCHED, 0)
    total = sum(statuses.values())
    for name, text in (("get", "get"), ("add", "add"), ("delete", "delete")):
        yield _bare(f"api_route_{name}", f"Count of API route {text} requests", scrape.api_calls.get(name, 0))
    yield _bare("find_target_for_req_count", "Count of find target requests", total)
    yield _bare("last_activity_updating_count", "Count of requests that may update a route's last activity", total)
    yield _bare("requests_ws", "Count of websocket requests", websockets)
    yield _bare("requests_web", "Count of web requests", total - websockets)
    yield _by_status("requests_proxy", "Count of proxy requests", statuses)
    yield _by_status("requests_api", "Count of API requests", scrape.api_statuses)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"perijove_proxy_{name}", text, value=value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"perijove_proxy_{name}", text, value=value)


def _bare(name: str, text: str, value: float) -> Metric:
    """A counter whose name does not end in `_total`, as Node's library writes it."""
    metric = Metric(name, text, "unknown")
    metric.add_sample(name, {}, value)
    return metric


def _by_status(name: str, text: str, statuses: Mapping[int, int]) -> Metric:
    metric = Metric(name, text, "unknown")
    for status, count in sorted(statuses.items()):
        metric.add_sample(name, {"status": str(status)}, count)
    return metric
