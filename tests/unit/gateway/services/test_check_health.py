import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from awala.pki import keys
from gateway.models import Destination, IncomingCargo, MaintenanceJob, OwnCertificate, SpentAuthorization, StoredKey
from gateway.services import check_health as module
from gateway.services.check_health import Finding, Status, check_health
from gateway.services.ensure_identity import ensure_identity
from gateway.services.load_identity import forget_identity
from gateway.shared_call import SharedCall
from tests.unit.gateway.factories import make_incoming_cargo, make_outgoing_parcel

# The checks run in threads of their own, which see what is committed.
pytestmark = pytest.mark.django_db(transaction=True)

CHECKS = {"database", "storage", "identity", "own_certificate", "session_key", "upkeep", "queues"}
LIFE = timedelta(days=180)


@pytest.fixture(autouse=True)
def identity(transactional_db: None) -> Iterator[None]:
    ensure_identity()
    yield
    forget_identity()


def find(name: str, now: datetime | None = None, *, limit_seconds: float = 10) -> Finding:
    forget_identity()
    health = check_health(now or timezone.now(), limit_seconds=limit_seconds)
    return next(check.finding for check in health.checks if check.name == name)


def failed_checks() -> set[str]:
    forget_identity()
    health = check_health(timezone.now(), limit_seconds=10)
    return {check.name for check in health.checks if check.finding.status is Status.FAILED}


def store_at(location: Path | str, settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {
        "default": {**settings.STORAGES["default"], "OPTIONS": {"location": location}}
    }


class ForgetfulStorage(InMemoryStorage):
    def _save(self, name: str, _content: object) -> str:
        saved: str = super()._save(name, ContentFile(b"?"))  # type: ignore[misc]
        return saved


def test_sound_gateway_passes_every_check(object_store: Path) -> None:
    health = check_health(timezone.now())
    assert health.status is Status.OK
    assert {check.name for check in health.checks} == CHECKS


def test_checks_leave_nothing_behind(object_store: Path) -> None:
    check_health(timezone.now())
    assert not SpentAuthorization.objects.exists()
    assert not [path for path in object_store.rglob("*") if path.is_file()]


def test_locked_database_fails_once_its_time_is_up() -> None:
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        started_at = time.monotonic()
        assert find("database", limit_seconds=0.2).detail == "no answer within 0.2 s"
        assert time.monotonic() - started_at < 2
        # The same call, which nobody had to begin anew, ends with the database's own time limit.
        assert find("database").detail == "the database failed"
    assert find("database").status is Status.OK


def test_database_of_another_release_fails() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET app = 'elsewhere' WHERE app = 'gateway'")
    try:
        assert "not up to date" in find("database").detail
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE django_migrations SET app = 'gateway' WHERE app = 'elsewhere'")


def test_folder_that_is_a_file_fails(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "file").touch()
    store_at(tmp_path / "file", settings)
    assert failed_checks() == {"storage"}


def test_read_only_folder_fails(settings: Settings) -> None:
    """Nobody may write there, not even the superuser that tests run as in containers."""
    store_at("/proc/objects", settings)
    assert failed_checks() == {"storage"}


def test_storage_that_alters_objects_fails(settings: Settings) -> None:
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": f"{__name__}.ForgetfulStorage"}}
    assert "other octets" in find("storage").detail


def test_another_keystore_key_fails(settings: Settings) -> None:
    settings.KEYSTORE_KEY = bytes(32)
    assert failed_checks() == {"identity", "session_key"}


def test_another_identity_key_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    other = keys.generate_rsa_key()
    monkeypatch.setattr("gateway.keystores.database.DatabaseKeyStore.load_identity_key", lambda *_: other)
    assert "another than was certified" in find("identity").detail


def test_gateway_without_identity_fails() -> None:
    OwnCertificate.objects.all().delete()
    assert failed_checks() == {"identity", "own_certificate", "session_key"}


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (timedelta(seconds=-1), Status.FAILED),
        (timedelta(), Status.OK),
        (LIFE / 2 - timedelta(seconds=1), Status.OK),
        (LIFE / 2, Status.WARNING),
        (LIFE - timedelta(seconds=1), Status.WARNING),
        (LIFE, Status.FAILED),
    ],
)
def test_certificate_warns_from_half_of_its_life_and_fails_at_its_end(age: timedelta, status: Status) -> None:
    row = OwnCertificate.objects.get()
    finding = find("own_certificate", row.starts_at + age)
    assert finding.status is status
    assert finding.facts["age_days"] == round(age / timedelta(days=1), 1)


def test_only_the_newest_certificate_counts() -> None:
    now = timezone.now()
    OwnCertificate.objects.update(starts_at=now - LIFE, expires_at=now)
    ensure_identity()
    assert find("own_certificate").facts["sequence"] == 2
    assert find("own_certificate").status is Status.OK


@pytest.mark.parametrize(("days", "status"), [(59, Status.OK), (61, Status.WARNING)])
def test_session_key_warns_after_sixty_days(days: int, status: Status) -> None:
    StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).update(created_at=timezone.now() - timedelta(days=days))
    finding = find("session_key")
    assert finding.status is status
    assert finding.facts["age_days"] == days


def test_missing_session_key_fails() -> None:
    StoredKey.objects.filter(kind=StoredKey.Kind.SESSION).delete()
    assert failed_checks() == {"session_key"}


def test_upkeep_that_has_not_begun_is_no_cause_for_concern() -> None:
    assert find("upkeep").status is Status.OK


@pytest.mark.parametrize(("minutes", "status"), [(9, Status.OK), (11, Status.WARNING)])
def test_silence_of_the_upkeep_is_told(minutes: int, status: Status) -> None:
    now = timezone.now()
    MaintenanceJob.objects.create(name="daily", last_finished_at=now - timedelta(hours=20))
    MaintenanceJob.objects.create(name="newest", last_finished_at=now - timedelta(minutes=minutes))
    MaintenanceJob.objects.create(name="begun", last_started_at=now)
    assert find("upkeep", now).status is status


def test_upkeep_that_never_ends_is_told() -> None:
    MaintenanceJob.objects.create(name="begun", last_started_at=timezone.now())
    assert find("upkeep").status is Status.WARNING


def test_job_that_fails_is_told() -> None:
    now = timezone.now()
    MaintenanceJob.objects.create(name="good", last_finished_at=now)
    MaintenanceJob.objects.create(name="bad", last_finished_at=now, has_failed=True, last_outcome="a long story")
    finding = find("upkeep", now)
    assert (finding.status, finding.detail) == (Status.WARNING, "failing: bad")


def test_cargo_that_nobody_unwraps_is_told() -> None:
    now = timezone.now()
    cargo = make_incoming_cargo(next_attempt_at=now - timedelta(minutes=4))
    make_incoming_cargo(next_attempt_at=now - timedelta(days=1), state="invalid")
    assert find("queues", now).status is Status.OK

    IncomingCargo.objects.filter(pk=cargo.pk).update(next_attempt_at=now - timedelta(minutes=6))
    finding = find("queues", now)
    assert (finding.status, finding.detail[:9]) == (Status.WARNING, "cargo due")


def test_parcels_that_nobody_delivers_are_told() -> None:
    now = timezone.now()
    make_outgoing_parcel(next_attempt_at=now - timedelta(minutes=4))
    assert find("queues", now).status is Status.OK

    make_outgoing_parcel(next_attempt_at=now - timedelta(minutes=6))
    finding = find("queues", now)
    assert (finding.status, finding.detail[:11]) == (Status.WARNING, "parcels due")


@pytest.mark.parametrize("minutes", [-30, 4])
def test_parcels_for_an_address_that_is_held_back_are_not_overdue(minutes: int) -> None:
    """Nor those for one that was until a moment ago."""
    now = timezone.now()
    Destination.objects.create(internet_address="dead.example", next_attempt_at=now - timedelta(minutes=minutes))
    make_outgoing_parcel(destination="dead.example", next_attempt_at=now - timedelta(days=1))
    assert find("queues", now).status is Status.OK


def test_what_others_fail_at_makes_nobody_unready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE gateway_maintenancejob RENAME TO elsewhere")
    try:
        assert find("upkeep").status is Status.WARNING
        assert not failed_checks()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO gateway_maintenancejob")


def test_unforeseen_errors_fail_their_check_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_now: datetime) -> Finding:
        raise RuntimeError("a secret")

    calls = {**module._CALLS, "storage": SharedCall(module._timed(break_down))}  # noqa: SLF001
    monkeypatch.setattr(module, "_CALLS", calls)
    assert failed_checks() == {"storage"}
    assert "secret" not in find("storage").detail
