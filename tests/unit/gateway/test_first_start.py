import os
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db.migrations.executor import MigrationExecutor
from pytest_django import Settings

from gateway.errors import StorageUnavailableError
from gateway.first_start import is_set_up, set_up
from gateway.models import OwnCertificate
from tests.unit.gateway.factories import make_outgoing_parcel

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def test_identity_is_made() -> None:
    set_up()

    assert OwnCertificate.objects.count() == 1


def test_administrator_can_sign_in() -> None:
    administrator = set_up()

    assert administrator
    user = authenticate(username=administrator.name, password=administrator.password)
    assert isinstance(user, User)
    assert user.is_staff
    assert user.is_superuser


def test_password_is_kept_where_only_its_owner_can_read_it(data_dir: Path) -> None:
    administrator = set_up()

    assert administrator
    file = data_dir / "admin-password"
    assert administrator.password_file == file
    assert file.read_text() == administrator.password
    assert file.stat().st_mode & 0o777 == 0o600


def test_second_start_makes_nothing() -> None:
    set_up()

    assert set_up() is None
    assert User.objects.count() == 1
    assert OwnCertificate.objects.count() == 1


def test_start_cut_off_before_the_user_was_made_is_continued() -> None:
    first = set_up()
    User.objects.all().delete()

    second = set_up()

    assert first == second


def test_administrator_of_another_name_suffices() -> None:
    User.objects.create_superuser("operator")

    assert set_up() is None


def test_database_is_up_to_date() -> None:
    assert is_set_up()


def test_missing_migration_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda *_: [object()])

    assert not is_set_up()


def test_what_a_crash_left_is_cleared_away(object_store: Path) -> None:
    left_over = object_store / "tmp" / "0123"
    left_over.touch()
    os.utime(left_over, (0, 0))

    set_up()

    assert not left_over.exists()


def test_start_without_the_volume_of_the_objects_is_refused(object_store: Path) -> None:
    set_up()
    make_outgoing_parcel()
    (object_store / "tmp").rmdir()

    with pytest.raises(StorageUnavailableError, match="is its volume mounted"):
        set_up()
