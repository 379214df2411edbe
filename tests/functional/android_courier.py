"""What the Android courier looks at before it takes cargo from an Internet gateway (since January 2024)."""

from datetime import UTC, datetime

from awala.errors import InvalidMessageError
from awala.messages.cargo import Cargo
from awala.pki.path import build_path

MAX_DELIVERY_SIZE = 4 * 1024 * 1024
"""The limit of its gRPC client for the whole message, which is the cargo and an id."""


def takes_cargo(cargo_serialized: bytes) -> bool:
    """Whether it would carry this cargo to its private gateway.

    Among what is attached it looks for a certificate of the recipient that bears the name of the issuer of the
    sender's certificate (the CDA), and trusts that one alone.
    """
    cargo = Cargo.deserialize(cargo_serialized)
    now = datetime.now(UTC)
    issuers = tuple(
        certificate
        for certificate in cargo.attached_certificates
        if certificate.node_id == cargo.recipient.id
        and certificate.subject_der == cargo.sender_certificate.issuer_der
        and certificate.der != cargo.sender_certificate.der
    )
    try:
        cargo.check_timing(now)
        build_path(cargo.sender_certificate, (), issuers, now=now)
    except InvalidMessageError:
        return False
    return True
