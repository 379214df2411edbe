"""Signature and digest algorithms that RS-018 allows, and their AlgorithmIdentifiers (RFC 4055).

RSASSA-PSS with SHA-256, SHA-384 or SHA-512 and MGF1 over the same hash. SHA-1, MD5 and PKCS#1 v1.5 are
refused, though the JavaScript library would verify them.
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes

from awala.asn1 import ber, der, oids
from awala.errors import InvalidSignatureError

_MAX_SALT_LENGTH = 512


@dataclass(frozen=True, kw_only=True, slots=True)
class HashAlgorithm:
    """A hash function: its name for :mod:`hashlib`, object identifier, digest size and implementation."""

    name: str
    oid: bytes
    digest_size: int
    implementation: hashes.HashAlgorithm

    def identifier(self) -> bytes:
        """Return the AlgorithmIdentifier, with NULL parameters (as the JavaScript library emits it)."""
        return der.sequence(der.object_identifier(self.oid), der.NULL)


@dataclass(frozen=True, kw_only=True, slots=True)
class PSSParameters:
    """Parameters of an RSASSA-PSS signature; the salt's length is in octets."""

    hash: HashAlgorithm
    salt_length: int

    def identifier(self) -> bytes:
        """Return the AlgorithmIdentifier with explicit parameters; trailerField is left out (RFC 4055, 3.1)."""
        hash_identifier = self.hash.identifier()
        mgf_identifier = der.sequence(der.object_identifier(oids.MGF1), hash_identifier)
        parameters = der.sequence(
            der.context(0, hash_identifier, constructed=True),
            der.context(1, mgf_identifier, constructed=True),
            der.context(2, der.integer(self.salt_length), constructed=True),
        )
        return der.sequence(der.object_identifier(oids.RSASSA_PSS), parameters)


SHA256: Final = HashAlgorithm(name="sha256", oid=oids.SHA256, digest_size=32, implementation=hashes.SHA256())
SHA384: Final = HashAlgorithm(name="sha384", oid=oids.SHA384, digest_size=48, implementation=hashes.SHA384())
SHA512: Final = HashAlgorithm(name="sha512", oid=oids.SHA512, digest_size=64, implementation=hashes.SHA512())
HASHES: Final = (SHA256, SHA384, SHA512)
_HASH_BY_OID: Final = MappingProxyType({algorithm.oid: algorithm for algorithm in HASHES})


def pss_parameters(algorithm: HashAlgorithm) -> PSSParameters:
    """Return the parameters that Awala nodes use with ``algorithm``: a salt as long as the digest."""
    return PSSParameters(hash=algorithm, salt_length=algorithm.digest_size)


# What every deployed client emits, so that one look-up replaces a dozen reads.
_USUAL_PSS: Final = MappingProxyType(
    {pss_parameters(algorithm).identifier(): pss_parameters(algorithm) for algorithm in HASHES}
)


def parse_hash(identifier: ber.Element) -> HashAlgorithm:
    """Return the hash function of an AlgorithmIdentifier; its parameters may be NULL (JS) or absent (JVM).

    :raises InvalidSignatureError: if RS-018 does not allow it
    :raises MalformedMessageError: if it is no AlgorithmIdentifier
    """
    oid, *parameters = identifier.members(1, 2)
    for parameter in parameters:
        parameter.expect(ber.NULL)
    algorithm = _HASH_BY_OID.get(oid.expect(ber.OBJECT_IDENTIFIER).content)
    if algorithm is None:
        raise InvalidSignatureError("Hash function is not allowed")
    return algorithm


def parse_signature_algorithm(identifier: ber.Element) -> PSSParameters:
    """Return the parameters of an RSASSA-PSS AlgorithmIdentifier (RFC 4055, 3.1).

    :raises InvalidSignatureError: if it is another algorithm, or RS-018 does not allow its parameters
    :raises MalformedMessageError: if it is no AlgorithmIdentifier
    """
    usual = _USUAL_PSS.get(identifier.raw)
    if usual is not None:
        return usual
    oid, *parameters = identifier.members(1, 2)
    if oid.expect(ber.OBJECT_IDENTIFIER).content != oids.RSASSA_PSS:
        raise InvalidSignatureError("Signature algorithm is not RSASSA-PSS")
    for parameter in parameters:
        return _parse_pss_parameters(parameter)
    raise InvalidSignatureError("RSASSA-PSS parameters are missing, which stands for SHA-1")


def _parse_pss_parameters(parameters: ber.Element) -> PSSParameters:
    fields = {field.tag: field for field in parameters.members(0, 4)}
    hash_field = fields.get(ber.context(0, constructed=True))
    mgf_field = fields.get(ber.context(1, constructed=True))
    salt_field = fields.get(ber.context(2, constructed=True))
    if hash_field is None or mgf_field is None or salt_field is None:
        raise InvalidSignatureError("RSASSA-PSS parameters fall back on SHA-1 or its salt length")
    algorithm = parse_hash(hash_field.only_child())
    mgf_oid, mgf_hash = mgf_field.only_child().members(2)
    if mgf_oid.expect(ber.OBJECT_IDENTIFIER).content != oids.MGF1:
        raise InvalidSignatureError("RSASSA-PSS mask generation function is not MGF1")
    if parse_hash(mgf_hash) is not algorithm:
        raise InvalidSignatureError("RSASSA-PSS uses two different hash functions")
    salt_length = salt_field.only_child().integer()
    if not 0 <= salt_length <= _MAX_SALT_LENGTH:
        raise InvalidSignatureError("RSASSA-PSS salt length is out of range")
    return PSSParameters(hash=algorithm, salt_length=salt_length)
