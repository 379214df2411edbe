"""X.509 certificates as Awala nodes issue them (RS-002), read by our own reader.

``cryptography`` cannot be the reader: it refuses the non-minimal serial numbers of the JavaScript library and
the BasicConstraints of every delivery authorisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.asn1 import ber, oids
from awala.errors import InvalidSignatureError, MalformedMessageError
from awala.pki import keys
from awala.pki.algorithms import PSSParameters, parse_signature_algorithm

_VERSION_3 = 2
_KEY_IDENTIFIER_TAG = ber.context(0)
_EXTENSIONS_TAG = ber.context(3, constructed=True)
_UNDERSTOOD = frozenset((oids.BASIC_CONSTRAINTS, oids.AUTHORITY_KEY_IDENTIFIER, oids.SUBJECT_KEY_IDENTIFIER))
# The encodings that deployed nodes emit, so that one look-up replaces the reading of them.
_USUAL_BASIC_CONSTRAINTS = {
    bytes.fromhex("30060101ff020100"): (True, 0),
    bytes.fromhex("30060101ff020101"): (True, 1),
    bytes.fromhex("30060101ff020102"): (True, 2),
    bytes.fromhex("3003020100"): (False, 0),
}
_SHORT_OID = bytes((ber.OBJECT_IDENTIFIER, 3))
_SHORT_EXTENSION_HEAD = 7
_LONG_LENGTH = 0x80
_USUAL_VERSION = bytes.fromhex("a003020102")
# Of a name that is one common name of 65 characters, as ids are, in a BMPString.
_USUAL_NAME_HEAD = bytes.fromhex("30819031818d30818a06035504031e8182")


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """An X.509 certificate, version 3 (RS-002).

    ``der`` is the certificate as received; ``tbs_der``, ``issuer_der``, ``subject_der`` and ``spki_der`` are the
    octets of those parts. ``node_id`` is always derived from the key, never from the subject's name. The
    validity period is inclusive at both ends and in UTC. ``extensions`` maps object identifiers to the octets in
    each extension; ``is_ca`` and ``path_length`` are those of BasicConstraints.
    """

    der: bytes
    tbs_der: bytes = field(repr=False)
    serial_number: int
    issuer_der: bytes = field(repr=False)
    subject_der: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki_der: bytes = field(repr=False)
    node_id: str
    is_ca: bool
    path_length: int | None
    extensions: Mapping[bytes, bytes] = field(repr=False)
    has_unknown_critical_extension: bool
    signature_algorithm: PSSParameters = field(repr=False)
    signature: bytes = field(repr=False)
    # The key once loaded: trusted certificates verify others over and over.
    _public_key: list[rsa.RSAPublicKey] = field(default_factory=list, init=False, repr=False, compare=False)

    @classmethod
    def parse(cls, der: bytes) -> Self:
        """Read a DER (or BER) certificate; no signature is checked.

        :raises MalformedMessageError: if it is no X.509 v3 certificate
        :raises InvalidSignatureError: if it is signed with an algorithm that RS-018 bans
        """
        return cls.from_element(ber.read(der))

    @classmethod
    def from_element(cls, element: ber.Element) -> Self:
        """Read a certificate from an element of a larger structure; see :meth:`parse`."""
        tbs, algorithm, signature = element.members(3)
        version, serial, inner_algorithm, issuer, validity, subject, spki, *trailing = tbs.members(7, 10)
        if version.raw != _USUAL_VERSION and _parse_version(version) != _VERSION_3:
            raise MalformedMessageError("Certificate is not of version 3")
        if inner_algorithm.raw != algorithm.raw:
            raise InvalidSignatureError("Certificate names two signature algorithms")
        not_before, not_after = _parse_validity(validity)
        extensions, critical = _parse_extensions(trailing)
        is_ca, path_length = _parse_basic_constraints(extensions.get(oids.BASIC_CONSTRAINTS))
        return cls(
            der=element.raw,
            tbs_der=tbs.raw,
            serial_number=serial.integer(),
            issuer_der=issuer.expect(ber.SEQUENCE).raw,
            subject_der=subject.expect(ber.SEQUENCE).raw,
            not_before=not_before,
            not_after=not_after,
            spki_der=spki.expect(ber.SEQUENCE).raw,
            node_id=keys.node_id(spki.raw),
            is_ca=is_ca,
            path_length=path_length,
            extensions=extensions,
            has_unknown_critical_extension=not critical <= _UNDERSTOOD,
            signature_algorithm=parse_signature_algorithm(algorithm),
            signature=parse_bit_string(signature),
        )

    @property
    def authority_key_id(self) -> bytes | None:
        """The digest of the issuer's key (RS-002), or ``None``.

        :raises MalformedMessageError: if the extension is malformed
        """
        value = self.extensions.get(oids.AUTHORITY_KEY_IDENTIFIER)
        for member in ber.read(value).members(0, 3) if value else ():
            if member.tag == _KEY_IDENTIFIER_TAG:
                return member.content
        return None

    @property
    def subject_key_id(self) -> bytes | None:
        """The digest of the subject's key (RS-002), or ``None``.

        :raises MalformedMessageError: if the extension is malformed
        """
        value = self.extensions.get(oids.SUBJECT_KEY_IDENTIFIER)
        return ber.read(value).octets() if value else None

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the subject's key.

        :raises MalformedMessageError: if it is no RSA key
        :raises InvalidSignatureError: if it is shorter than RS-018 allows
        """
        if not self._public_key:
            self._public_key.append(keys.load_rsa_public_key(self.spki_der))
        return self._public_key[0]

    def is_valid_at(self, now: datetime) -> bool:
        """Say whether ``now`` lies in the validity period; no clock tolerance (RFC 5280, 4.1.2.5)."""
        return self.not_before <= now <= self.not_after

    def is_issued_by_name(self, issuer: "Certificate") -> bool:
        """Say whether ``issuer`` bears the name of this certificate's issuer.

        Names are compared as octets and then, since nodes need not agree on the string type, as text.
        """
        if self.issuer_der == issuer.subject_der:
            return True
        if self.issuer_der.startswith(_USUAL_NAME_HEAD) and issuer.subject_der.startswith(_USUAL_NAME_HEAD):
            return False  # Both are of one string type, so that their texts differ as their octets do.
        text = _name_text(self.issuer_der)
        return text is not None and text == _name_text(issuer.subject_der)

    def verify_signature(self, issuer: "Certificate") -> None:
        """Check that the key of ``issuer`` signed this certificate.

        :raises InvalidSignatureError: if it did not, or its key is not allowed
        :raises MalformedMessageError: if the issuer's key cannot be read
        """
        keys.verify(issuer.public_key(), self.signature, self.tbs_der, self.signature_algorithm)


def _parse_version(version: ber.Element) -> int:
    return version.expect(ber.context(0, constructed=True)).only_child().integer()


def _parse_validity(validity: ber.Element) -> tuple[datetime, datetime]:
    not_before, not_after = validity.members(2)
    return not_before.time(), not_after.time()


def _parse_extensions(trailing_fields: list[ber.Element]) -> tuple[dict[bytes, bytes], set[bytes]]:
    """Return the extensions and which of them are critical."""
    values: dict[bytes, bytes] = {}
    critical: set[bytes] = set()
    for trailing in trailing_fields:
        if trailing.tag != _EXTENSIONS_TAG:
            continue
        for entry in trailing.only_child().expect(ber.SEQUENCE).children():
            oid, is_critical, value = _parse_extension(entry)
            if oid in values:
                raise MalformedMessageError("Certificate repeats an extension")
            values[oid] = value
            if is_critical:
                critical.add(oid)
    return values, critical


def _parse_extension(entry: ber.Element) -> tuple[bytes, bool, bytes]:
    content = entry.content
    # Most are `06 03 <oid> 04 <length> <value>`: not critical, and short.
    if (
        entry.tag == ber.SEQUENCE
        and len(content) >= _SHORT_EXTENSION_HEAD
        and content[:2] == _SHORT_OID
        and content[5] == ber.OCTET_STRING
        and len(content) - _SHORT_EXTENSION_HEAD == content[6] < _LONG_LENGTH
    ):
        return content[2:5], False, content[_SHORT_EXTENSION_HEAD:]
    oid, *critical, value = entry.members(2, 3)
    is_critical = any(flag.boolean() for flag in critical)
    return oid.expect(ber.OBJECT_IDENTIFIER).content, is_critical, value.octets()


def _parse_basic_constraints(value: bytes | None) -> tuple[bool, int | None]:
    """Read BasicConstraints: cA may be absent (JS) or an explicit FALSE (JVM), pathLen may come with either."""
    if value is None:
        return False, None
    if value in _USUAL_BASIC_CONSTRAINTS:
        return _USUAL_BASIC_CONSTRAINTS[value]
    members = ber.read(value).members(0, 2)
    is_ca = bool(members) and members[0].tag == ber.BOOLEAN and members.pop(0).boolean()
    path_length = members.pop(0).integer() if members else None
    if members or (path_length is not None and path_length < 0):
        raise MalformedMessageError("Malformed BasicConstraints")
    return is_ca, path_length


def parse_bit_string(element: ber.Element) -> bytes:
    """Return the octets of a BIT STRING without unused bits.

    :raises MalformedMessageError: if it is anything else
    """
    content = element.expect(ber.BIT_STRING).content
    if content[:1] != b"\x00":
        raise MalformedMessageError("BIT STRING has unused bits")
    return content[1:]


_TEXT_ENCODINGS = {
    ber.BMP_STRING: "utf-16-be",
    ber.UTF8_STRING: "utf-8",
    ber.PRINTABLE_STRING: "ascii",
    ber.VISIBLE_STRING: "ascii",
}


def _name_text(name_der: bytes) -> str | None:
    """Return the common name in a name of that one attribute; ``None`` where there is no such thing."""
    try:
        rdn = ber.read(name_der).only_child().expect(ber.SET)
        oid, value = rdn.only_child().members(2)
        if oid.content != oids.COMMON_NAME or value.tag not in _TEXT_ENCODINGS:
            return None
        return value.content.decode(_TEXT_ENCODINGS[value.tag])
    except (MalformedMessageError, ValueError):
        return None
