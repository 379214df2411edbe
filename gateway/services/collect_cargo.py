"""Makes cargo for a private gateway: acknowledgements, then parcels, then its next certificate (RS-000).

Cargo is made one by one, as the caller asks for it, so that memory holds little more than one at a time. Nothing is
deleted: parcels go when they are acknowledged. What must survive a crash is the session key in each cargo, which
opens the answers to it: it is kept before the cargo is handed out.
"""

import math
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from awala.limits import MAX_CARGO_ITEM_SIZE, MAX_TTL_SECONDS
from awala.messages.cargo import Cargo
from awala.messages.cargo_message_set import Batch, ExpiringItem, batch_items
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.ramf import Recipient
from awala.sessions import wrap_payload
from gateway.keystores import get_keystore
from gateway.models import ParcelRecord, StoredParcel, record_errors
from gateway.services.authorize_collection import CollectionAuthorization
from gateway.services.certify_peer import certify_peer
from gateway.services.collect_parcels import load_parcel
from gateway.services.ensure_identity import BACKDATING
from gateway.services.load_identity import load_identity

# Android couriers take no gRPC message over 4 MiB; the second figure is for what is around the items: the set, the
# envelope, RAMF, signature and certificates, and gRPC.
MAX_USUAL_CARGO_SIZE: Final = 4_194_304
_WRAPPING_SIZE: Final = 32_768
# A private gateway is sent its next certificate when it has this much time left.
ROTATION_PERIOD: Final = timedelta(days=90)
_RECORDS_PAGE = 1_000
_PARCELS_PAGE = 64

Clock = Callable[[], datetime]


def make_cargo(authorization: CollectionAuthorization, clock: Clock) -> Iterator[bytes]:
    """All that waits for the sender of the CCA, in serialised cargoes; the next step may be made in another thread.

    Raises `UnavailableError` or `KeyUnavailableError`.
    """

    def wrap(batch: Batch) -> bytes:
        return _wrap(batch, authorization, clock())

    items = _list_items(authorization, clock)
    # Unlike a loop, this holds no batch while its cargo is on its way.
    return map(wrap, batch_items(items, capacity=MAX_USUAL_CARGO_SIZE - _WRAPPING_SIZE))


def _wrap(batch: Batch, authorization: CollectionAuthorization, now: datetime) -> bytes:
    identity = load_identity(now)
    creation_date = (now - BACKDATING).replace(microsecond=0)
    ttl_seconds = math.ceil((batch.expiry - creation_date).total_seconds())
    # To the key in this very CCA: Android abandons all it has collected over a cargo that it cannot open.
    wrapped = wrap_payload(batch.message_set.serialize(), authorization.session_key)
    get_keystore().save_session_key(wrapped.key_id, wrapped.private_key, identity.node_id, authorization.peer_id)
    return Cargo(
        recipient=Recipient(id=authorization.peer_id),
        id=str(uuid.uuid4()),
        creation_date=creation_date,
        ttl_seconds=min(ttl_seconds, MAX_TTL_SECONDS),
        payload=wrapped.payload,
        sender_certificate=authorization.delivery_authorization,
        # Couriers look for the issuer of the authorisation among these (protocol section 0, trap 5).
        attached_certificates=(authorization.delivery_authorization, authorization.sender_certificate),
    ).serialize(identity.private_key)


def _list_items(authorization: CollectionAuthorization, clock: Clock) -> Iterator[ExpiringItem]:
    yield from _list_acknowledgements(authorization.peer_id, clock)
    yield from _list_parcels(authorization.peer_id, clock)
    yield from _list_rotations(authorization, clock())


def _list_acknowledgements(peer_id: str, clock: Clock) -> Iterator[ExpiringItem]:
    """One for each parcel of the peer until that expires, since nothing says that it has arrived."""
    after = Q()
    while records := _page_of_records(peer_id, clock(), after):
        for record in records:
            ack = ParcelCollectionAck(
                sender_endpoint_id=record.sender_id,
                recipient_endpoint_id=record.recipient_id,
                parcel_id=bytes(record.parcel_id).decode("latin-1"),
            )
            yield ExpiringItem(octets=ack.serialize(), expiry=record.expires_at)
        last = records[-1]
        # In the order of the index, whose first column it is that makes the search short.
        after = Q(recipient_id__gte=last.recipient_id) & (
            Q(recipient_id__gt=last.recipient_id)
            | Q(sender_id__gt=last.sender_id)
            | Q(sender_id=last.sender_id, parcel_id_sha256__gt=last.parcel_id_sha256)
        )


def _page_of_records(peer_id: str, now: datetime, after: Q) -> list[ParcelRecord]:
    with record_errors():
        records = ParcelRecord.objects.filter(after, peer_id=peer_id, expires_at__gt=now)
        return list(records.order_by("recipient_id", "sender_id", "parcel_id_sha256")[:_RECORDS_PAGE])


def _list_parcels(peer_id: str, clock: Clock) -> Iterator[ExpiringItem]:
    """Oldest first; those that are too large for cargo wait for the Internet."""
    after = Q()
    while parcels := _page_of_parcels(peer_id, clock(), after):
        for parcel in parcels:
            octets = load_parcel(parcel, clock())
            if octets is not None:
                yield ExpiringItem(octets=octets, expiry=parcel.expires_at)
        last = parcels[-1]
        after = Q(received_at__gte=last.received_at) & (Q(received_at__gt=last.received_at) | Q(id__gt=last.id))


def _page_of_parcels(peer_id: str, now: datetime, after: Q) -> list[StoredParcel]:
    with record_errors():
        parcels = StoredParcel.objects.filter(
            after,
            peer_id=peer_id,
            state=StoredParcel.State.QUEUED,
            expires_at__gt=now,
            size__lte=MAX_CARGO_ITEM_SIZE,
        )
        return list(parcels.order_by("received_at", "id")[:_PARCELS_PAGE])


def _list_rotations(authorization: CollectionAuthorization, now: datetime) -> Iterator[ExpiringItem]:
    """In both encodings: no deployed client reads the other's, and all skip what they cannot read (trap 4)."""
    if authorization.sender_certificate.not_after >= now + ROTATION_PERIOD:
        return
    identity = load_identity(now)
    certificate = certify_peer(authorization.sender_certificate.spki_der, identity, now)
    path = CertificationPath(leaf=certificate, authorities=(identity.issuer_certificate,))
    rotation = CertificateRotation(path=path)
    for octets in (rotation.serialize(), rotation.serialize_implicit()):
        yield ExpiringItem(octets=octets, expiry=certificate.not_after)
