"""Builds EnvelopedData values in every form that deployed nodes emit, and in forms that nobody should.

The key derivation is written out from ANSI X9.63, so that it checks the library's instead of repeating it.
"""

import hashlib
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from awala.asn1 import der, oids
from awala.pki.keys import spki_der

PLAINTEXT = b"what the endpoint says" * 100
KDF_OIDS = {"sha256": oids.ECDH_SHA256_KDF, "sha384": oids.ECDH_SHA384_KDF, "sha512": oids.ECDH_SHA512_KDF}
WRAP_OIDS = {16: oids.AES128_WRAP, 24: oids.AES192_WRAP, 32: oids.AES256_WRAP}
CBC_OIDS = {16: oids.AES128_CBC, 24: oids.AES192_CBC, 32: oids.AES256_CBC}
GCM_OIDS = {16: oids.AES128_GCM, 24: oids.AES192_GCM, 32: oids.AES256_GCM}
KEY_ID = b"recipient"
ORIGINATOR_KEY_ID = b"\x00originator"


def enclose(tag: int, *parts: bytes, indefinite: bool) -> bytes:
    content = b"".join(parts)
    return bytes((tag, 0x80)) + content + b"\x00\x00" if indefinite else der.element(tag, content)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """An EnvelopedData value with AES-CBC; each part can be replaced by another."""

    recipient_public_key: ec.EllipticCurvePublicKey
    kdf_hash: str = "sha256"
    wrapping_key_size: int = 16
    content_key_size: int = 16
    ukm: bytes | None = b"u" * 64
    indefinite: bool = False
    segment_size: int | None = None
    plaintext: bytes = PLAINTEXT
    padding: bytes | None = None
    declared_content_key_size: int | None = None
    parts: dict[str, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        enveloped = enclose(
            0x30,
            self._part("version", der.integer(2)),
            self._part("recipients", der.element(0x31, self._part("recipient", self._recipient()))),
            self._part("content", self._content()),
            self._part("attributes", der.context(1, self._attribute(), constructed=True)),
            indefinite=self.indefinite,
        )
        return self._content_info(oids.ENVELOPED_DATA, enveloped)

    def _content_info(self, oid: bytes, value: bytes) -> bytes:
        content_type = self._part("content_type", der.object_identifier(oid))
        explicit = enclose(0xA0, value, indefinite=self.indefinite)
        return enclose(0x30, content_type, explicit, indefinite=self.indefinite)

    def _part(self, name: str, usual: bytes) -> bytes:
        return self.parts.get(name, usual)

    def _recipient(self) -> bytes:
        private_key = ec.generate_private_key(self.recipient_public_key.curve)
        oid, curve, point = _split_spki(spki_der(private_key.public_key()))
        algorithm = der.sequence(self._part("originator_oid", oid), self._part("curve", curve))
        originator = algorithm + self._part("point", point)
        recipient_key_id = der.context(0, self._part("key_id", der.octet_string(KEY_ID)), constructed=True)
        ukm = b"" if self.ukm is None else der.context(1, der.octet_string(self.ukm), constructed=True)
        kdf_oid = self._part("kdf", der.object_identifier(KDF_OIDS[self.kdf_hash]))
        return der.context(
            1,
            self._part("recipient_version", der.integer(3))
            + der.context(0, self._part("originator", der.context(1, originator, constructed=True)), constructed=True)
            + ukm
            + self._part("agreement", der.sequence(kdf_oid, self._part("wrap", self._wrap())))
            + self._part(
                "keys",
                der.sequence(der.sequence(recipient_key_id, der.octet_string(self._wrapped_key(private_key)))),
            ),
            constructed=True,
        )

    def _wrap(self) -> bytes:
        return der.sequence(der.object_identifier(WRAP_OIDS[self.wrapping_key_size]))

    def _wrapped_key(self, private_key: ec.EllipticCurvePrivateKey) -> bytes:
        secret = private_key.exchange(ec.ECDH(), self.recipient_public_key)
        ukm = b"" if self.ukm is None else der.context(0, der.octet_string(self.ukm), constructed=True)
        bits = der.octet_string((self.wrapping_key_size * 8).to_bytes(4, "big"))
        shared_info = der.sequence(self._wrap(), ukm, der.context(2, bits, constructed=True))
        key = hashlib.new(self.kdf_hash, secret + b"\x00\x00\x00\x01" + shared_info).digest()
        return keywrap.aes_key_wrap(key[: self.wrapping_key_size], self._content_key())

    def _content_key(self) -> bytes:
        return bytes(range(self.content_key_size))

    def _content(self) -> bytes:
        cipher_oid = der.object_identifier(self._cipher_oids()[self.declared_content_key_size or self.content_key_size])
        return enclose(
            0x30,
            self._part("encrypted_type", der.object_identifier(oids.DATA)),
            der.sequence(self._part("cipher", cipher_oid), self._part("iv", self._cipher_parameters())),
            self._part("ciphertext", self._string(self._ciphertext())),
            indefinite=self.indefinite,
        )

    def _cipher_oids(self) -> dict[int, bytes]:
        return CBC_OIDS

    def _cipher_parameters(self) -> bytes:
        return der.octet_string(b"i" * 16)

    def _ciphertext(self) -> bytes:
        missing = 16 - len(self.plaintext) % 16
        padding = bytes((missing,)) * missing if self.padding is None else self.padding
        encryptor = Cipher(algorithms.AES(self._content_key()), modes.CBC(b"i" * 16)).encryptor()
        return encryptor.update(self.plaintext + padding) + encryptor.finalize()

    def _string(self, octets: bytes) -> bytes:
        if self.segment_size is None:
            return der.context(0, octets)
        starts = range(0, len(octets), self.segment_size)
        segments = (der.octet_string(octets[start : start + self.segment_size]) for start in starts)
        return enclose(0xA0, *segments, indefinite=self.indefinite)

    def _attribute(self) -> bytes:
        value = self._part("originator_key_id", der.octet_string(ORIGINATOR_KEY_ID))
        return der.sequence(
            der.object_identifier(oids.ORIGINATOR_SESSION_KEY_ID), self._part("values", der.element(0x31, value))
        )


@dataclass(frozen=True, kw_only=True)
class GCMEnvelope(Envelope):
    """An EnvelopedData value with AES-GCM and the tag after the ciphertext, as Bouncy Castle makes it."""

    nonce: bytes = b"n" * 12
    tag_size: int = 16

    def _cipher_oids(self) -> dict[int, bytes]:
        return GCM_OIDS

    def _cipher_parameters(self) -> bytes:
        # RFC 5084: a tag of 12 octets is the default, which DER leaves out.
        tag_size = b"" if self.tag_size == 12 else der.integer(self.tag_size)
        return der.sequence(der.octet_string(self.nonce), tag_size)

    def _ciphertext(self) -> bytes:
        ciphertext, tag = self._encrypted(b"")
        return ciphertext + tag

    def _encrypted(self, authenticated_data: bytes) -> tuple[bytes, bytes]:
        """Return the ciphertext and the tag."""
        encryptor = Cipher(algorithms.AES(self._content_key()), modes.GCM(self.nonce)).encryptor()
        encryptor.authenticate_additional_data(authenticated_data)
        ciphertext = encryptor.update(self.plaintext) + encryptor.finalize()
        return ciphertext, encryptor.tag[: self.tag_size]


@dataclass(frozen=True, kw_only=True)
class BareGCMEnvelope(GCMEnvelope):
    """The same with a nonce of 16 octets for parameters, as PKI.js makes it."""

    nonce: bytes = b"n" * 16

    def _cipher_parameters(self) -> bytes:
        return der.octet_string(self.nonce)


@dataclass(frozen=True, kw_only=True)
class AuthEnvelope(GCMEnvelope):
    """An AuthEnvelopedData value (RFC 5083): the tag has a field, and attributes are authenticated or not."""

    authenticated: tuple[bytes, ...] = ()
    is_key_id_authenticated: bool = False

    def encode(self) -> bytes:
        value = enclose(
            0x30,
            self._part("version", der.integer(0)),
            self._part("recipients", der.element(0x31, self._part("recipient", self._recipient()))),
            self._part("content", self._content()),
            self._authenticated_attributes(),
            self._part("mac", der.octet_string(self._encrypted(self._authenticated_data())[1])),
            self._part("attributes", self._unauthenticated_attributes()),
            indefinite=self.indefinite,
        )
        return self._content_info(oids.AUTH_ENVELOPED_DATA, value)

    def _ciphertext(self) -> bytes:
        return self._encrypted(self._authenticated_data())[0]

    def _attributes(self) -> tuple[bytes, ...]:
        return (*self.authenticated, self._attribute()) if self.is_key_id_authenticated else self.authenticated

    def _authenticated_data(self) -> bytes:
        return der.set_of(self._attributes()) if self._attributes() else b""

    def _authenticated_attributes(self) -> bytes:
        return enclose(0xA1, *self._attributes(), indefinite=self.indefinite) if self._attributes() else b""

    def _unauthenticated_attributes(self) -> bytes:
        return b"" if self.is_key_id_authenticated else der.context(2, self._attribute(), constructed=True)


def _split_spki(spki: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the algorithm, the curve and the point of an elliptic curve key, each encoded."""
    algorithm_end = 2 + spki[1] if spki[1] < 0x80 else 3 + spki[2]
    algorithm_start = 2 if spki[1] < 0x80 else 3
    assert algorithm_end == len(spki)
    oid_start = algorithm_start + 2
    oid_end = oid_start + 2 + spki[oid_start + 1]
    curve_end = oid_end + 2 + spki[oid_end + 1]
    return spki[oid_start:oid_end], spki[oid_end:curve_end], spki[curve_end:]
