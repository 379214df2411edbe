"""Registers a private gateway: certifies its key and makes a session key for it (RS-000, PNRR and PNR)."""

import hashlib
import hmac
from datetime import datetime

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from django.db import IntegrityError, transaction

from awala.errors import MalformedMessageError
from awala.pki.certificate import Certificate
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from awala.session_key import SessionKey, generate_session_key
from gateway.errors import AuthorizationSpentError, KeyMismatchError
from gateway.group_commit import commit_together
from gateway.keystores import get_keystore
from gateway.models import Event, Peer, SpentAuthorization, record_errors
from gateway.services.authorize_registration import KEY_DIGEST_SIZE, NONCE_SIZE
from gateway.services.certify_peer import certify_peer
from gateway.services.load_identity import Identity, load_identity

log = structlog.get_logger(__name__)


def register_node(request_serialized: bytes, now: datetime) -> bytes:
    """Answer a PNRR with a PNR, both serialised; a key that is registered already gets a new certificate.

    Raises `InvalidMessageError` for a bad request or a PNRA that is not ours or has expired, `KeyMismatchError`
    or `AuthorizationSpentError` for a PNRA that does not cover it.
    """
    identity = load_identity(now)
    request = RegistrationRequest.deserialize(request_serialized)
    authorization = RegistrationAuthorization.deserialize(
        request.authorization_serialized, identity.private_key.public_key(), now=now
    )
    _check_key(request, authorization)
    certificate = certify_peer(request.public_key_der, identity, now)
    session_key, session_private_key = generate_session_key()
    registration = Registration(
        node_certificate=certificate,
        gateway_certificate=identity.issuer_certificate,
        gateway_internet_address=identity.internet_address,
        session_key=session_key,
    ).serialize()

    def write() -> None:
        _spend(authorization)
        _save_peer(certificate, now)
        _save_session_key(session_key, session_private_key, identity, certificate, now)

    with record_errors():
        commit_together(write)
    log.info("private_gateway_registered", private_peer_id=certificate.node_id)
    return registration


def _check_key(request: RegistrationRequest, authorization: RegistrationAuthorization) -> None:
    if len(authorization.gateway_data) != KEY_DIGEST_SIZE + NONCE_SIZE:
        raise MalformedMessageError("PNRA is of another kind")
    digest = hashlib.sha256(request.public_key_der).digest()
    if not hmac.compare_digest(digest, authorization.gateway_data[:KEY_DIGEST_SIZE]):
        raise KeyMismatchError("the authorisation was granted to another key")


def _spend(authorization: RegistrationAuthorization) -> None:
    nonce = authorization.gateway_data[KEY_DIGEST_SIZE:]
    try:
        with transaction.atomic():
            SpentAuthorization.objects.create(
                nonce_sha256=hashlib.sha256(nonce).hexdigest(), expires_at=authorization.expiry
            )
    except IntegrityError as error:
        raise AuthorizationSpentError("the authorisation was used before") from error


def _save_peer(certificate: Certificate, now: datetime) -> None:
    seen = {"certificate_expires_at": certificate.not_after, "last_seen_at": now}
    first = {**seen, "public_key_der": certificate.spki_der, "first_seen_at": now}
    Peer.objects.update_or_create(node_id=certificate.node_id, defaults=seen, create_defaults=first)
    Event.objects.create(kind=Event.Kind.PEER_REGISTERED, peer_id=certificate.node_id)


def _save_session_key(
    session_key: SessionKey,
    private_key: EllipticCurvePrivateKey,
    identity: Identity,
    certificate: Certificate,
    now: datetime,
) -> None:
    get_keystore().save_session_key(
        session_key.key_id, private_key, identity.node_id, certificate.node_id, created_at=now
    )
