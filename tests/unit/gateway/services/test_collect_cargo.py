import hashlib
import os
import uuid
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from awala.cms.enveloped_data import EnvelopedData
from awala.limits import MAX_CARGO_ITEM_SIZE
from awala.messages.cargo import Cargo
from awala.messages.cargo_message_set import CargoMessageSet
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.pki.path import build_path
from gateway.errors import RecordUnavailableError
from gateway.keystores import get_keystore
from gateway.keystores.database import DatabaseKeyStore
from gateway.models import ParcelRecord, StoredKey, StoredParcel
from gateway.services import collect_cargo as module
from gateway.services.authorize_collection import CollectionAuthorization, authorize_collection
from gateway.services.collect_cargo import MAX_USUAL_CARGO_SIZE, make_cargo
from gateway.storage import delete_object, store_object
from tests import factories
from tests.factories import NOW
from tests.unit.gateway.factories import make_parcel_record, make_stored_parcel
from tests.unit.gateway.services.collection_factories import certify, make_cca

pytestmark = pytest.mark.django_db(transaction=True)

PEER_ID = factories.id_of("private gateway")
IN_A_DAY = NOW + timedelta(days=1)


class Collection:
    """One CCA, and what is made for it."""

    def __init__(self, root: Certificate, *, certificate_ends_at: datetime = factories.NOT_AFTER) -> None:
        cca = make_cca(root, sender=certify(root, not_after=certificate_ends_at))
        self.private_key: EllipticCurvePrivateKey = cca.session_private_key
        self.authorization: CollectionAuthorization = authorize_collection(cca.serialized, NOW)

    def make(self) -> list[bytes]:
        return list(make_cargo(self.authorization, lambda: NOW))

    def make_items(self) -> list[bytes]:
        return [item for cargo in self.make() for item in self.open(cargo)]

    def open(self, cargo_serialized: bytes) -> tuple[bytes, ...]:
        payload = Cargo.deserialize(cargo_serialized).payload
        return CargoMessageSet.deserialize(EnvelopedData.deserialize(payload).decrypt(self.private_key)).items


def store(octets: bytes = b"parcel", **values: object) -> StoredParcel:
    defaults = {"peer_id": PEER_ID, "size": len(octets), "expires_at": IN_A_DAY}
    row = make_stored_parcel(**defaults | values)
    store_object(row.object_key, octets)
    return row


def record(**values: object) -> ParcelRecord:
    return make_parcel_record(**{"peer_id": PEER_ID, "expires_at": IN_A_DAY} | values)


def test_nothing_waits(identity: Certificate) -> None:
    assert Collection(identity).make() == []


def test_cargo_as_couriers_want_it(identity: Certificate) -> None:
    store()
    collection = Collection(identity)

    (octets,) = collection.make()

    cargo = Cargo.deserialize(octets)
    assert cargo.recipient.id == PEER_ID
    assert cargo.recipient.internet_address is None
    assert uuid.UUID(cargo.id).version == 4
    assert cargo.creation_date == NOW - timedelta(hours=3)
    assert cargo.expiry == IN_A_DAY
    assert cargo.sender_certificate == collection.authorization.delivery_authorization
    # Trap 5: the issuer of the authorisation is attached, under the name and id that couriers look for.
    (issuer,) = [c for c in cargo.attached_certificates if c.node_id == cargo.recipient.id]
    assert issuer == collection.authorization.sender_certificate
    assert cargo.sender_certificate.is_issued_by_name(issuer)
    assert build_path(cargo.sender_certificate, cargo.attached_certificates, (issuer,), now=NOW)


def test_acknowledgements_come_before_parcels(identity: Certificate) -> None:
    acknowledged = record(parcel_id=b"\xff/\n", recipient_id=factories.id_of("endpoint"))
    store(b"first", received_at=NOW - timedelta(minutes=2))
    store(b"second", received_at=NOW - timedelta(minutes=1))

    ack, *parcels = Collection(identity).make_items()

    assert ParcelCollectionAck.deserialize(ack) == ParcelCollectionAck(
        sender_endpoint_id=acknowledged.sender_id,
        recipient_endpoint_id=acknowledged.recipient_id,
        parcel_id="\xff/\n",
    )
    assert parcels == [b"first", b"second"]


def test_what_is_not_for_this_cargo(identity: Certificate) -> None:
    record(expires_at=NOW)
    make_parcel_record(expires_at=IN_A_DAY)
    store(expires_at=NOW)
    store(peer_id="0" + "2" * 64)
    store(size=MAX_CARGO_ITEM_SIZE + 1)
    store(state=StoredParcel.State.COLLECTED)
    lost = store()
    delete_object(lost.object_key)

    assert Collection(identity).make() == []

    assert StoredParcel.objects.get(id=lost.id).state == StoredParcel.State.DISCARDED


def test_nothing_is_deleted(identity: Certificate) -> None:
    record()
    store()
    collection = Collection(identity)

    assert len(collection.make_items()) == 2
    assert len(collection.make_items()) == 2


def test_pages_follow_one_another(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RECORDS_PAGE", 3)
    monkeypatch.setattr(module, "_PARCELS_PAGE", 3)
    recipients = [factories.id_of(name) for name in ("endpoint", "another endpoint")]
    senders = ["0" + "a" * 64, "0" + "b" * 64]
    for number in range(20):
        record(
            recipient_id=recipients[number % 2],
            sender_id=senders[number // 2 % 2],
            parcel_id=str(number).encode(),
            parcel_id_sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        )
    octets = [str(number).encode() for number in range(20)]
    for number, parcel in enumerate(octets):
        store(parcel, received_at=NOW + timedelta(seconds=number // 4))

    items = Collection(identity).make_items()

    acknowledged = {ParcelCollectionAck.deserialize(item).parcel_id for item in items[:20]}
    assert acknowledged == {str(number) for number in range(20)}
    parcels = [int(item) for item in items[20:]]
    assert sorted(parcels) == list(range(20))
    assert [number // 4 for number in parcels] == sorted(number // 4 for number in range(20))


def test_cargo_stays_under_what_android_takes(identity: Certificate) -> None:
    """Trap 6; a parcel that is larger by itself travels alone."""
    small, large = os.urandom(1_000_000), os.urandom(5_000_000)
    for number, octets in enumerate((small, small, small, small, small, large, small)):
        store(octets, received_at=NOW + timedelta(seconds=number))
    collection = Collection(identity)

    cargoes = collection.make()

    assert [len(collection.open(cargo)) for cargo in cargoes] == [4, 1, 1, 1]
    assert [len(cargo) < MAX_USUAL_CARGO_SIZE - 64 for cargo in cargoes] == [True, True, False, True]


def test_largest_parcel_fits(identity: Certificate) -> None:
    octets = os.urandom(MAX_CARGO_ITEM_SIZE)
    store(octets)

    assert Collection(identity).make_items() == [octets]


def test_cargo_is_made_when_it_is_asked_for(identity: Certificate) -> None:
    for _ in range(3):
        store(os.urandom(3_000_000))

    cargoes = make_cargo(Collection(identity).authorization, lambda: NOW)
    keys_before = StoredKey.objects.count()
    next(cargoes)

    assert StoredKey.objects.count() == keys_before + 1


def test_expiry_is_that_of_the_last_item(identity: Certificate) -> None:
    store(expires_at=NOW + timedelta(hours=1))
    store(expires_at=NOW + timedelta(hours=5, microseconds=1))

    (octets,) = Collection(identity).make()

    assert Cargo.deserialize(octets).expiry == NOW + timedelta(hours=5, seconds=1)


def test_time_to_live_is_no_longer_than_allowed(identity: Certificate) -> None:
    store(expires_at=NOW + timedelta(days=180))

    (octets,) = Collection(identity).make()

    assert Cargo.deserialize(octets).ttl_seconds == 15_552_000


def test_session_key_of_each_cargo_is_kept_for_the_peer(identity: Certificate) -> None:
    store()

    (octets,) = Collection(identity).make()

    enveloped = EnvelopedData.deserialize(Cargo.deserialize(octets).payload)
    kept = get_keystore().load_session_key(enveloped.originator_key_id, PEER_ID)
    assert keys.spki_der(kept.public_key()) == enveloped.originator_public_key_der
    assert StoredKey.objects.get(key_id=enveloped.originator_key_id.hex()).peer_id == PEER_ID


def test_no_cargo_leaves_whose_session_key_is_not_kept(identity: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise RecordUnavailableError

    store()
    collection = Collection(identity)
    monkeypatch.setattr(DatabaseKeyStore, "save_session_key", fail)

    with pytest.raises(RecordUnavailableError):
        collection.make()


@pytest.mark.parametrize(("days", "rotations"), [(89, 2), (90, 0), (180, 0)])
def test_certificate_is_renewed_before_it_ends(identity: Certificate, days: int, rotations: int) -> None:
    store(b"parcel")
    collection = Collection(identity, certificate_ends_at=NOW + timedelta(days=days))

    parcel, *rest = collection.make_items()

    assert parcel == b"parcel"
    assert len(rest) == rotations


def test_rotation_is_last_and_in_both_encodings(identity: Certificate) -> None:
    """Trap 4."""
    collection = Collection(identity, certificate_ends_at=NOW + timedelta(days=10))

    (octets,) = collection.make()

    items = collection.open(octets)
    rotation, same = (CertificateRotation.deserialize(item) for item in items)
    assert list(items) == [rotation.serialize(), rotation.serialize_implicit()]
    assert rotation == same
    certificate = rotation.path.leaf
    assert certificate.node_id == PEER_ID
    assert rotation.path.authorities == (identity,)
    assert build_path(certificate, (), (identity,), now=NOW)
    assert certificate.not_after == NOW - timedelta(hours=3) + timedelta(days=180)
    assert Cargo.deserialize(octets).expiry == certificate.not_after
