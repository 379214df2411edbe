"""Finds out which private gateways speak to us, by what they sign (RS-000, RS-016)."""

from collections.abc import Iterable
from datetime import datetime

from awala.asn1 import oids
from awala.errors import UnauthorizedSenderError
from awala.ramf import RAMFMessage
from awala.signatures import verify_detached
from gateway.group_commit import commit_together
from gateway.models import Peer, record_errors
from gateway.services.load_identity import VERIFIED_LINKS, load_identity


def authenticate_delivery(countersignature: bytes, parcel_serialized: bytes, now: datetime) -> str:
    """The id of the private gateway that countersigned the parcel; raises `InvalidMessageError`."""
    return _verify(countersignature, parcel_serialized, oids.PARCEL_DELIVERY, now)


def authenticate_collector(nonce_signatures: Iterable[bytes], nonce: bytes, now: datetime) -> frozenset[str]:
    """The ids of the private gateways that signed the nonce; raises `InvalidMessageError` if any did not."""
    peer_ids = frozenset(
        _verify(signature, nonce, oids.PARCEL_COLLECTION_HANDSHAKE, now) for signature in nonce_signatures
    )
    with record_errors():
        commit_together(lambda: Peer.objects.filter(node_id__in=peer_ids).update(last_seen_at=now))
    return peer_ids


def authenticate_sender(message: RAMFMessage, now: datetime) -> str:
    """The id of the private gateway that signed cargo, or a CCA, for us; raises `UnauthorizedSenderError`.

    Its certificate must be directly under one of ours: whoever is further down is an endpoint or its peer.
    """
    path = message.authorized_path(load_identity(now).certificates, now=now, links=VERIFIED_LINKS)
    sender, *issuers = path
    if len(issuers) > 1:
        raise UnauthorizedSenderError("Sender is no private gateway of ours")
    return sender.node_id


def _verify(signature: bytes, plaintext: bytes, oid: bytes, now: datetime) -> str:
    trusted = load_identity(now).certificates
    return verify_detached(signature, plaintext, oid, trusted=trusted, now=now, links=VERIFIED_LINKS).node_id
