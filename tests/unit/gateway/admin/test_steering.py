import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.forms.models import model_to_dict
from django.test import Client
from django.utils import timezone

from gateway.models import Destination, Event, IncomingCargo, OutgoingParcel
from tests.unit.gateway.factories import make_destination, make_incoming_cargo, make_outgoing_parcel

MODELS = ("outgoingparcel", "destination", "incomingcargo")


@pytest.fixture
def clerk(db: None, client: Client) -> User:
    """Somebody who is signed in and may read whatever can be steered."""
    clerk = User.objects.create_user("clerk", password="irrelevant", is_staff=True)
    for name in MODELS:
        grant(clerk, f"view_{name}")
    client.force_login(clerk)
    return clerk


def grant(user: User, codename: str) -> None:
    user.user_permissions.add(Permission.objects.get(codename=codename))


def act(client: Client, model: str, action: str, *rows: Any, **more: str) -> str:
    """Choose rows of a list and an action, and return the list as it is shown then."""
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows], **more}
    response = client.post(f"/admin/gateway/{model}/", data, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_parcels_are_held_and_released(operator: Client) -> None:
    parcels = [make_outgoing_parcel() for _ in range(2)]

    assert "2 outgoing parcels held." in act(operator, "outgoingparcel", "hold", *parcels)
    assert set(OutgoingParcel.objects.values_list("state", flat=True)) == {"held"}

    assert "1 outgoing parcel released." in act(operator, "outgoingparcel", "release", parcels[0])
    assert sorted(OutgoingParcel.objects.values_list("state", flat=True)) == ["held", "pending"]


def test_events_tell_who_did_it(operator: Client) -> None:
    act(operator, "outgoingparcel", "hold", make_outgoing_parcel())

    assert Event.objects.get().detail == "by admin"


def test_what_could_not_be_moved_is_told(operator: Client) -> None:
    waiting = make_outgoing_parcel()
    delivered = make_outgoing_parcel(state="delivered")
    leased = make_outgoing_parcel(lease_id=uuid.uuid4(), leased_until=timezone.now() + timedelta(minutes=1))

    page = act(operator, "outgoingparcel", "hold", waiting, delivered, leased)

    assert "1 outgoing parcel held." in page
    assert "2 outgoing parcels left unchanged." in page


def test_nothing_is_confirmed_that_was_not_done(operator: Client) -> None:
    page = act(operator, "outgoingparcel", "release", make_outgoing_parcel())

    assert "released." not in page
    assert "1 outgoing parcel left unchanged." in page


def test_destinations_are_paused_and_resumed(operator: Client) -> None:
    destination = make_destination()

    assert "1 destination paused." in act(operator, "destination", "pause", destination)
    assert Destination.objects.get().is_paused

    assert "1 destination resumed." in act(operator, "destination", "resume", destination)
    assert not Destination.objects.get().is_paused


def test_invalid_cargo_is_unwrapped_again(operator: Client) -> None:
    cargo = make_incoming_cargo(state="invalid")

    page = act(operator, "incomingcargo", "unwrap_again", cargo)

    assert "1 incoming cargo to be unwrapped again." in page
    assert IncomingCargo.objects.get().state == IncomingCargo.State.PENDING


@pytest.mark.parametrize(
    ("model", "action"),
    [
        ("outgoingparcel", "hold"),
        ("outgoingparcel", "release"),
        ("destination", "pause"),
        ("destination", "resume"),
        ("incomingcargo", "unwrap_again"),
    ],
)
def test_readers_steer_nothing(clerk: User, client: Client, model: str, action: str) -> None:
    made: dict[str, list[Any]] = {
        "outgoingparcel": [make_outgoing_parcel(), make_outgoing_parcel(state="held")],
        "destination": [make_destination(), make_destination(is_paused=True)],
        "incomingcargo": [make_incoming_cargo(state="invalid")],
    }
    rows = made[model]

    assert 'name="action"' not in client.get(f"/admin/gateway/{model}/").content.decode()
    act(client, model, action, *rows)

    for row in rows:
        before = model_to_dict(row)
        row.refresh_from_db()
        assert model_to_dict(row) == before
    assert not Event.objects.exists()


def test_permission_to_change_one_kind_steers_that_kind(clerk: User, client: Client) -> None:
    grant(clerk, "change_destination")
    destination, parcel = make_destination(), make_outgoing_parcel()

    act(client, "destination", "pause", destination)
    act(client, "outgoingparcel", "hold", parcel)

    assert Destination.objects.get().is_paused
    assert OutgoingParcel.objects.get().state == "pending"


def test_permission_to_change_edits_no_row(clerk: User, client: Client) -> None:
    grant(clerk, "change_destination")
    destination = make_destination()

    response = client.post(f"/admin/gateway/destination/{destination.pk}/change/", {"is_paused": "on"})

    assert response.status_code == 403


def test_too_many_at_once_are_refused(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.steering.MAX_ROWS_AT_ONCE", 2)
    parcels = [make_outgoing_parcel() for _ in range(3)]

    page = act(operator, "outgoingparcel", "hold", parcels[0], select_across="1")

    assert "Nothing was done: choose at most 2 outgoing parcels at once." in page
    assert set(OutgoingParcel.objects.values_list("state", flat=True)) == {"pending"}


def test_all_that_a_filter_finds_are_steered(operator: Client) -> None:
    for name in ("a.example", "a.example", "b.example"):
        make_outgoing_parcel(destination=name)

    first = str(OutgoingParcel.objects.filter(destination="a.example")[0].pk)
    data = {"action": "hold", "_selected_action": first, "select_across": "1"}
    operator.post("/admin/gateway/outgoingparcel/?destination__exact=a.example", data)

    held = OutgoingParcel.objects.filter(state="held")
    assert set(held.values_list("destination", flat=True)) == {"a.example"}
    assert held.count() == 2
