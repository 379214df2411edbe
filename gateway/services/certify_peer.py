"""Certifies the keys of private gateways (RS-002): at their registration, and in cargo before a certificate ends."""

from datetime import datetime

from awala.pki import keys
from awala.pki.certificate import Certificate
from awala.pki.issuance import issue_gateway_certificate
from gateway.services.ensure_identity import BACKDATING, CERTIFICATE_LIFETIME
from gateway.services.load_identity import Identity


def certify_peer(public_key_der: bytes, identity: Identity, now: datetime) -> Certificate:
    """A new certificate for the key; raises `InvalidMessageError` if it is none that we certify."""
    return issue_gateway_certificate(
        subject_public_key=keys.load_rsa_public_key(public_key_der),
        issuer_private_key=identity.private_key,
        issuer_certificate=identity.issuer_certificate,
        not_before=now - BACKDATING,
        not_after=now - BACKDATING + CERTIFICATE_LIFETIME,
        serial_number=keys.generate_serial_number(),
    )
