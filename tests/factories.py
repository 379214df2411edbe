"""Makes nodes, their certificates and their parcels, with defaults for whatever a test does not care about.

Nodes are known by a name of the test's choice; a name has the same key for the whole run, since making keys is slow.
The usual ones: "gateway" certifies "private gateway", that certifies "endpoint", and that authorises "sender".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.messages.parcel import Parcel
from awala.pki import issuance, keys
from awala.pki.algorithms import SHA256, HashAlgorithm
from awala.pki.certificate import Certificate
from awala.ramf import Recipient

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
# So wide that certificates hold at NOW and by the real clock.
NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2045, 1, 1, tzinfo=UTC)

_owner_by_id: dict[str, tuple[str, int]] = {}


def rsa_key(owner: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """Return the identity key of ``owner``; keys of other sizes are other keys."""
    return _rsa_key(owner, bits)


@cache
def _rsa_key(owner: str, bits: int) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=bits)
    _owner_by_id[keys.node_id(keys.spki_der(key.public_key()))] = (owner, bits)
    return key


def private_key_of(certificate: Certificate) -> rsa.RSAPrivateKey:
    """Return the key of a certificate that was issued here."""
    return rsa_key(*_owner_by_id[certificate.node_id])


def spki_of(owner: str, bits: int = 2048) -> bytes:
    return keys.spki_der(rsa_key(owner, bits).public_key())


def id_of(owner: str) -> str:
    return keys.node_id(spki_of(owner))


def gateway_certificate(
    owner: str = "gateway",
    *,
    issuer: Certificate | None = None,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    serial_number: int = 1,
) -> Certificate:
    """Return a gateway's certificate, self-issued without ``issuer``."""
    return issuance.issue_gateway_certificate(
        subject_public_key=rsa_key(owner).public_key(),
        issuer_private_key=private_key_of(issuer) if issuer else rsa_key(owner),
        issuer_certificate=issuer,
        not_before=not_before,
        not_after=not_after,
        serial_number=serial_number,
    )


def endpoint_certificate(
    owner: str = "endpoint",
    *,
    issuer: Certificate | None = None,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    serial_number: int = 1,
    bits: int = 2048,
) -> Certificate:
    """Return an endpoint's certificate, self-issued without ``issuer``."""
    return issuance.issue_endpoint_certificate(
        subject_public_key=rsa_key(owner, bits).public_key(),
        issuer_private_key=private_key_of(issuer) if issuer else rsa_key(owner, bits),
        issuer_certificate=issuer,
        not_before=not_before,
        not_after=not_after,
        serial_number=serial_number,
    )


def delivery_authorization(
    owner: str = "sender",
    *,
    issuer: Certificate,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    serial_number: int = 1,
    bits: int = 2048,
) -> Certificate:
    """Return a parcel or cargo delivery authorisation of ``owner`` by ``issuer``."""
    return issuance.issue_delivery_authorization(
        subject_public_key=rsa_key(owner, bits).public_key(),
        issuer_private_key=private_key_of(issuer),
        issuer_certificate=issuer,
        not_before=not_before,
        not_after=not_after,
        serial_number=serial_number,
    )


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The four certificates by which a private endpoint lets a sender reach it."""

    gateway: Certificate
    private_gateway: Certificate
    endpoint: Certificate
    authorization: Certificate

    @property
    def attached(self) -> tuple[Certificate, ...]:
        """What senders attach: all but the root."""
        return self.authorization, self.endpoint, self.private_gateway


def chain(
    *,
    gateway: Certificate | None = None,
    private_gateway: str = "private gateway",
    endpoint: str = "endpoint",
    sender: str = "sender",
) -> Chain:
    """Return the certificates from ``gateway``'s (made here unless given) down to the sender's authorisation."""
    root = gateway or gateway_certificate()
    private_gateway_certificate = gateway_certificate(private_gateway, issuer=root)
    recipient = endpoint_certificate(endpoint, issuer=private_gateway_certificate)
    return Chain(
        gateway=root,
        private_gateway=private_gateway_certificate,
        endpoint=recipient,
        authorization=delivery_authorization(sender, issuer=recipient),
    )


def private_parcel(
    certificates: Chain | None = None,
    *,
    message_id: str = "parcel-1",
    creation_date: datetime = NOW - timedelta(minutes=1),
    ttl_seconds: int = 3_600,
    payload: bytes = b"payload",
    internet_address: str | None = None,
) -> Parcel:
    """Return a parcel for the private endpoint of a chain, by the sender that the chain authorises."""
    certificates = certificates or chain()
    return Parcel(
        recipient=Recipient(id=certificates.endpoint.node_id, internet_address=internet_address),
        id=message_id,
        creation_date=creation_date,
        ttl_seconds=ttl_seconds,
        payload=payload,
        sender_certificate=certificates.authorization,
        attached_certificates=certificates.attached,
    )


def internet_parcel(
    sender: str = "sender",
    *,
    recipient: Recipient | None = None,
    message_id: str = "parcel-1",
    creation_date: datetime = NOW - timedelta(minutes=1),
    ttl_seconds: int = 3_600,
    payload: bytes = b"payload",
    attached_certificates: Sequence[Certificate] = (),
) -> Parcel:
    """Return a parcel for an Internet endpoint, its sender's certificate self-issued."""
    return Parcel(
        recipient=recipient or Recipient(id=id_of("internet endpoint"), internet_address="endpoint.example.com"),
        id=message_id,
        creation_date=creation_date,
        ttl_seconds=ttl_seconds,
        payload=payload,
        sender_certificate=endpoint_certificate(sender),
        attached_certificates=tuple(attached_certificates),
    )


def serialized(parcel: Parcel, algorithm: HashAlgorithm = SHA256) -> bytes:
    """Return the octets of a parcel, signed with its sender's key."""
    return parcel.serialize(private_key_of(parcel.sender_certificate), algorithm)
