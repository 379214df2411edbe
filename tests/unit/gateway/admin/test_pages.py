import hashlib
import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gateway.admin.site import console
from gateway.models import Event, MaintenanceJob, OwnCertificate, StoredKey, StoredParcel
from gateway.services.ensure_identity import ensure_identity
from tests.unit.gateway.factories import (
    make_cargo_collection,
    make_destination,
    make_incoming_cargo,
    make_node_id,
    make_outgoing_parcel,
    make_parcel_record,
    make_peer,
    make_stored_parcel,
)

LISTS = (
    "peer",
    "storedparcel",
    "outgoingparcel",
    "destination",
    "incomingcargo",
    "cargocollection",
    "parcelrecord",
    "event",
    "maintenancejob",
    "owncertificate",
    "storedkey",
)
ROWS_PER_PAGE = 50


def make_rows(number: int = 1) -> None:
    for _ in range(number):
        peer = make_peer()
        parcel = make_stored_parcel(peer_id=peer.node_id)
        make_outgoing_parcel(peer_id=peer.node_id)
        make_parcel_record(peer_id=peer.node_id)
        make_destination()
        make_incoming_cargo(peer_id=peer.node_id)
        make_cargo_collection(peer_id=peer.node_id)
        MaintenanceJob.objects.create(name=f"upkeep of {peer.node_id[:9]}")
        Event.objects.create(kind=Event.Kind.PARCEL_STORED, subject_id=parcel.pk, peer_id=peer.node_id)


def page_of(operator: Client, path: str) -> str:
    response = operator.get(f"/admin/gateway/{path}")
    assert response.status_code == 200
    return response.content.decode()


def count_rows(page: str) -> int:
    return page.count('<th class="field-')


@pytest.mark.parametrize("name", LISTS)
def test_lists_and_their_rows_have_pages(operator: Client, name: str) -> None:
    ensure_identity()
    make_rows()
    listed = page_of(operator, f"{name}/")
    assert count_rows(listed)
    links = re.findall(rf'href="/admin/gateway/{name}/([^"/]+)/change/', listed)
    assert links
    page_of(operator, f"{name}/{links[0]}/change/")


@pytest.mark.parametrize("name", LISTS)
def test_empty_lists_have_pages(operator: Client, name: str) -> None:
    assert count_rows(page_of(operator, f"{name}/")) == 0


@pytest.mark.parametrize("name", LISTS)
def test_nobody_adds_changes_or_deletes_rows(operator: Client, name: str) -> None:
    ensure_identity()
    make_rows()
    row = console._registry[_model(name)].model._default_manager.first()  # noqa: SLF001
    before = _all_values(name)
    assert operator.get(f"/admin/gateway/{name}/add/").status_code == 403
    assert operator.post(f"/admin/gateway/{name}/add/").status_code == 403
    assert operator.post(f"/admin/gateway/{name}/{row.pk}/change/", {"state": "discarded"}).status_code == 403
    assert operator.post(f"/admin/gateway/{name}/{row.pk}/delete/", {"post": "yes"}).status_code == 403
    operator.post(f"/admin/gateway/{name}/", {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})
    assert _all_values(name) == before


def _model(name: str) -> type:
    return next(model for model in console._registry if model.__name__.lower() == name)  # noqa: SLF001


def _all_values(name: str) -> list[object]:
    return list(_model(name)._default_manager.order_by("pk").values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", LISTS)
def test_lists_ask_as_many_questions_for_many_rows_as_for_one(operator: Client, name: str) -> None:
    ensure_identity()
    make_rows()
    page_of(operator, f"{name}/")
    with CaptureQueriesContext(connection) as few:
        page_of(operator, f"{name}/")
    make_rows(20)
    with CaptureQueriesContext(connection) as many:
        page_of(operator, f"{name}/")
    assert len(many) == len(few)


def test_lists_never_count_all_rows(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.admin.pagination.MAX_ROWS", 60)
    make_rows(70)
    with CaptureQueriesContext(connection) as queries:
        page = page_of(operator, "storedparcel/")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counts
    assert all("LIMIT 61" in sql for sql in counts)
    assert count_rows(page) == ROWS_PER_PAGE
    assert "The first 60 stored parcels" in page
    assert count_rows(page_of(operator, "storedparcel/?p=2")) == 10
    assert "The first" not in page_of(operator, "peer/?q=0000")


def test_parcels_are_filtered_by_state(operator: Client) -> None:
    make_stored_parcel()
    collected = make_stored_parcel(state=StoredParcel.State.COLLECTED, settled_at=timezone.now())
    page = page_of(operator, "storedparcel/?state__exact=collected")
    assert count_rows(page) == 1
    assert str(collected.pk) in page


@pytest.mark.parametrize("field", ["pk", "peer_id", "recipient_id", "sender_id", "parcel_id_sha256"])
def test_parcels_are_found_by_each_id(operator: Client, field: str) -> None:
    make_stored_parcel()
    wanted = make_stored_parcel()
    page = page_of(operator, f"storedparcel/?q={getattr(wanted, field)}")
    assert count_rows(page) == 1
    assert str(wanted.pk) in page


@pytest.mark.parametrize("field", ["peer_id", "recipient_id", "sender_id"])
def test_parcels_are_found_by_how_an_id_begins(operator: Client, field: str) -> None:
    """As lists show ids, with an ellipsis at their end."""
    make_stored_parcel(**{field: "0" + "a" * 64})
    wanted = make_stored_parcel(**{field: "0b" + "f" * 63})
    page = page_of(operator, "storedparcel/?q=0bfff…&state__exact=queued")
    assert count_rows(page) == 1
    assert str(wanted.pk) in page


@pytest.mark.parametrize("term", ["parcel-1", "héllo", "日本", "0xyz", " "])
def test_any_term_can_be_searched(operator: Client, term: str) -> None:
    digest = hashlib.sha256(term.encode("utf-8" if term == "日本" else "latin-1")).hexdigest()
    make_stored_parcel(parcel_id_sha256=digest)
    # Ids in other alphabets than Latin-1 do not exist; nothing but spaces finds everything.
    assert count_rows(page_of(operator, f"storedparcel/?q={term}")) == (0 if term == "日本" else 1)


def test_other_rows_are_found_by_ids(operator: Client) -> None:
    ensure_identity()
    make_rows(2)
    parcel = StoredParcel.objects.first()
    key = StoredKey.objects.get(kind=StoredKey.Kind.SESSION)
    assert parcel
    assert count_rows(page_of(operator, f"event/?q={parcel.pk}")) == 1
    assert count_rows(page_of(operator, f"event/?q={parcel.peer_id}")) == 1
    assert count_rows(page_of(operator, f"parcelrecord/?q={parcel.peer_id}")) == 1
    assert count_rows(page_of(operator, f"peer/?q={parcel.peer_id[:8]}")) == 1
    assert count_rows(page_of(operator, f"storedkey/?q={key.key_id.upper()}")) == 1


def test_event_leads_to_the_others_of_its_row_and_peer(operator: Client) -> None:
    make_rows()
    event = Event.objects.get()
    page = page_of(operator, f"event/{event.pk}/change/")
    assert f"?subject_id__exact={event.subject_id}" in page
    assert f"?peer_id__exact={event.peer_id}" in page


def test_outgoing_parcels_are_found_by_destination(operator: Client) -> None:
    make_outgoing_parcel()
    make_outgoing_parcel(destination="ping.example.org")
    assert count_rows(page_of(operator, "outgoingparcel/?q=Ping.example.org.")) == 1


@pytest.mark.parametrize("field", ["pk", "peer_id", "cargo_id_sha256"])
def test_cargo_is_found_by_each_id(operator: Client, field: str) -> None:
    make_incoming_cargo()
    wanted = make_incoming_cargo()
    page = page_of(operator, f"incomingcargo/?q={getattr(wanted, field)}")
    assert count_rows(page) == 1
    assert str(wanted.pk) in page


@pytest.mark.parametrize("field", ["pk", "peer_id", "cca_id_sha256"])
def test_collections_are_found_by_each_id(operator: Client, field: str) -> None:
    make_cargo_collection()
    wanted = make_cargo_collection()
    page = page_of(operator, f"cargocollection/?q={getattr(wanted, field)}")
    assert count_rows(page) == 1
    assert str(wanted.pk) in page


def test_destinations_are_found_by_address(operator: Client) -> None:
    make_destination()
    wanted = make_destination(internet_address="ping.example.org")
    page = page_of(operator, "destination/?q=Ping.Example.org.")
    assert count_rows(page) == 1
    assert str(wanted.pk) in page


def test_destinations_in_trouble_come_first(operator: Client) -> None:
    for state in ("closed", "half_open", "open"):
        make_destination(state=state, internet_address=f"{state}.example")
    page = page_of(operator, "destination/")
    assert page.index(">open.example") < page.index(">half_open.example") < page.index(">closed.example")


@pytest.mark.parametrize(("query", "listed"), [("", 3), ("?is_paused=1", 1), ("?is_paused=0", 2), ("?is_paused=x", 2)])
def test_destinations_are_filtered_by_pause(operator: Client, query: str, listed: int) -> None:
    for is_paused in (True, False, False):
        make_destination(is_paused=is_paused)
    page = page_of(operator, f"destination/{query}")
    assert count_rows(page) == listed
    assert "Not paused" in page


@pytest.mark.parametrize(("state", "is_shown"), [("pending", True), ("unwrapped", False)])
def test_only_cargo_that_waits_has_a_next_attempt(operator: Client, state: str, is_shown: bool) -> None:  # noqa: FBT001
    cargo = make_incoming_cargo(state=state, next_attempt_at=timezone.now() + timedelta(hours=2, minutes=1))
    for path in ("incomingcargo/", f"incomingcargo/{cargo.pk}/change/"):
        page = page_of(operator, path).replace("\xa0", " ")
        assert ("in 2 hours" in page) == is_shown


def test_destination_tells_how_much_waits_for_it(operator: Client) -> None:
    destination = make_destination(internet_address="pong.example.com")
    for state in ("pending", "pending", "held", "delivered"):
        make_outgoing_parcel(state=state)
    make_outgoing_parcel(destination="ping.example.org")
    page = page_of(operator, f"destination/{destination.pk}/change/")
    assert "2, and 1 held" in page
    assert "?destination__exact=pong.example.com" in page


def test_parcel_leads_to_its_destination(operator: Client) -> None:
    parcel = make_outgoing_parcel()
    page = page_of(operator, f"outgoingparcel/{parcel.pk}/change/")
    assert "/admin/gateway/destination/?internet_address__exact=pong.example.com" in page


def test_upkeep_is_found_by_name(operator: Client) -> None:
    make_rows(2)
    MaintenanceJob.objects.create(name="expiry", has_failed=True, last_outcome="the database failed")
    page = page_of(operator, "maintenancejob/?q=expiry")
    assert count_rows(page) == 1
    assert "badge-failed" in page
    assert "the database failed" in page


def test_size_and_expiry_are_readable(operator: Client) -> None:
    make_stored_parcel(size=2_621_440, expires_at=timezone.now() + timedelta(hours=3, minutes=1))
    page = page_of(operator, "storedparcel/").replace("\xa0", " ")
    assert "2.5 MB" in page
    assert "in 3 hours" in page


def test_peer_is_found_by_its_node_id(operator: Client) -> None:
    peer = make_peer()
    page = page_of(operator, f"peer/{peer.node_id}/change/")
    assert f"?peer_id__exact={peer.node_id}" in page


def test_unknown_peer_leads_back(operator: Client) -> None:
    """A parcel may wait for a private gateway that another gateway's database registered."""
    assert operator.get(f"/admin/gateway/peer/{make_node_id()}/change/").status_code == 302


def test_own_certificate_tells_its_validity(operator: Client) -> None:
    ensure_identity()
    row = OwnCertificate.objects.get()
    page = page_of(operator, f"owncertificate/{row.pk}/change/")
    assert "valid" in page
    assert ">179<" in page
    for starts, expires, validity in (
        (timedelta(days=-2), timedelta(days=-1), "expired"),
        (timedelta(days=1), timedelta(days=2), "not yet valid"),
        (timedelta(days=-2), timedelta(days=1), "past half of its life"),
    ):
        now = timezone.now()
        OwnCertificate.objects.update(starts_at=now + starts, expires_at=now + expires)
        assert validity in page_of(operator, "owncertificate/")


def test_sealed_keys_are_not_even_read(operator: Client) -> None:
    ensure_identity()
    key = StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).get()
    with CaptureQueriesContext(connection) as queries:
        page_of(operator, "storedkey/")
        page_of(operator, f"storedkey/{key.pk}/change/")
    assert not [query for query in queries if "sealed" in query["sql"]]


def test_staff_sees_what_it_may(db: None, client: Client) -> None:
    clerk = User.objects.create_user("clerk", password="irrelevant", is_staff=True)
    clerk.user_permissions.add(Permission.objects.get(codename="view_peer"))
    client.force_login(clerk)
    assert client.get("/admin/gateway/peer/").status_code == 200
    assert client.get("/admin/gateway/storedparcel/").status_code == 403
    assert client.get("/admin/auth/user/").status_code == 403


def test_only_staff_enters(db: None, client: Client) -> None:
    client.force_login(User.objects.create_user("visitor", password="irrelevant"))
    response = client.get("/admin/gateway/peer/")
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


def test_users_and_groups_have_pages(operator: Client) -> None:
    assert operator.get("/admin/auth/user/").status_code == 200
    assert operator.get("/admin/auth/group/").status_code == 200
