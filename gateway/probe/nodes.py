"""The nodes that the probe plays: private gateways, endpoints behind them, and one endpoint on the Internet."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.clients.collection import Signer
from awala.messages.parcel import Parcel
from awala.pki.certificate import Certificate
from awala.pki.issuance import issue_delivery_authorization, issue_endpoint_certificate
from awala.pki.keys import generate_serial_number
from awala.ramf import Recipient
from awala.registration import Registration
from awala.session_key import SessionKey

# What a probe that breaks off leaves on the gateway is gone after this.
TTL = timedelta(minutes=15)
# Deployed nodes date back what they make, because nobody tolerates a clock that is ahead of theirs.
BACK_DATING = timedelta(minutes=5)
_EXPIRED_FOR = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class PrivateGateway:
    """One that has registered."""

    private_key: rsa.RSAPrivateKey
    registration: Registration
    # The gateway's, to which the first cargo is encrypted.
    session_key: SessionKey

    @property
    def certificate(self) -> Certificate:
        return self.registration.node_certificate

    @property
    def signer(self) -> Signer:
        return Signer(private_key=self.private_key, certificate=self.certificate)

    def certify_endpoint(self, private_key: rsa.RSAPrivateKey) -> "PrivateEndpoint":
        certificate = issue_endpoint_certificate(
            subject_public_key=private_key.public_key(),
            issuer_private_key=self.private_key,
            issuer_certificate=self.certificate,
            not_before=self.certificate.not_before,
            not_after=self.certificate.not_after,
            serial_number=generate_serial_number(),
        )
        return PrivateEndpoint(private_key=private_key, certificate=certificate, gateway_certificate=self.certificate)


@dataclass(frozen=True, kw_only=True)
class PrivateEndpoint:
    """An application on a device."""

    private_key: rsa.RSAPrivateKey
    certificate: Certificate
    gateway_certificate: Certificate

    def authorize(self, sender_private_key: rsa.RSAPrivateKey) -> "AuthorizedSender":
        """Let the holder of a key send parcels here."""
        authorization = issue_delivery_authorization(
            subject_public_key=sender_private_key.public_key(),
            issuer_private_key=self.private_key,
            issuer_certificate=self.certificate,
            not_before=self.certificate.not_before,
            not_after=self.certificate.not_after,
            serial_number=generate_serial_number(),
        )
        return AuthorizedSender(
            private_key=sender_private_key,
            recipient_id=self.certificate.node_id,
            authorization=authorization,
            authorities=(self.certificate, self.gateway_certificate),
        )

    def write_to(self, recipient_id: str, internet_address: str) -> "AuthorizedSender":
        """Become a sender to an endpoint on the Internet, which lets everybody in."""
        return AuthorizedSender(
            private_key=self.private_key,
            recipient_id=recipient_id,
            internet_address=internet_address,
            authorization=self.certificate,
            authorities=(self.gateway_certificate,),
        )


@dataclass(frozen=True, kw_only=True)
class AuthorizedSender:
    """An endpoint, wherever it is, that may send parcels to one recipient."""

    private_key: rsa.RSAPrivateKey
    recipient_id: str
    internet_address: str | None = None
    authorization: Certificate
    authorities: tuple[Certificate, ...]

    def make_parcel(self, payload: bytes, now: datetime) -> bytes:
        return self._make_parcel(payload, creation_date=now - BACK_DATING, ttl=BACK_DATING + TTL)

    def make_expired_parcel(self, now: datetime) -> bytes:
        """A parcel to which nothing is wrong but that it comes too late."""
        return self._make_parcel(b"", creation_date=now - _EXPIRED_FOR - TTL, ttl=TTL)

    def _make_parcel(self, payload: bytes, *, creation_date: datetime, ttl: timedelta) -> bytes:
        parcel = Parcel(
            recipient=Recipient(id=self.recipient_id, internet_address=self.internet_address),
            id=str(uuid.uuid4()),
            creation_date=creation_date.replace(microsecond=0),
            ttl_seconds=int(ttl.total_seconds()),
            payload=payload,
            sender_certificate=self.authorization,
            attached_certificates=self.authorities,
        )
        return parcel.serialize(self.private_key)
