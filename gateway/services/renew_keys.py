"""Renews the gateway's own certificate and session key in time, and lets go of those that have served.

Nothing is replaced in place: the new one is added and used from then on, and the old one is honoured for as long as
anybody may have it.
"""

from datetime import datetime, timedelta
from typing import Final

from gateway.batches import MAX_DELETED_ROWS, CheckTime
from gateway.keystores import get_keystore
from gateway.models import OwnCertificate, record_errors
from gateway.services.ensure_identity import ensure_identity

# A key bound to a peer is used while that peer's certificate lives, 180 days, and what is encrypted to it may be on
# its way for as long again, which is the longest that messages live. An unbound key is published for 30 days, held by
# peers for 60 more (RS-003), and followed by the same 180 days.
SESSION_KEY_RETENTION: Final = timedelta(days=360)
# Trusted no more; kept a little longer for operators who look into a refusal.
EXPIRED_CERTIFICATE_RETENTION: Final = timedelta(days=30)


def renew_identity(now: datetime, _check_time: CheckTime) -> str | None:
    """Renew what is due. Processes that run already take it up within a minute, and honour the old one as well."""
    ensure_identity(now)
    with record_errors():
        certificate = OwnCertificate.objects.latest("sequence")
    return f"own certificate {certificate.sequence} is valid until {certificate.expires_at:%Y-%m-%d}"


def remove_expired_certificates(now: datetime, _check_time: CheckTime) -> str | None:
    with record_errors():
        # The newest is what tells who we are, however long the gateway was off.
        newest = OwnCertificate.objects.latest("sequence")
        expired = OwnCertificate.objects.filter(expires_at__lt=now - EXPIRED_CERTIFICATE_RETENTION)
        removed, _ = expired.exclude(pk=newest.pk).delete()
    return f"{removed} certificates removed" if removed else None


def remove_old_session_keys(now: datetime, check_time: CheckTime) -> str | None:
    with record_errors():
        node_id = OwnCertificate.objects.latest("sequence").node_id
    removed = 0
    moment = now - SESSION_KEY_RETENTION
    while number := get_keystore().delete_session_keys_created_before(moment, node_id, limit=MAX_DELETED_ROWS):
        removed += number
        check_time()
    return f"{removed} session keys removed" if removed else None
