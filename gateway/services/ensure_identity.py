"""Makes what a gateway needs to exist: identity key, own certificate, initial session key.

Safe to run at every start and by several processes at once: the certificates' sequence is unique, so one of them
makes the identity and the others find it.
"""

from datetime import datetime, timedelta

import structlog
from django.db import IntegrityError, transaction
from django.utils import timezone

from awala.limits import MAX_CERTIFICATE_DAYS
from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.pki.issuance import issue_gateway_certificate
from awala.session_key import generate_session_key
from gateway.keystores import get_keystore
from gateway.models import Event, OwnCertificate, record_errors
from gateway.services.load_identity import forget_identity

# Clients check our dates with no tolerance for their own wrong clocks (protocol section 0, trap 12).
BACKDATING = timedelta(hours=3)
CERTIFICATE_LIFETIME = timedelta(days=MAX_CERTIFICATE_DAYS)
# RS-003 allows 60 days; half of them leaves time for a gateway that is off when its turn comes.
SESSION_KEY_LIFETIME = timedelta(days=30)

log = structlog.get_logger(__name__)


def ensure_identity(now: datetime | None = None) -> None:
    """Make the identity if there is none; renew what is old enough.

    That is the own certificate once half of its life is over, and the session key that is published for all. What is
    renewed stays in use beside the new one: other processes notice that one within a minute, peers in weeks.

    Raises `RecordUnavailableError` or `KeyUnavailableError`.
    """
    now = now or timezone.now()
    try:
        with record_errors(), transaction.atomic():
            node_id = _ensure_certificate(now)
            _ensure_session_key(node_id, now)
    except IntegrityError:
        # Another process was faster, and what it made is what we wanted.
        log.info("identity_made_elsewhere")
    forget_identity()


def _ensure_certificate(now: datetime) -> str:
    latest = OwnCertificate.objects.order_by("-sequence").first()
    if latest is None:
        private_key = keys.generate_rsa_key()
        node_id = keys.node_id(keys.spki_der(private_key.public_key()))
        get_keystore().save_identity_key(node_id, private_key)
        Event.objects.create(at=now, kind=Event.Kind.IDENTITY_CREATED, detail=node_id)
        log.info("identity_created", node_id=node_id)
    elif latest.starts_at + (latest.expires_at - latest.starts_at) / 2 > now:
        return latest.node_id
    else:
        node_id = latest.node_id
        private_key = get_keystore().load_identity_key(node_id)
    certificate = issue_gateway_certificate(
        subject_public_key=private_key.public_key(),
        issuer_private_key=private_key,
        not_before=now - BACKDATING,
        not_after=now - BACKDATING + CERTIFICATE_LIFETIME,
        serial_number=keys.generate_serial_number(),
    )
    _save(certificate, sequence=latest.sequence + 1 if latest else 1, now=now)
    return node_id


def _save(certificate: Certificate, *, sequence: int, now: datetime) -> None:
    OwnCertificate.objects.create(
        sequence=sequence,
        node_id=certificate.node_id,
        certificate_der=certificate.der,
        starts_at=certificate.not_before,
        expires_at=certificate.not_after,
    )
    Event.objects.create(at=now, kind=Event.Kind.CERTIFICATE_ISSUED, detail=f"own certificate {sequence}")
    log.info("own_certificate_issued", sequence=sequence, expires_at=certificate.not_after.isoformat())


def _ensure_session_key(node_id: str, now: datetime) -> None:
    keystore = get_keystore()
    latest = keystore.find_latest_unbound_session_key(node_id)
    if latest is not None and now < latest.created_at + SESSION_KEY_LIFETIME:
        return
    session_key, private_key = generate_session_key()
    keystore.save_session_key(session_key.key_id, private_key, node_id, created_at=now)
    Event.objects.create(at=now, kind=Event.Kind.SESSION_KEY_CREATED, detail=session_key.key_id.hex())
    log.info("initial_session_key_created")
