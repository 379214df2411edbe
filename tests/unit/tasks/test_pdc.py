"""The task against a server of the tests: which answer becomes which state is here, the rest is the service's."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from gateway import stopping
from gateway.models import Destination, OutgoingParcel
from gateway.storage import prepare_object_store, store_object
from tasks import deliverer, pdc
from tasks.lanes import Lanes
from tests.functional.internet_endpoint import InternetEndpoint
from tests.unit.gateway.factories import make_outgoing_parcel

pytestmark = pytest.mark.django_db(transaction=True)

State = OutgoingParcel.State
ADDRESS = "pong.example.com"


@pytest.fixture(autouse=True)
def object_store(tmp_path: Path, settings: Settings) -> None:
    location = {"location": tmp_path / "objects"}
    settings.STORAGES = settings.STORAGES | {"default": {**settings.STORAGES["default"], "OPTIONS": location}}
    prepare_object_store(has_objects=False)


@pytest.fixture(autouse=True)
def hints(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The destinations of the hints that were sent."""
    sent: list[str] = []
    monkeypatch.setattr(pdc, "hint_outgoing_parcel", lambda _, destination: sent.append(destination))
    return sent


@pytest.fixture(autouse=True)
def lanes(monkeypatch: pytest.MonkeyPatch) -> Lanes:
    lanes = Lanes(threads=2, per_destination=2)
    monkeypatch.setattr(pdc, "_lanes", lanes)
    return lanes


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[InternetEndpoint]:
    with InternetEndpoint() as server:
        settings.POHTTP_USE_TLS = False
        settings.INTERNET_ADDRESS_OVERRIDES = {ADDRESS: ("127.0.0.1", server.port)}
        settings.DOH_RESOLVER_URL = "http://127.0.0.1:9/dns-query"
        deliverer.close_deliverer()
        yield server
        deliverer.close_deliverer()


def make_parcel(octets: bytes = b"octets", **values: object) -> OutgoingParcel:
    parcel = make_outgoing_parcel(**{"destination": ADDRESS} | values)
    store_object(parcel.object_key, octets)
    return parcel


def run(parcel: OutgoingParcel) -> OutgoingParcel:
    pdc.deliver_parcel.run(str(parcel.pk))
    parcel.refresh_from_db()
    return parcel


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (200, State.DELIVERED),
        (202, State.DELIVERED),
        (400, State.REJECTED),
        (403, State.REJECTED),
        (404, State.REJECTED),
        (422, State.REJECTED),
        (302, State.PENDING),
        (307, State.PENDING),
        (408, State.PENDING),
        (425, State.PENDING),
        (429, State.PENDING),
        (500, State.PENDING),
        (503, State.PENDING),
        (507, State.PENDING),
    ],
)
def test_answer_decides_what_becomes_of_the_parcel(endpoint: InternetEndpoint, status: int, state: str) -> None:
    endpoint.answer(status)

    row = run(make_parcel())

    assert row.state == state
    assert bool(row.last_error) == (state != State.DELIVERED)
    assert len(endpoint.received) == 1


def test_endless_redirects_are_bounded(endpoint: InternetEndpoint) -> None:
    endpoint.answer(307, location=f"{endpoint.url}/")

    assert run(make_parcel()).state == State.PENDING

    assert len(endpoint.received) == 4


def test_address_that_cannot_be_resolved_is_tried_again(endpoint: InternetEndpoint) -> None:
    assert run(make_parcel(destination="elsewhere.example.com")).state == State.PENDING

    assert Destination.objects.get().consecutive_failures == 1


def test_address_that_dns_cannot_even_be_asked_for_is_kept(endpoint: InternetEndpoint) -> None:
    row = run(make_parcel(destination=f"{'x' * 64}.example.com"))

    assert (row.state, row.attempts) == (State.PENDING, 1)


def test_unforeseen_error_keeps_the_parcel_and_says_little(
    endpoint: InternetEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(pdc, "get_deliverer", fail)

    row = run(make_parcel())

    assert (row.state, row.last_error) == (State.PENDING, "unforeseen RuntimeError; the log tells more")


def test_everything_that_is_due_for_the_destination_is_delivered(endpoint: InternetEndpoint, hints: list[str]) -> None:
    parcels = [make_parcel(b"%d" % number) for number in range(40)]

    run(parcels[0])

    assert not OutgoingParcel.objects.exclude(state=State.DELIVERED).exists()
    assert len(endpoint.received) == 40
    # Two batches left something for another thread.
    assert hints == [ADDRESS, ADDRESS]


def test_hint_at_a_settled_parcel_does_no_harm(endpoint: InternetEndpoint) -> None:
    run(make_parcel(state=State.DELIVERED))
    pdc.deliver_parcel.run(str(uuid.uuid4()))

    assert not endpoint.received


def test_destinations_that_wait_are_served_too(endpoint: InternetEndpoint, lanes: Lanes) -> None:
    waiting = make_parcel()
    lanes.announce(ADDRESS)

    pdc.deliver_parcel.run(str(uuid.uuid4()))

    waiting.refresh_from_db()
    assert waiting.state == State.DELIVERED


def test_worker_that_stops_takes_up_nothing(endpoint: InternetEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "is_stopping", lambda: True)

    assert run(make_parcel()).state == State.PENDING


def test_turn_ends_in_time_and_leaves_a_hint(
    endpoint: InternetEndpoint, hints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdc, "TURN_SECONDS", 0.0)
    parcels = [make_parcel() for _ in range(20)]

    run(parcels[0])

    assert OutgoingParcel.objects.filter(state=State.PENDING).count() == 4
    assert hints == [ADDRESS]


def test_lane_is_given_back_when_the_database_fails(
    endpoint: InternetEndpoint, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    parcel = make_parcel()
    with monkeypatch.context() as patch:
        patch.setattr(pdc, "deliver_slice", fail)
        with pytest.raises(RuntimeError):
            pdc.deliver_parcel.run(str(parcel.pk))

    assert run(parcel).state == State.DELIVERED


def test_expired_parcel_is_settled_without_being_sent(endpoint: InternetEndpoint) -> None:
    assert run(make_parcel(expires_at=timezone.now() - timedelta(seconds=1))).state == State.EXPIRED

    assert not endpoint.received
