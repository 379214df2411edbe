import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from gateway.console.headers import HEADERS
from gateway.models import MaintenanceJob, OwnCertificate, StoredKey
from gateway.private_files import make_private_folder
from gateway.servers.wsgi import EDGE
from gateway.services.survey_record import forget_survey
from tests.unit.gateway.factories import (
    make_destination,
    make_incoming_cargo,
    make_outgoing_parcel,
    make_peer,
    make_stored_parcel,
)

PAGES = ("livez", "readyz", "metrics")


def read(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/readyz")
    return response.status_code, response.json()


def read_metrics(client: Client) -> dict[str, float]:
    lines = client.get("/metrics").content.decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_process_is_alive(client: Client) -> None:
    response = client.get("/livez")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


def test_being_alive_takes_no_database(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        client.get("/livez")


def test_gateway_is_ready(client: Client) -> None:
    status, answer = read(client)
    assert status == 200
    assert answer["status"] == "ok"
    checks = ["database", "storage", "identity", "own_certificate", "session_key", "upkeep", "queues"]
    assert list(answer["checks"]) == checks
    assert answer["checks"]["own_certificate"]["days_left"] == 179.9
    assert answer["checks"]["session_key"]["age_days"] == 0


def test_warning_is_still_ready(client: Client) -> None:
    StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).update(created_at=timezone.now() - timedelta(days=61))
    status, answer = read(client)
    assert (status, answer["status"], answer["checks"]["session_key"]["status"]) == (200, "warning", "warning")


def test_silent_upkeep_is_still_ready(client: Client) -> None:
    MaintenanceJob.objects.create(name="job", last_finished_at=timezone.now() - timedelta(hours=1))
    status, answer = read(client)
    assert (status, answer["status"], answer["checks"]["upkeep"]["status"]) == (200, "warning", "warning")


def test_expired_certificate_is_not_ready(client: Client) -> None:
    OwnCertificate.objects.update(expires_at=timezone.now())
    status, answer = read(client)
    assert (status, answer["checks"]["own_certificate"]["status"]) == (503, "failed")


def test_locked_database_is_not_ready(client: Client) -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        status, answer = read(client)
    assert (status, answer["checks"]["database"]["status"]) == (503, "failed")
    assert answer["checks"]["storage"]["status"] == "ok"


def test_broken_storage_is_not_ready(client: Client, object_store: Path) -> None:
    make_private_folder(object_store.parent)
    shutil.rmtree(object_store, ignore_errors=True)
    object_store.touch()
    status, answer = read(client)
    assert (status, answer["checks"]["storage"]["status"]) == (503, "failed")
    assert answer["checks"]["database"]["status"] == "ok"


@pytest.mark.parametrize("page", PAGES)
def test_probes_may_only_read(client: Client, page: str) -> None:
    assert client.post(f"/{page}").status_code == 405
    assert client.head(f"/{page}").status_code == 200


@pytest.mark.parametrize("page", PAGES)
def test_answers_are_never_kept(client: Client, page: str) -> None:
    assert "no-store" in client.get(f"/{page}")["Cache-Control"]


def test_answers_hold_no_secrets(client: Client) -> None:
    key = bytes(StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).get().sealed)
    for page in PAGES:
        assert key.hex() not in client.get(f"/{page}").content.decode()


def test_gauges_come_from_the_database(client: Client) -> None:
    now = timezone.now()
    make_peer()
    make_stored_parcel(size=1_000, received_at=now - timedelta(hours=1))
    make_stored_parcel(size=500)
    make_stored_parcel(expires_at=now)
    make_stored_parcel(state="collected")
    make_outgoing_parcel(size=7)
    metrics = read_metrics(client)
    assert metrics["gateway_record_up"] == 1
    assert metrics["gateway_queued_parcels"] == 2
    assert metrics["gateway_queued_bytes"] == 1_500
    assert metrics["gateway_queued_oldest_age_seconds"] == pytest.approx(3_600, abs=30)
    assert metrics["gateway_outgoing_parcels"] == 1
    assert metrics["gateway_outgoing_bytes"] == 7
    assert metrics["gateway_peers"] == 1
    expiry = OwnCertificate.objects.get().expires_at.timestamp()
    assert metrics["gateway_own_certificate_expiry_timestamp_seconds"] == expiry
    assert metrics["gateway_session_key_created_timestamp_seconds"] == pytest.approx(now.timestamp(), abs=30)


def test_gauges_tell_of_cargo_destinations_and_upkeep(client: Client) -> None:
    now = timezone.now()
    make_incoming_cargo(size=1_000, received_at=now - timedelta(hours=1))
    make_incoming_cargo(state="invalid")
    make_destination(state="open")
    make_destination(is_paused=True)
    MaintenanceJob.objects.create(name="expiry", last_finished_at=now, has_failed=True)
    metrics = read_metrics(client)
    assert metrics["gateway_incoming_cargoes"] == 1
    assert metrics["gateway_incoming_bytes"] == 1_000
    assert metrics["gateway_incoming_oldest_age_seconds"] == pytest.approx(3_600, abs=30)
    assert metrics["gateway_invalid_cargoes"] == 1
    assert metrics["gateway_destinations_in_trouble"] == 1
    assert metrics["gateway_destinations_paused"] == 1
    assert metrics["gateway_upkeep_failed_jobs"] == 1
    assert metrics["gateway_upkeep_finished_timestamp_seconds"] == pytest.approx(now.timestamp(), abs=0.001)


def test_gateway_without_upkeep_has_no_time_of_it(client: Client) -> None:
    assert "gateway_upkeep_finished_timestamp_seconds" not in read_metrics(client)


def test_gateway_without_identity_has_metrics(client: Client) -> None:
    StoredKey.objects.all().delete()
    assert "gateway_session_key_created_timestamp_seconds" not in read_metrics(client)
    forget_survey()
    OwnCertificate.objects.all().delete()
    metrics = read_metrics(client)
    assert metrics["gateway_queued_oldest_age_seconds"] == 0
    assert "gateway_own_certificate_expiry_timestamp_seconds" not in metrics


def test_metrics_outlive_the_database(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE gateway_peer RENAME TO elsewhere")
    try:
        metrics = read_metrics(client)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO gateway_peer")
    assert metrics["gateway_record_up"] == 0
    assert "gateway_queued_parcels" not in metrics
    assert "process_start_time_seconds" in metrics


@pytest.mark.parametrize("edge", ["poweb", "pohttp"])
@pytest.mark.parametrize(
    "path", ["/admin/", "/admin/login/", "/static/admin/css/base.css", "/livez", "/readyz", "/metrics"]
)
def test_public_edges_know_nothing_of_the_console(client: Client, edge: str, path: str) -> None:
    response = client.get(path, **{EDGE: edge})  # type: ignore[arg-type]
    assert response.status_code == 404
    assert not response.cookies
    assert "Content-Security-Policy" not in response


@pytest.mark.parametrize("path", ["/admin/login/", "/livez", "/static/console/console.css", "/nowhere"])
def test_every_answer_of_the_console_is_guarded(client: Client, path: str) -> None:
    response = client.get(path)
    response.close()
    assert dict(HEADERS).items() <= dict(response.headers).items()


def test_root_leads_to_the_console(client: Client) -> None:
    assert client.get("/")["Location"] == "/admin/"


def test_names_of_other_sites_are_refused(client: Client) -> None:
    assert client.get("/metrics", headers={"host": "evil.example"}).status_code == 400
