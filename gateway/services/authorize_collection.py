"""Reads what couriers show when they come for cargo: the collection authorisation (CCA) of a private gateway."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from awala.errors import DecryptionError, InvalidMessageError, UnauthorizedSenderError
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.cargo_collection_request import CargoCollectionRequest
from awala.pki.certificate import Certificate
from awala.pki.path import build_path
from awala.session_key import SessionKey
from awala.sessions import unwrap_payload
from gateway.errors import UnknownKeyError
from gateway.keystores import get_keystore
from gateway.services.authenticate_peer import authenticate_sender
from gateway.services.load_identity import VERIFIED_LINKS, load_identity
from gateway.services.remember_peer_key import remember_peer_key


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionAuthorization:
    """What a valid CCA says: whose cargo, signed under which certificate, encrypted to which key."""

    peer_id: str
    cca_id_sha256: str
    expires_at: datetime
    sender_certificate: Certificate
    delivery_authorization: Certificate
    session_key: SessionKey


def authorize_collection(cca_serialized: bytes, now: datetime) -> CollectionAuthorization:
    """Check a CCA and keep the session key in it; whether it was used before is another question.

    Raises `InvalidMessageError`, or an error of ours if record or key store fail.
    """
    # 1. What it is, who signed it, and when (RS-001, RS-002).
    cca = CargoCollectionAuthorization.deserialize(cca_serialized)
    cca.check_timing(now)
    peer_id = authenticate_sender(cca, now)
    # 2. What only the sender can have written, and its session key (RS-003).
    request, session_key = _unwrap(cca)
    remember_peer_key(peer_id, session_key, cca.creation_date, now)
    # 3. Whether it lets us sign cargo for the sender (RS-000).
    _check_delivery_authorization(request.delivery_authorization, cca.sender_certificate, now)
    return CollectionAuthorization(
        peer_id=peer_id,
        cca_id_sha256=hashlib.sha256(cca.id.encode("latin-1")).hexdigest(),
        expires_at=cca.expiry,
        sender_certificate=cca.sender_certificate,
        delivery_authorization=request.delivery_authorization,
        session_key=session_key,
    )


def _unwrap(cca: CargoCollectionAuthorization) -> tuple[CargoCollectionRequest, SessionKey]:
    """Whatever is wrong, the answer is the same: it must not help to find out what is in somebody else's payload."""
    try:
        unwrapped = unwrap_payload(cca, get_keystore())
        return CargoCollectionRequest.deserialize(unwrapped.plaintext), unwrapped.peer_key
    except (InvalidMessageError, UnknownKeyError) as error:
        raise DecryptionError("CCA payload cannot be read") from error


def _check_delivery_authorization(certificate: Certificate, issuer: Certificate, now: datetime) -> None:
    if certificate.node_id != load_identity(now).node_id:
        raise UnauthorizedSenderError("Cargo delivery authorisation is for another gateway")
    try:
        build_path(certificate, (), (issuer,), now=now, links=VERIFIED_LINKS)
    except UnauthorizedSenderError as error:
        raise UnauthorizedSenderError("Cargo delivery authorisation is not valid now, or not of the sender") from error
