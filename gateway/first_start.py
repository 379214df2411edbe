"""What the gateway needs before it can serve: made at the first start, and left alone after that."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from gateway.models import IncomingCargo, OutgoingParcel, StoredParcel
from gateway.private_files import read_or_create_secret
from gateway.services.ensure_identity import ensure_identity
from gateway.storage import prepare_object_store, remove_stale_temporary_files

ADMINISTRATOR = "admin"
_PASSWORD_OCTETS = 16


@dataclass(frozen=True, kw_only=True)
class NewAdministrator:
    name: str
    password: str
    password_file: Path


def set_up() -> NewAdministrator | None:
    """Bring the database up to date, and make the identity and the administrator if they are not there yet.

    Also clears away what writes cut short by a crash have left. Safe to repeat, and to continue after a crash.
    Returns the administrator if this call made it.
    """
    with _all_or_nothing():
        call_command("migrate", interactive=False, verbosity=0)
    ensure_identity()
    prepare_object_store(has_objects=_has_objects())
    remove_stale_temporary_files()
    return _ensure_administrator()


def is_set_up() -> bool:
    """Whether `set_up` has nothing to do in the database's structure."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


def password_file() -> Path:
    folder: Path = settings.DATA_DIR
    return folder / "admin-password"


@contextmanager
def _all_or_nothing() -> Iterator[None]:
    """Let a crash leave SQLite's structure as it was.

    Django changes the structure in one transaction and notes in another that it did: after a crash between them it
    would make the same tables again at every start, and fail.
    """
    if connection.vendor != "sqlite":
        yield
        return
    # SQLite refuses to change tables while it checks foreign keys, and ignores in a transaction being told not to.
    connection.disable_constraint_checking()
    try:
        with transaction.atomic():
            yield
    finally:
        connection.enable_constraint_checking()


def _has_objects() -> bool:
    """Whether rows name objects, which must then be in the object store."""
    return (
        StoredParcel.objects.filter(state=StoredParcel.State.QUEUED).exists()
        or OutgoingParcel.objects.filter(state__in=(OutgoingParcel.State.PENDING, OutgoingParcel.State.HELD)).exists()
        or IncomingCargo.objects.filter(state=IncomingCargo.State.PENDING).exists()
    )


def _ensure_administrator() -> NewAdministrator | None:
    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists():
        return None
    # The file comes first: a crash in between leaves a password without a user, never the reverse.
    path = password_file()
    password = read_or_create_secret(path, octets=_PASSWORD_OCTETS, variable="admin-password").hex()
    administrator = users.model(username=ADMINISTRATOR, is_staff=True, is_superuser=True)
    administrator.set_password(password)
    administrator.save()
    return NewAdministrator(name=ADMINISTRATOR, password=password, password_file=path)
