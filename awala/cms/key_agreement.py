"""The key agreement of EnvelopedData values: ephemeral ECDH, the KDF of ANSI X9.63, AES key wrap (RFC 5753).

The JavaScript library uses SHA-512 with AES-256 wrap, the JVM library SHA-256 with AES-128 wrap; any of the
three hash functions may come with any of the three wraps.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from awala.asn1 import ber, der, oids
from awala.errors import MalformedMessageError
from awala.pki.algorithms import SHA256, SHA384, SHA512, HashAlgorithm

_KDF_HASHES: Final = MappingProxyType(
    {oids.ECDH_SHA256_KDF: SHA256, oids.ECDH_SHA384_KDF: SHA384, oids.ECDH_SHA512_KDF: SHA512}
)
_WRAPPING_KEY_SIZES: Final = MappingProxyType({oids.AES128_WRAP: 16, oids.AES192_WRAP: 24, oids.AES256_WRAP: 32})


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyAgreement:
    """How a content key is wrapped: the KDF's hash function, the key wrap algorithm and its key size in octets.

    ``wrap_identifier`` is the wrap's AlgorithmIdentifier exactly as in the message, because it goes into the KDF.
    """

    kdf_hash: HashAlgorithm
    wrap_identifier: bytes
    wrapping_key_size: int

    @classmethod
    def from_element(cls, identifier: ber.Element) -> "KeyAgreement":
        """Read a keyEncryptionAlgorithm (RFC 5753, 7.2).

        :raises MalformedMessageError: if it is none, or not one that RS-018 allows
        """
        kdf_oid, wrap = identifier.members(2)
        wrap_oid, *_ = wrap.members(1, 2)
        kdf_hash = _KDF_HASHES.get(kdf_oid.expect(ber.OBJECT_IDENTIFIER).content)
        wrapping_key_size = _WRAPPING_KEY_SIZES.get(wrap_oid.expect(ber.OBJECT_IDENTIFIER).content)
        if kdf_hash is None or wrapping_key_size is None:
            raise MalformedMessageError("Key agreement algorithm is not supported")
        return cls(kdf_hash=kdf_hash, wrap_identifier=wrap.raw, wrapping_key_size=wrapping_key_size)

    def unwrap(
        self,
        wrapped_key: bytes,
        private_key: ec.EllipticCurvePrivateKey,
        public_key: ec.EllipticCurvePublicKey,
        ukm: bytes | None,
    ) -> bytes:
        """Return the content key that was wrapped with these keys; ``ukm`` is the user keying material.

        :raises ValueError: if the keys are on different curves
        :raises keywrap.InvalidUnwrap: if the key was wrapped with others
        """
        return keywrap.aes_key_unwrap(self._derive_wrapping_key(private_key, public_key, ukm), wrapped_key)

    def wrap(
        self,
        content_key: bytes,
        private_key: ec.EllipticCurvePrivateKey,
        public_key: ec.EllipticCurvePublicKey,
        ukm: bytes,
    ) -> bytes:
        """Return ``content_key`` wrapped with these keys."""
        return keywrap.aes_key_wrap(self._derive_wrapping_key(private_key, public_key, ukm), content_key)

    def identifier(self) -> bytes:
        """Return the keyEncryptionAlgorithm."""
        kdf_oid = next(oid for oid, algorithm in _KDF_HASHES.items() if algorithm is self.kdf_hash)
        return der.sequence(der.object_identifier(kdf_oid), self.wrap_identifier)

    def _derive_wrapping_key(
        self,
        private_key: ec.EllipticCurvePrivateKey,
        public_key: ec.EllipticCurvePublicKey,
        ukm: bytes | None,
    ) -> bytes:
        kdf_hash: hashes.HashAlgorithm = self.kdf_hash.implementation
        kdf = X963KDF(kdf_hash, length=self.wrapping_key_size, sharedinfo=self._shared_info(ukm))
        return kdf.derive(private_key.exchange(ec.ECDH(), public_key))

    def _shared_info(self, ukm: bytes | None) -> bytes:
        """Return the ECC-CMS-SharedInfo (RFC 5753, 7.2)."""
        key_bits = (self.wrapping_key_size * 8).to_bytes(4, "big")
        return der.sequence(
            self.wrap_identifier,
            b"" if ukm is None else der.context(0, der.octet_string(ukm), constructed=True),
            der.context(2, der.octet_string(key_bits), constructed=True),
        )


# What both deployed libraries read, and the cheaper of what they emit.
RECOMMENDED: Final = KeyAgreement(
    kdf_hash=SHA256,
    wrap_identifier=der.sequence(der.object_identifier(oids.AES128_WRAP)),
    wrapping_key_size=16,
)
