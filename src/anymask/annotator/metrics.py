"""Figures of a running annotator, for Prometheus."""

from __future__ import annotations

from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from .guard import App, Message, Receive, Send

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""seconds"""


class Metrics:
    """Counts requests by route and status, how long they took, and changes saved."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter("anymask_requests", "Requests", ["route", "status"], registry=self._registry)
        self.seconds = Histogram(
            "anymask_request_seconds", "Time to the first byte", ["route"], buckets=BUCKETS, registry=self._registry
        )
        self.saves = Counter("anymask_changes_saved", "Changes saved", registry=self._registry)

    def text(self) -> bytes:
        """All figures in Prometheus' form."""
        return generate_latest(self._registry)


class Measured:
    """An application whose requests are counted."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self.metrics.requests.labels(route, message["status"]).inc()
                self.metrics.seconds.labels(route).observe(perf_counter() - start)
            await send(message)

        await self.app(scope, receive, counted)
