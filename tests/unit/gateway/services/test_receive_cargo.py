import hashlib
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.db.models import Model

from awala.errors import (
    InvalidMessageError,
    InvalidSignatureError,
    MalformedMessageError,
    OversizedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.limits import MAX_RAMF_MESSAGE_SIZE
from awala.pki.certificate import Certificate
from awala.ramf import Recipient
from awala.session_key import generate_session_key
from gateway.errors import RecordUnavailableError, StorageUnavailableError
from gateway.group_commit import commit_together
from gateway.models import Event, IncomingCargo
from gateway.services import receive_cargo as module
from gateway.services.receive_cargo import receive_cargo
from gateway.storage import load_object
from tests import cargo_factories, factories, published_vectors
from tests.factories import NOW

# The service does its own transactions, so that no other must be around them.
pytestmark = pytest.mark.django_db(transaction=True)

SESSION_KEY, _ = generate_session_key()


def make(root: Certificate, **fields: Any) -> bytes:
    sender = fields.pop("sender", None) or factories.gateway_certificate("private gateway", issuer=root)
    return cargo_factories.make_cargo((), sender=sender, gateway=root, session_key=SESSION_KEY, **fields).serialized


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_cargo_is_stored(identity: Certificate) -> None:
    octets = make(identity, id="one", creation_date=NOW - timedelta(hours=1), ttl_seconds=7_200)

    receive_cargo(octets, NOW)

    row = IncomingCargo.objects.get()
    assert row.state == IncomingCargo.State.PENDING
    assert row.peer_id == factories.id_of("private gateway")
    assert row.cargo_id_sha256 == hashlib.sha256(b"one").hexdigest()
    assert row.sha256 == hashlib.sha256(octets).hexdigest()
    assert (row.size, row.expires_at) == (len(octets), NOW + timedelta(hours=1))
    assert (row.received_at, row.next_attempt_at) == (NOW, NOW)
    assert load_object(row.object_key) == octets


def test_cargo_of_the_published_library(vector_identity: Certificate) -> None:
    receive_cargo(published_vectors.read("cargo_to_gateway.bin"), published_vectors.VERIFY_AT)

    assert IncomingCargo.objects.get().peer_id == published_vectors.certificate("private_gateway_a").node_id


def test_workers_get_a_hint(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    hints: list[uuid.UUID] = []
    monkeypatch.setattr(module, "hint_cargo", hints.append)

    receive_cargo(make(identity), NOW)

    assert hints == [IncomingCargo.objects.get().id]


def test_repeated_cargo_is_stored_once(identity: Certificate, object_store: Path) -> None:
    octets = make(identity)

    receive_cargo(octets, NOW)
    receive_cargo(octets, NOW + timedelta(minutes=1))

    assert IncomingCargo.objects.get().received_at == NOW
    assert len(files_in(object_store)) == 1
    assert Event.objects.get().kind == Event.Kind.CARGO_REPEATED


def test_cargo_whose_commit_seemed_to_fail(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that failed is done again: what it had inserted after all must not be taken for another's."""

    def commit_and_fail_once(write: Callable[[], object], *rows: Model) -> object:
        result = commit_together(write, *rows)
        if rows:
            raise IntegrityError
        return result

    monkeypatch.setattr("gateway.durable_intake.commit_together", commit_and_fail_once)

    receive_cargo(make(identity), NOW)

    assert load_object(IncomingCargo.objects.get().object_key)
    assert not Event.objects.exists()


def test_other_cargo_under_the_same_id_is_stored(identity: Certificate) -> None:
    receive_cargo(make(identity, id="one"), NOW)
    receive_cargo(make(identity, id="one"), NOW)

    assert IncomingCargo.objects.count() == 2


def by_an_endpoint(root: Certificate) -> bytes:
    private_gateway = factories.gateway_certificate("private gateway", issuer=root)
    endpoint = factories.endpoint_certificate(issuer=private_gateway)
    return make(
        root,
        sender=endpoint,
        attached_certificates=(private_gateway,),
        recipient=Recipient(id=private_gateway.node_id),
    )


INVALID: dict[str, tuple[Callable[[Certificate], bytes], type[InvalidMessageError]]] = {
    "octets of any kind": (lambda _: b"cargo", MalformedMessageError),
    "too many octets": (lambda _: bytes(MAX_RAMF_MESSAGE_SIZE + 1), OversizedMessageError),
    "a parcel": (
        lambda root: factories.serialized(factories.private_parcel(factories.chain(gateway=root))),
        MalformedMessageError,
    ),
    "tampered with": (lambda root: make(root)[:-1] + b"\0", InvalidSignatureError),
    "expired": (lambda root: make(root, ttl_seconds=5_399), UntimelyMessageError),
    "of the future": (lambda root: make(root, creation_date=NOW + timedelta(seconds=1)), UntimelyMessageError),
    "of a stranger": (
        lambda root: make(root, sender=factories.gateway_certificate("private gateway")),
        UnauthorizedSenderError,
    ),
    "for another gateway": (
        lambda root: make(root, recipient=Recipient(id=factories.id_of("another gateway"))),
        UnauthorizedSenderError,
    ),
    "of an endpoint": (by_an_endpoint, UnauthorizedSenderError),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_cargo_leaves_nothing(identity: Certificate, object_store: Path, name: str) -> None:
    make_invalid, error = INVALID[name]

    with pytest.raises(error):
        receive_cargo(make_invalid(identity), NOW)

    assert not IncomingCargo.objects.exists()
    assert files_in(object_store) == []


def test_cargo_of_the_gateway_itself_is_refused(identity: Certificate) -> None:
    with pytest.raises(UnauthorizedSenderError):
        receive_cargo(make(identity, sender=identity), NOW)


def test_failing_object_store_leaves_no_row(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_key: str, _octets: bytes) -> None:
        raise StorageUnavailableError

    monkeypatch.setattr("gateway.durable_intake.store_object", fail)

    with pytest.raises(StorageUnavailableError):
        receive_cargo(make(identity), NOW)

    assert not IncomingCargo.objects.exists()


def test_failing_database_leaves_no_object(
    identity: Certificate, object_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(IncomingCargo.objects, "bulk_create", fail)

    with pytest.raises(RecordUnavailableError):
        receive_cargo(make(identity), NOW)

    assert files_in(object_store) == []
