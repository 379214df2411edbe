import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Model
from pytest_django import Settings

from gateway import batches
from gateway.models import (
    CargoCollection,
    Destination,
    Event,
    IncomingCargo,
    OutgoingParcel,
    SpentAuthorization,
    StoredParcel,
)
from gateway.services import purge_record as module
from tests.unit.gateway.factories import (
    make_incoming_cargo,
    make_node_id,
    make_outgoing_parcel,
    make_parcel_record,
    make_stored_parcel,
)

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def check_time() -> None:
    pass


def make_event(**values: Any) -> Event:
    return Event.objects.create(kind=Event.Kind.PARCEL_DISCARDED, **values)


def make_collection(**values: Any) -> CargoCollection:
    ids = {"peer_id": make_node_id(), "cca_id_sha256": uuid.uuid4().hex}
    return CargoCollection.objects.create(claimed_until=NOW, **ids | values)


def make_authorization(**values: Any) -> SpentAuthorization:
    return SpentAuthorization.objects.create(nonce_sha256=uuid.uuid4().hex, **values)


def make_destination(address: str = "pong.example.com", **values: Any) -> Destination:
    return Destination.objects.create(internet_address=address, **values)


def is_there(row: Model) -> bool:
    return type(row)._default_manager.filter(pk=row.pk).exists()


MAKERS: dict[type[Model], Callable[..., Model]] = {
    StoredParcel: make_stored_parcel,
    OutgoingParcel: make_outgoing_parcel,
    IncomingCargo: make_incoming_cargo,
}
SETTLED = [
    (MAKERS[model], state)
    for model in (StoredParcel, OutgoingParcel, IncomingCargo)
    for state in sorted(model.lifecycle.settled)
]
UNSETTLED = [
    (MAKERS[model], state)
    for model in (StoredParcel, OutgoingParcel, IncomingCargo)
    for state in sorted(set(model.State.values) - model.lifecycle.settled)
]


@pytest.mark.parametrize(("make", "state"), SETTLED)
def test_settled_rows_go_after_the_retention_time(settings: Settings, make: Callable[..., Model], state: str) -> None:
    settings.METADATA_RETENTION_HOURS = 72
    row = make(state=state, settled_at=NOW, expires_at=NOW)

    assert module.purge_settled_rows(NOW + 72 * HOUR, check_time) is None
    assert is_there(row)

    assert module.purge_settled_rows(NOW + 72 * HOUR + SECOND, check_time) == "1 rows removed"
    assert not is_there(row)


@pytest.mark.parametrize(("make", "state"), SETTLED)
def test_settled_rows_go_at_once_without_retention(settings: Settings, make: Callable[..., Model], state: str) -> None:
    settings.METADATA_RETENTION_HOURS = 0
    row = make(state=state, settled_at=NOW, expires_at=NOW)

    module.purge_settled_rows(NOW + SECOND, check_time)

    assert not is_there(row)


@pytest.mark.parametrize("hours", [0, 72])
def test_unwrapped_cargo_is_known_until_it_expires(settings: Settings, hours: int) -> None:
    settings.METADATA_RETENTION_HOURS = hours
    expiry = NOW + 180 * DAY
    row = make_incoming_cargo(state=IncomingCargo.State.UNWRAPPED, settled_at=NOW, expires_at=expiry)

    assert module.purge_settled_rows(expiry, check_time) is None
    assert is_there(row)

    assert module.purge_settled_rows(expiry + SECOND, check_time) == "1 rows removed"


def test_expired_cargo_goes_before_its_own_date(settings: Settings) -> None:
    """It was invalid: to have it again would do nothing."""
    settings.METADATA_RETENTION_HOURS = 0
    make_incoming_cargo(state=IncomingCargo.State.EXPIRED, settled_at=NOW, expires_at=NOW + DAY)

    assert module.purge_settled_rows(NOW + SECOND, check_time) == "1 rows removed"


@pytest.mark.parametrize(("make", "state"), UNSETTLED)
def test_rows_that_are_not_settled_stay(settings: Settings, make: Callable[..., Model], state: str) -> None:
    settings.METADATA_RETENTION_HOURS = 0
    row = make(state=state, settled_at=NOW)

    assert module.purge_settled_rows(NOW + 365 * DAY, check_time) is None
    assert is_there(row)


@pytest.mark.parametrize(("hours", "kept"), [(72, 72 * HOUR), (0, HOUR)])
def test_events_go_after_the_retention_time_and_not_within_an_hour(
    settings: Settings, hours: int, kept: timedelta
) -> None:
    settings.METADATA_RETENTION_HOURS = hours
    event = make_event(at=NOW)

    assert module.purge_events(NOW + kept, check_time) is None
    assert module.purge_events(NOW + kept + SECOND, check_time) == "1 rows removed"
    assert not is_there(event)


@pytest.mark.parametrize(
    ("purge", "make", "margin"),
    [
        (module.purge_parcel_records, make_parcel_record, timedelta()),
        (module.purge_cargo_collections, make_collection, HOUR),
        (module.purge_spent_authorizations, make_authorization, HOUR),
    ],
)
def test_rows_that_prevent_repeats_stay_until_what_they_know_has_expired(
    purge: Callable[..., str | None], make: Callable[..., Model], margin: timedelta
) -> None:
    row = make(expires_at=NOW)
    later = make(expires_at=NOW + DAY)

    assert purge(NOW + margin, check_time) is None
    assert purge(NOW + margin + SECOND, check_time) == "1 rows removed"
    assert purge(NOW + margin + SECOND, check_time) is None

    assert (is_there(row), is_there(later)) == (False, True)


@pytest.mark.parametrize("state", Destination.State.values)
def test_addresses_without_news_are_forgotten(state: str) -> None:
    make_destination(state=state, last_success_at=NOW - 40 * DAY, last_failure_at=NOW - 31 * DAY)

    assert module.purge_idle_destinations(NOW, check_time) == "1 rows removed"
    assert module.purge_idle_destinations(NOW, check_time) is None


@pytest.mark.parametrize(
    "values",
    [
        {"is_paused": True},
        {"last_success_at": NOW - 29 * DAY, "last_failure_at": NOW - 40 * DAY},
        {"last_success_at": NOW - 40 * DAY, "last_failure_at": NOW - 29 * DAY},
    ],
)
def test_addresses_that_somebody_may_look_at_stay(values: dict[str, Any]) -> None:
    destination = make_destination(**values)

    assert module.purge_idle_destinations(NOW, check_time) is None
    assert is_there(destination)


@pytest.mark.parametrize(("state", "stays"), [("pending", True), ("held", True), ("delivered", False)])
def test_addresses_for_which_parcels_wait_stay(state: str, stays: bool) -> None:  # noqa: FBT001
    destination = make_destination()
    make_outgoing_parcel(state=state, destination=destination.internet_address)

    module.purge_idle_destinations(NOW, check_time)

    assert is_there(destination) is stays


def test_addresses_that_stay_hide_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_DELETED_ROWS", 2)
    monkeypatch.setattr(batches, "MAX_DELETED_ROWS", 2)
    for number in range(6):
        make_destination(f"{number}.example")
    for number in (0, 1, 4):
        make_outgoing_parcel(destination=f"{number}.example")

    assert module.purge_idle_destinations(NOW, check_time) == "3 rows removed"

    addresses = Destination.objects.order_by("internet_address").values_list("internet_address", flat=True)
    assert list(addresses) == ["0.example", "1.example", "4.example"]
