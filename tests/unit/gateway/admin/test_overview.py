from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from gateway.models import MaintenanceJob
from gateway.services.ensure_identity import ensure_identity
from tests.unit.gateway.factories import (
    make_destination,
    make_incoming_cargo,
    make_outgoing_parcel,
    make_peer,
    make_stored_parcel,
)

# Checks and counts run in threads of their own, which see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def identity(transactional_db: None) -> None:
    ensure_identity()


@pytest.fixture
def operator(transactional_db: None, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("admin"))
    return client


def overview(operator: Client) -> str:
    response = operator.get("/admin/")
    assert response.status_code == 200
    return response.content.decode().replace("\xa0", " ")


def tile(page: str, title: str) -> str:
    """Return what one of the tiles holds."""
    return page[page.index(f">{title}<") :].partition("</a>")[0]


def test_figures_are_shown(operator: Client) -> None:
    make_peer()
    for _ in range(3):
        make_stored_parcel(size=1_024, received_at=timezone.now() - timedelta(hours=2))
    make_outgoing_parcel()
    page = overview(operator)
    assert '<span class="tile-figure">3</span>' in page
    assert "3.0 KB" in page
    assert "2 hours ago" in page
    assert "gateway.example.com" in page


def test_idle_gateway_is_shown(operator: Client) -> None:
    assert "none waits" in overview(operator)


def test_cargo_that_waits_is_shown(operator: Client) -> None:
    for _ in range(4):
        make_incoming_cargo(size=1_024, received_at=timezone.now() - timedelta(hours=3))
    page = tile(overview(operator), "Cargo to be unwrapped")
    assert ">4<" in page
    assert "4.0 KB" in page
    assert "3 hours ago" in page


def test_trouble_stands_out(operator: Client) -> None:
    make_incoming_cargo(state="invalid")
    make_destination(state="open")
    make_destination(state="half_open", is_paused=True)
    MaintenanceJob.objects.create(name="expiry", last_finished_at=timezone.now(), has_failed=True)
    page = overview(operator)
    assert page.count("tile-bad") == 3
    assert ">1<" in tile(page, "Invalid cargo")
    assert ">2<" in tile(page, "Destinations in trouble")
    assert "1 paused" in tile(page, "Destinations in trouble")
    assert "1 job failed" in tile(page, "Last upkeep")


def test_gateway_without_trouble_is_calm(operator: Client) -> None:
    MaintenanceJob.objects.create(name="expiry", last_finished_at=timezone.now() - timedelta(minutes=5))
    page = overview(operator)
    assert "tile-bad" not in page
    assert "5 minutes ago" in tile(page, "Last upkeep")
    assert "no job failed" in tile(page, "Last upkeep")


def test_health_is_shown(operator: Client) -> None:
    page = overview(operator)
    assert "179 days left" in page
    assert "badge-failed" not in page


def test_failing_check_is_shown(operator: Client, object_store: Path) -> None:
    (object_store / "tmp").rmdir()
    page = overview(operator)
    assert "badge-failed" in page
    assert "Storage" in page


def test_broken_database_is_told(operator: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE gateway_peer RENAME TO elsewhere")
    try:
        page = overview(operator)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO gateway_peer")
    assert "cannot be counted" in page


def test_kinds_are_in_the_order_of_the_work(operator: Client) -> None:
    page = overview(operator)
    names = (
        "Peers",
        "Stored parcels",
        "Outgoing parcels",
        "Destinations",
        "Incoming cargoes",
        "Cargo collections",
        "Parcel records",
        "Events",
        "Maintenance jobs",
        "Own certificates",
        "Users",
    )
    positions = [page.index(f">{name}</a>") for name in names]
    assert positions == sorted(positions)
