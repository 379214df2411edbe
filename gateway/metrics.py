"""Rate, errors and duration of the requests of each edge, for /metrics."""

from prometheus_client import Counter, Histogram

_REQUESTS = Counter("gateway_http_requests", "Requests answered.", ["edge", "method", "status"])
_DURATIONS = Histogram(
    "gateway_http_request_seconds",
    "Time from a request's arrival in full to its answer.",
    ["edge"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe_request(*, edge: str, method: str, status: int, seconds: float) -> None:
    # Clients may invent methods, and each new label would take memory for ever.
    known_method = method if method in _METHODS else "other"
    _REQUESTS.labels(edge, known_method, str(status)).inc()
    _DURATIONS.labels(edge).observe(seconds)
