"""Rate, errors and duration of the requests of each edge, and what became of parcels and cargo, for /metrics."""

from collections.abc import Callable
from functools import wraps
from types import MappingProxyType
from typing import Literal, Protocol, TypeVar, get_args

from prometheus_client import Counter, Gauge, Histogram

_REFUSED = 400
_FAILED = 500

_REQUESTS = Counter("gateway_http_requests", "Requests answered.", ["edge", "method", "status"])
_DURATIONS = Histogram(
    "gateway_http_request_seconds",
    "Time from a request's arrival in full to its answer.",
    ["edge"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PARCELS = Counter(
    "gateway_parcels",
    "Parcels accepted, refused for what they are, failed to be taken because of us, and collected.",
    ["edge", "outcome"],
)
_TASKS = Counter("gateway_tasks", "Tasks that workers in this process have ended.", ["task", "outcome"])
_TASK_DURATIONS = Histogram(
    "gateway_task_seconds",
    "Time that tasks took, without their wait in the queue.",
    ["task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 240),
)
_HINTS = Counter(
    "gateway_hints", "Hints sent to workers, and dropped: the sweep makes up for those.", ["task", "outcome"]
)
_COLLECTED = _PARCELS.labels("poweb", "collected")

_DELIVERIES = Counter("gateway_deliveries", "Parcels posted to Internet addresses, by what came of it.", ["outcome"])
_DELIVERY_SECONDS = Histogram(
    "gateway_delivery_seconds",
    "Time from the start of a delivery to an Internet address to its end, redirects included.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
_COGRPC_CALLS = Counter("gateway_cogrpc_calls", "Calls of couriers that have ended.", ["method", "code"])
_CARGOES = Counter(
    "gateway_cargoes",
    "Cargoes accepted, refused for what they are, failed to be taken because of us, and sent.",
    ["outcome"],
)
CargoOutcome = Literal["accepted", "refused", "failed", "sent"]
# Asked for at once, so that Prometheus sees them grow from zero.
_CARGOES_BY_OUTCOME = MappingProxyType({outcome: _CARGOES.labels(outcome) for outcome in get_args(CargoOutcome)})

_CARGOES_OPENED = Counter(
    "gateway_cargoes_opened",
    "Cargoes unwrapped to the end, found invalid once opened, and put off because of us.",
    ["outcome"],
)
OpeningOutcome = Literal["unwrapped", "invalid", "failed"]
_OPENED_BY_OUTCOME = MappingProxyType({name: _CARGOES_OPENED.labels(name) for name in get_args(OpeningOutcome)})
_CARGO_ITEMS = Counter(
    "gateway_cargo_items",
    "Items taken out of cargo: parcels new and repeated, collection ACKs, and what was ignored or skipped.",
    ["outcome"],
)

COLLECTIONS_OPEN = Gauge("gateway_collections_open", "Connections on which private gateways collect parcels.")
"""The consumer tells it where to count."""


class _Request(Protocol):
    @property
    def method(self) -> str | None: ...


class _Response(Protocol):
    @property
    def status_code(self) -> int: ...


Request = TypeVar("Request", bound=_Request)
Response = TypeVar("Response", bound=_Response)


def observe_request(*, edge: str, method: str, status: int, seconds: float) -> None:
    # Clients may invent methods, and each new label would take memory for ever.
    known_method = method if method in _METHODS else "other"
    _REQUESTS.labels(edge, known_method, str(status)).inc()
    _DURATIONS.labels(edge).observe(seconds)


def counts_parcels(edge: str) -> "Callable[[Callable[[Request], Response]], Callable[[Request], Response]]":
    """Make a view to which parcels are POSTed count them by what it answers."""
    # Asked for at once, so that Prometheus sees them grow from zero.
    accepted, refused, failed = (_PARCELS.labels(edge, outcome) for outcome in ("accepted", "refused", "failed"))

    def decorate(view: Callable[[Request], Response]) -> Callable[[Request], Response]:
        @wraps(view)
        def count(request: Request) -> Response:
            if request.method != "POST":
                return view(request)
            try:
                response = view(request)
            except Exception:
                failed.inc()
                raise
            if response.status_code < _REFUSED:
                accepted.inc()
            elif response.status_code < _FAILED:
                refused.inc()
            else:
                failed.inc()
            return response

        return count

    return decorate


def count_collected_parcel() -> None:
    _COLLECTED.inc()


def observe_delivery(*, outcome: str, seconds: float) -> None:
    _DELIVERIES.labels(outcome).inc()
    _DELIVERY_SECONDS.observe(seconds)


def count_cogrpc_call(method: str, code: str) -> None:
    """Count a call by the name of its method, without the service, and that of its gRPC status."""
    _COGRPC_CALLS.labels(method, code).inc()


def count_cargo(outcome: CargoOutcome) -> None:
    _CARGOES_BY_OUTCOME[outcome].inc()


def count_opened_cargo(outcome: OpeningOutcome) -> None:
    _OPENED_BY_OUTCOME[outcome].inc()


def count_cargo_items(**numbers: int) -> None:
    """Count what was taken out of a cargo, by outcome."""
    for outcome, number in numbers.items():
        _CARGO_ITEMS.labels(outcome).inc(number)


def observe_task(*, task: str, outcome: str, seconds: float) -> None:
    _TASKS.labels(task, outcome).inc()
    _TASK_DURATIONS.labels(task).observe(seconds)


def count_hint(*, task: str, outcome: str) -> None:
    _HINTS.labels(task, outcome).inc()
