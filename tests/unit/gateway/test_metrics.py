from dataclasses import dataclass

import pytest
from prometheus_client import REGISTRY

from gateway.metrics import (
    count_cargo_items,
    count_collected_parcel,
    count_opened_cargo,
    counts_parcels,
    observe_request,
)


@dataclass
class Request:
    method: str = "POST"


@dataclass
class Response:
    status_code: int


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def parcels(outcome: str, edge: str = "a test") -> float:
    return value("gateway_parcels_total", edge=edge, outcome=outcome)


@pytest.mark.parametrize(
    ("status", "outcome"), [(202, "accepted"), (400, "refused"), (413, "refused"), (422, "refused"), (503, "failed")]
)
def test_parcels_are_counted_by_their_answer(status: int, outcome: str) -> None:
    @counts_parcels("a test")
    def view(_request: Request) -> Response:
        return Response(status)

    before = parcels(outcome)
    assert view(Request()).status_code == status
    assert parcels(outcome) == before + 1


def test_unforeseen_errors_count_as_failed() -> None:
    @counts_parcels("a test")
    def view(_request: Request) -> Response:
        raise RuntimeError

    before = parcels("failed")
    with pytest.raises(RuntimeError):
        view(Request())
    assert parcels("failed") == before + 1


def test_requests_that_bring_no_parcel_do_not_count() -> None:
    @counts_parcels("a test")
    def view(_request: Request) -> Response:
        return Response(200)

    before = parcels("accepted")
    view(Request("GET"))
    assert parcels("accepted") == before


def test_collected_parcels_are_counted() -> None:
    before = parcels("collected", "poweb")
    count_collected_parcel()
    assert parcels("collected", "poweb") == before + 1


def test_opened_cargoes_are_counted() -> None:
    before = value("gateway_cargoes_opened_total", outcome="invalid")
    count_opened_cargo("invalid")
    assert value("gateway_cargoes_opened_total", outcome="invalid") == before + 1


def test_items_of_cargo_are_counted() -> None:
    before = value("gateway_cargo_items_total", outcome="skipped")
    count_cargo_items(parcel=0, skipped=3)
    assert value("gateway_cargo_items_total", outcome="skipped") == before + 3


def test_invented_methods_share_a_label() -> None:
    labels = {"edge": "a test", "method": "other", "status": "405"}
    before = value("gateway_http_requests_total", **labels)
    observe_request(edge="a test", method="BREW", status=405, seconds=0.1)
    assert value("gateway_http_requests_total", **labels) == before + 1
