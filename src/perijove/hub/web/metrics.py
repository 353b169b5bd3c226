"""
What the hub tells Prometheus. Names keep JupyterHub's prefix, so that its dashboards work.

A registry of its own: nothing is counted twice when two hubs live in one process, as in tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, float("inf"))
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The hub's own numbers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.request_duration = Histogram(
            "jupyterhub_request_duration_seconds",
            "Request duration for all HTTP requests",
            ["method", "handler", "code"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        # Bounded by the routes: methods, functions and statuses are few.
        self._series: dict[tuple[str, Callable[..., Any] | None, int], Histogram] = {}
        self.running_servers = Gauge(
            "jupyterhub_running_servers", "the number of user servers currently running", registry=self._registry
        )
        self.total_users = Gauge("jupyterhub_total_users", "total number of users", registry=self._registry)

    def answered(self, method: str, endpoint: Callable[..., Any] | None, status: int, seconds: float) -> None:
        """Note an answer. Series are kept by what they are of: finding one by its labels costs more than noting."""
        key = (method, endpoint, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self.request_duration.labels(method, _handler(endpoint), str(status))
        series.observe(seconds)

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self._registry)


class MeasureRequests:
    """Middleware that notes how long each answer took, by the route that gave it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on and look at the clock."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.answered(method, scope.get("endpoint"), message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, send_and_note)


def _handler(endpoint: Callable[..., Any] | None) -> str:
    """The function that answers, never the address: names of users are no labels, and there are many of them."""
    return f"{endpoint.__module__}.{endpoint.__name__}" if endpoint is not None else "other"
