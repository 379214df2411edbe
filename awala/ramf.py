"""RAMF, the format of parcels, cargo and collection authorisations (RS-001).

A message is ``"Awala"``, an octet for the type and one for the version, then a CMS SignedData whose content is
the fields. The type decides the class of the message, see :mod:`awala.messages`.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Self

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, der
from awala.cms.signed_data import sign_data, verify_signed_data
from awala.errors import (
    InvalidArgumentError,
    MalformedMessageError,
    OversizedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.limits import (
    MAX_INTERNET_ADDRESS_LENGTH,
    MAX_MESSAGE_ID_LENGTH,
    MAX_RAMF_MESSAGE_SIZE,
    MAX_RAMF_PAYLOAD_SIZE,
    MAX_RECIPIENT_ID_LENGTH,
    MAX_TTL_SECONDS,
)
from awala.pki.algorithms import SHA256, HashAlgorithm
from awala.pki.certificate import Certificate
from awala.pki.path import VerifiedLinks, build_path

_MAGIC = b"Awala"
_VERSION = 0
_HEADER_SIZE = 7

_RECIPIENT_ID = re.compile(r"[a-f0-9]+", re.ASCII)
# What the JavaScript library accepts: no IP address, no single label; underscores and a last dot are allowed.
_ACCEPTED_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ACCEPTED_ADDRESS = re.compile(rf"(?:{_ACCEPTED_LABEL}\.)+(?=[0-9-]*[A-Za-z])[A-Za-z0-9-]{{2,63}}\.?", re.ASCII)


def format_header(message_type: int) -> bytes:
    """Return the seven octets in front of every message of this type (RS-001)."""
    return _MAGIC + bytes((message_type, _VERSION))


def strip_header(octets: bytes, message_type: int) -> bytes:
    """Return what follows the format signature of a message that must be of this type.

    :raises MalformedMessageError: if the octets are no Awala message, or one of another type or version
    """
    if octets[:5] != _MAGIC:
        raise MalformedMessageError("Format signature does not start with Awala")
    if octets[5:_HEADER_SIZE] != bytes((message_type, _VERSION)):
        raise MalformedMessageError("Message is of another type or version")
    return octets[_HEADER_SIZE:]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipient:
    """Whom a message is for: a node id and, when it is to be reached over the Internet, its Awala address.

    :raises InvalidArgumentError: if the id or address does not have the form that deployed nodes accept
    """

    id: str
    internet_address: str | None = None

    def __post_init__(self) -> None:
        if len(self.id) > MAX_RECIPIENT_ID_LENGTH or not _RECIPIENT_ID.fullmatch(self.id):
            raise InvalidArgumentError("Recipient id is not hexadecimal, or too long")
        address = self.internet_address
        if address is not None and (
            len(address) > MAX_INTERNET_ADDRESS_LENGTH or not _ACCEPTED_ADDRESS.fullmatch(address)
        ):
            raise InvalidArgumentError("Recipient Internet address is no domain name, or too long")


@dataclass(frozen=True, kw_only=True, slots=True)
class RAMFMessage:
    """A message of any type; the classes of :mod:`awala.messages` give ``TYPE`` (RS-001).

    ``creation_date`` is in UTC and whole seconds; ``id`` is arbitrary text, one character per octet.
    ``attached_certificates`` is what the sender attached, its own certificate included or not.

    :raises InvalidArgumentError: if a field is outside the limits of RS-001
    """

    TYPE: ClassVar[int]
    MAX_SIZE: ClassVar[int] = MAX_RAMF_MESSAGE_SIZE

    recipient: Recipient
    id: str
    creation_date: datetime
    ttl_seconds: int
    payload: bytes = field(repr=False)
    sender_certificate: Certificate
    attached_certificates: tuple[Certificate, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if len(self.id) > MAX_MESSAGE_ID_LENGTH:
            raise InvalidArgumentError("Message id is too long")
        if not 0 <= self.ttl_seconds <= MAX_TTL_SECONDS:
            raise InvalidArgumentError("Time to live is negative, or over 180 days")
        if len(self.payload) > MAX_RAMF_PAYLOAD_SIZE:
            raise InvalidArgumentError("Payload is too large")
        try:
            _ = self.expiry
        except OverflowError as error:
            raise InvalidArgumentError("Message would expire after the year 9999") from error

    @property
    def expiry(self) -> datetime:
        """The last instant at which the message is valid."""
        return self.creation_date + timedelta(seconds=self.ttl_seconds)

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a message and check its signature; timing and authorisation are for the caller to check.

        :raises OversizedMessageError: if it is over ``MAX_SIZE``
        :raises MalformedMessageError: if it is no message of this type
        :raises InvalidSignatureError: if its signature does not hold or is of a kind that RS-018 bans
        """
        if len(octets) > cls.MAX_SIZE:
            raise OversizedMessageError("Message is too large")
        signed = verify_signed_data(strip_header(octets, cls.TYPE))
        assert signed.content is not None  # noqa: S101 - only detached signatures have none
        recipient, message_id, creation_date, ttl, payload = ber.read(signed.content).members(5)
        try:
            return cls(
                recipient=_parse_recipient(recipient),
                id=message_id.text(ber.context(1)),
                creation_date=ber.parse_time(creation_date.text(ber.context(2))),
                ttl_seconds=ttl.integer(ber.context(3)),
                payload=payload.octets(ber.context(4)),
                sender_certificate=signed.signer_certificate,
                attached_certificates=signed.certificates,
            )
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    def serialize(self, private_key: rsa.RSAPrivateKey, algorithm: HashAlgorithm = SHA256) -> bytes:
        """Return the message signed with the sender's key, its certificates attached.

        :raises InvalidArgumentError: if the result is over ``MAX_SIZE``
        """
        address = self.recipient.internet_address
        recipient = der.context(0, self.recipient.id.encode())
        if address is not None:
            recipient += der.context(1, address.encode())
        fields = (
            der.context(0, recipient, constructed=True),
            der.context(1, der.visible_string_content(self.id)),
            der.context(2, der.time_digits(self.creation_date).encode()),
            der.context(3, der.integer_content(self.ttl_seconds)),
        )
        content = der.enclose(
            self.payload, der.Layer(tag=ber.context(4)), der.Layer(tag=ber.SEQUENCE, before=b"".join(fields))
        )
        chain = [c for c in self.attached_certificates if c.der != self.sender_certificate.der]
        signed = sign_data(
            content,
            private_key=private_key,
            certificate=self.sender_certificate,
            chain=chain,
            algorithm=algorithm,
        )
        octets = format_header(self.TYPE) + signed
        if len(octets) > self.MAX_SIZE:
            raise InvalidArgumentError("Message is too large")
        return octets

    def check_timing(self, now: datetime) -> None:
        """Check that the message has been created and has not expired, without tolerance (RS-001).

        :raises UntimelyMessageError: if not
        """
        if now < self.creation_date:
            raise UntimelyMessageError("Message was created in the future")
        if self.expiry < now:
            raise UntimelyMessageError("Message has expired")

    def check_sender_certificate(self, now: datetime) -> None:
        """Check that the sender's certificate is valid; all there is to check of an Internet endpoint's peer.

        :raises UnauthorizedSenderError: if it is not valid at ``now``
        """
        if not self.sender_certificate.is_valid_at(now):
            raise UnauthorizedSenderError("Sender certificate is not valid now")

    def authorized_path(
        self, trusted: tuple[Certificate, ...], *, now: datetime, links: VerifiedLinks | None = None
    ) -> tuple[Certificate, ...]:
        """Return the path by which the recipient authorised the sender (RS-002): leaf first, trusted root last.

        :raises UnauthorizedSenderError: if there is none, or the recipient did not issue the sender's certificate
        """
        path = build_path(self.sender_certificate, self.attached_certificates, trusted, now=now, links=links)
        if path[1].node_id != self.recipient.id:
            raise UnauthorizedSenderError("Sender is not authorised to reach this recipient")
        return path


def _parse_recipient(element: ber.Element) -> Recipient:
    match element.expect(ber.context(0, constructed=True)).children(most=2):
        case [node_id]:
            return Recipient(id=node_id.text(ber.context(0)))
        case [node_id, address]:
            return Recipient(id=node_id.text(ber.context(0)), internet_address=address.text(ber.context(1)))
        case _:
            raise MalformedMessageError("Recipient is empty")
