"""CMS EnvelopedData (RFC 5652, section 6) for one recipient's session key, as RS-003 and the deployed nodes have it.

AuthEnvelopedData (RFC 5083), which no node emits yet, is read as well. Nothing here proves who encrypted the
content, and CBC does not prove that it is whole. Callers verify the RAMF signature first, and answer every
:class:`DecryptionError` alike.
"""

import secrets
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from awala.asn1 import ber, der, oids
from awala.cms.encrypted_content import EMITTED_KEY_SIZE, EncryptedContent, encrypt_content
from awala.cms.key_agreement import RECOMMENDED, KeyAgreement
from awala.errors import DecryptionError, InvalidArgumentError, MalformedMessageError
from awala.limits import MAX_PLAINTEXT_SIZE
from awala.pki.certificate import parse_bit_string
from awala.pki.keys import spki_der
from awala.session_key import SessionKey

_VERSION = 2
_AUTHENTICATED_VERSION = 0
_KEY_AGREEMENT_VERSION = 3
_UKM_SIZE = 64
_UNPROTECTED_ATTRIBUTES_TAG = ber.context(1, constructed=True)
_AUTHENTICATED_ATTRIBUTES_TAG = ber.context(1, constructed=True)
_UNAUTHENTICATED_ATTRIBUTES_TAG = ber.context(2, constructed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvelopedData:
    """An encrypted value for the holder of the session key ``recipient_key_id``.

    ``originator_key_id`` and ``originator_public_key_der`` (a SubjectPublicKeyInfo) are the sender's own session
    key, to which answers are encrypted. The other fields are what :meth:`decrypt` needs.
    """

    recipient_key_id: bytes
    originator_key_id: bytes
    originator_public_key_der: bytes
    key_agreement: KeyAgreement = field(repr=False)
    ukm: bytes | None = field(repr=False)
    wrapped_key: bytes = field(repr=False)
    content: EncryptedContent = field(repr=False)

    @classmethod
    def deserialize(cls, octets: bytes) -> Self:
        """Read a ContentInfo with an EnvelopedData value (RS-003; RFC 5652, 6.1), or an AuthEnvelopedData value.

        Nothing is decrypted.

        :raises MalformedMessageError: if it is something else, is sessionless (encrypted to an RSA key), or uses
            algorithms that neither RS-018 nor a deployed node has
        """
        content_type, explicit = ber.read(octets).members(2)
        value = explicit.expect(ber.context(0, constructed=True)).only_child()
        match content_type.expect(ber.OBJECT_IDENTIFIER).content:
            case oids.ENVELOPED_DATA:
                return cls._from_enveloped(value)
            case oids.AUTH_ENVELOPED_DATA:
                return cls._from_authenticated(value)
            case _:
                raise MalformedMessageError("Not a CMS EnvelopedData value")

    @classmethod
    def _from_enveloped(cls, value: ber.Element) -> Self:
        """Read an EnvelopedData value (RFC 5652, 6.1)."""
        version, recipients, content, *rest = value.members(3, 4)
        if version.integer() != _VERSION:
            raise MalformedMessageError("Unsupported EnvelopedData version")
        attributes = [attribute for element in rest for attribute in _children_of(element, _UNPROTECTED_ATTRIBUTES_TAG)]
        return cls._from_parts(recipients, EncryptedContent.from_enveloped(content), attributes)

    @classmethod
    def _from_authenticated(cls, value: ber.Element) -> Self:
        """Read an AuthEnvelopedData value (RFC 5083, 2.1)."""
        version, recipients, content, *rest = value.members(4, 6)
        if version.integer() != _AUTHENTICATED_VERSION:
            raise MalformedMessageError("Unsupported AuthEnvelopedData version")
        authenticated: list[ber.Element] = []
        authenticated_data = b""
        if rest[0].tag == _AUTHENTICATED_ATTRIBUTES_TAG:
            authenticated = rest.pop(0).children()
            # RFC 5083, 2.2: the tag covers them as a SET in DER, however they were encoded.
            authenticated_data = der.set_of(attribute.raw for attribute in authenticated)
        if not rest:
            raise MalformedMessageError("AuthEnvelopedData lacks its tag")
        mac, *rest = rest
        unauthenticated = [
            attribute for element in rest for attribute in _children_of(element, _UNAUTHENTICATED_ATTRIBUTES_TAG)
        ]
        encrypted_content = EncryptedContent.from_authenticated(content, mac.octets(), authenticated_data)
        return cls._from_parts(recipients, encrypted_content, [*authenticated, *unauthenticated])

    @classmethod
    def _from_parts(cls, recipients: ber.Element, content: EncryptedContent, attributes: list[ber.Element]) -> Self:
        recipient = _Recipient.from_element(recipients.expect(ber.SET).only_child())
        return cls(
            recipient_key_id=recipient.key_id,
            originator_key_id=_parse_originator_key_id(attributes),
            originator_public_key_der=recipient.originator_public_key_der,
            key_agreement=recipient.key_agreement,
            ukm=recipient.ukm,
            wrapped_key=recipient.wrapped_key,
            content=content,
        )

    def originator_session_key(self) -> SessionKey:
        """Return the sender's session key, to which answers are to be encrypted.

        :raises MalformedMessageError: if it is no P-256 key: no other can be used in answers
        """
        try:
            return SessionKey(key_id=self.originator_key_id, public_key_der=self.originator_public_key_der)
        except InvalidArgumentError as error:
            raise MalformedMessageError(str(error)) from error

    def decrypt(self, private_key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the plaintext (RS-003; RFC 5753).

        What fails is told neither by the error, which has no cause, nor by how long it takes: the content is
        decrypted whether or not its key could be unwrapped, with a stand-in if need be. What takes less time is
        what its sender knows by itself: a point off the curve, another curve, a malformed ciphertext. What remains
        is how the processor handles data. No receiver of ours is of use for more: cargo is acknowledged before it is
        decrypted, and a CCA that cannot be decrypted is refused like any other that is invalid.

        :raises DecryptionError: always with the same message, whatever the cause
        """
        content_key = self._unwrap_content_key(private_key)
        plaintext = self.content.decrypt(content_key or bytes(self.content.key_size))
        if content_key is None or plaintext is None:
            raise DecryptionError("Content cannot be decrypted")
        return plaintext

    def _unwrap_content_key(self, private_key: ec.EllipticCurvePrivateKey) -> bytes | None:
        try:
            public_key = load_der_public_key(self.originator_public_key_der)
            if not isinstance(public_key, ec.EllipticCurvePublicKey):
                return None
            content_key = self.key_agreement.unwrap(self.wrapped_key, private_key, public_key, self.ukm)
        except (ValueError, UnsupportedAlgorithm, keywrap.InvalidUnwrap):
            return None
        return content_key if len(content_key) == self.content.key_size else None


def encrypt(
    plaintext: bytes,
    *,
    recipient_key: SessionKey,
    originator_key: SessionKey,
    originator_private_key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Return the DER ContentInfo of an EnvelopedData value that both deployed libraries decrypt.

    The originator's key is an ephemeral one, made for this message; its private half is kept by the caller, to
    decrypt the answers.

    :raises InvalidArgumentError: if the plaintext is too large, or the originator's keys do not belong together
    """
    if len(plaintext) > MAX_PLAINTEXT_SIZE:
        raise InvalidArgumentError("Plaintext is too large")
    if originator_key.public_key_der != spki_der(originator_private_key.public_key()):
        raise InvalidArgumentError("The originator's private and public keys do not belong together")
    content_key = secrets.token_bytes(EMITTED_KEY_SIZE)
    recipient = _encode_recipient(content_key, recipient_key, originator_key, originator_private_key)
    return der.enclose(
        encrypt_content(content_key, plaintext),
        der.Layer(
            tag=ber.SEQUENCE,
            before=der.integer(_VERSION) + der.set_of([recipient]),
            after=der.context(1, _encode_originator_key_id(originator_key), constructed=True),
        ),
        der.Layer(tag=ber.context(0, constructed=True)),
        der.Layer(tag=ber.SEQUENCE, before=der.object_identifier(oids.ENVELOPED_DATA)),
    )


# ------------------------------------------------------------------ the recipient (RFC 5652, 6.2.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Recipient:
    """A KeyAgreeRecipientInfo with one recipient."""

    key_id: bytes
    originator_public_key_der: bytes
    key_agreement: KeyAgreement
    ukm: bytes | None
    wrapped_key: bytes

    @classmethod
    def from_element(cls, element: ber.Element) -> "_Recipient":
        if element.tag == ber.SEQUENCE:
            raise MalformedMessageError("Content is encrypted without a session")
        members = element.expect(ber.context(1, constructed=True)).children(most=5)
        if len(members) < 4:
            raise MalformedMessageError("Malformed KeyAgreeRecipientInfo")
        version, originator, *ukm, algorithm, recipient_keys = members
        if version.integer() != _KEY_AGREEMENT_VERSION:
            raise MalformedMessageError("Unsupported KeyAgreeRecipientInfo version")
        recipient_id, wrapped_key = recipient_keys.expect(ber.SEQUENCE).only_child().members(2)
        return cls(
            key_id=_parse_recipient_key_id(recipient_id),
            originator_public_key_der=_parse_originator(originator),
            key_agreement=KeyAgreement.from_element(algorithm),
            ukm=_parse_ukm(ukm),
            wrapped_key=wrapped_key.octets(),
        )


def _parse_originator(element: ber.Element) -> bytes:
    """Return the SubjectPublicKeyInfo in an OriginatorIdentifierOrKey; its octets may be other than DER."""
    key = element.expect(ber.context(0, constructed=True)).only_child().expect(ber.context(1, constructed=True))
    match key.children(most=2):
        case [algorithm, point]:
            oid, curve = algorithm.members(2)
        case _:
            raise MalformedMessageError("Malformed OriginatorPublicKey")
    if oid.expect(ber.OBJECT_IDENTIFIER).content != oids.EC_PUBLIC_KEY:
        raise MalformedMessageError("Originator key is no elliptic curve key")
    curve_oid = der.object_identifier(curve.expect(ber.OBJECT_IDENTIFIER).content)
    return der.sequence(
        der.sequence(der.object_identifier(oids.EC_PUBLIC_KEY), curve_oid),
        der.bit_string(parse_bit_string(point)),
    )


def _parse_ukm(elements: list[ber.Element]) -> bytes | None:
    for element in elements:
        return element.expect(ber.context(1, constructed=True)).only_child().octets()
    return None


def _parse_recipient_key_id(element: ber.Element) -> bytes:
    for key_id in element.expect(ber.context(0, constructed=True)).children(most=3):
        # A date and another attribute may follow, and say nothing here.
        return key_id.octets()
    raise MalformedMessageError("Recipient key id is missing")


def _encode_recipient(
    content_key: bytes,
    recipient_key: SessionKey,
    originator_key: SessionKey,
    originator_private_key: ec.EllipticCurvePrivateKey,
) -> bytes:
    public_key = load_der_public_key(recipient_key.public_key_der)
    assert isinstance(public_key, ec.EllipticCurvePublicKey)  # noqa: S101 - SessionKey holds no other
    ukm = secrets.token_bytes(_UKM_SIZE)
    wrapped_key = RECOMMENDED.wrap(content_key, originator_private_key, public_key, ukm)
    originator = bytes((ber.context(1, constructed=True),)) + originator_key.public_key_der[1:]
    recipient_id = der.context(0, der.octet_string(recipient_key.key_id), constructed=True)
    return der.element(
        ber.context(1, constructed=True),
        der.integer(_KEY_AGREEMENT_VERSION)
        + der.context(0, originator, constructed=True)
        + der.context(1, der.octet_string(ukm), constructed=True)
        + RECOMMENDED.identifier()
        + der.sequence(der.sequence(recipient_id, der.octet_string(wrapped_key))),
    )


# ------------------------------------------------------------------ the originator's key id (RS-003)


def _children_of(element: ber.Element, tag: int) -> list[ber.Element]:
    return element.expect(tag).children()


def _parse_originator_key_id(attributes: list[ber.Element]) -> bytes:
    for attribute in attributes:
        oid, values = attribute.members(2)
        if oid.content == oids.ORIGINATOR_SESSION_KEY_ID:
            value = values.expect(ber.SET).only_child()
            # RS-003 says INTEGER, and everybody emits an OCTET STRING: the id is the octets of either.
            return value.content if value.tag == ber.INTEGER else value.octets()
    raise MalformedMessageError("Originator key id is missing")


def _encode_originator_key_id(originator_key: SessionKey) -> bytes:
    return der.sequence(
        der.object_identifier(oids.ORIGINATOR_SESSION_KEY_ID),
        der.set_of([der.octet_string(originator_key.key_id)]),
    )
