"""Identity keys of nodes (RS-002, RS-018): RSA, and the node ids derived from them."""

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from awala.asn1 import ber, der, oids
from awala.errors import InvalidArgumentError, InvalidSignatureError, MalformedMessageError
from awala.limits import MAX_RSA_KEY_BITS, MIN_RSA_KEY_BITS
from awala.pki.algorithms import HASHES, SHA256, HashAlgorithm, PSSParameters, pss_parameters

_RSA_ALGORITHM = der.sequence(der.object_identifier(oids.RSA_ENCRYPTION), der.NULL)


def generate_rsa_key(bits: int = MIN_RSA_KEY_BITS) -> rsa.RSAPrivateKey:
    """Return a new identity key of 2048, 3072 or 4096 bits (RS-018).

    :raises InvalidArgumentError: if the modulus is of another size
    """
    if bits not in (2048, 3072, 4096):
        raise InvalidArgumentError("RSA keys must have 2048, 3072 or 4096 bits")
    return rsa.generate_private_key(public_exponent=65_537, key_size=bits)


def generate_serial_number() -> int:
    """Return a random, positive certificate serial number that fits in 8 octets (RS-002)."""
    return secrets.randbits(63) or 1


def spki_der(public_key: PublicKeyTypes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a public key."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def node_id(spki: bytes) -> str:
    """Return the id of the node with this DER SubjectPublicKeyInfo: "0" and 64 hexadecimal digits (RS-000)."""
    return "0" + hashlib.sha256(spki).hexdigest()


def load_rsa_public_key(spki: bytes) -> rsa.RSAPublicKey:
    """Return the RSA key in a DER SubjectPublicKeyInfo with the algorithm rsaEncryption (never id-RSASSA-PSS).

    :raises MalformedMessageError: if it is no such key
    :raises InvalidSignatureError: if its modulus is shorter than RS-018 allows, or absurdly long
    """
    # Where it stands in the DER encoding of any key that is long enough.
    if spki[4 : 4 + len(_RSA_ALGORITHM)] != _RSA_ALGORITHM:
        algorithm, _ = ber.read(spki).members(2)
        if algorithm.raw != _RSA_ALGORITHM:
            raise MalformedMessageError("Public key is not an RSA key")
    try:
        key = load_der_public_key(spki)
    except ValueError as error:
        raise MalformedMessageError("Malformed RSA public key") from error
    assert isinstance(key, rsa.RSAPublicKey)  # noqa: S101 - the algorithm was compared above
    if not MIN_RSA_KEY_BITS <= key.key_size <= MAX_RSA_KEY_BITS:
        raise InvalidSignatureError("RSA key is shorter or longer than allowed")
    return key


def sign(private_key: rsa.RSAPrivateKey, data: bytes, algorithm: HashAlgorithm = SHA256) -> bytes:
    """Return the RSASSA-PSS signature of ``data``, its salt as long as the digest (RS-018)."""
    parameters = pss_parameters(algorithm)
    return private_key.sign(data, _pss_padding(parameters), algorithm.implementation)


def verify(
    public_key: rsa.RSAPublicKey,
    signature: bytes,
    data: bytes,
    parameters: PSSParameters = pss_parameters(SHA256),  # noqa: B008 - an immutable value
) -> None:
    """Check an RSASSA-PSS signature.

    :raises InvalidSignatureError: if it does not hold
    """
    try:
        public_key.verify(signature, data, _pss_padding(parameters), parameters.hash.implementation)
    except (InvalidSignature, ValueError) as error:
        raise InvalidSignatureError("Signature does not hold") from error


def _pss_padding(parameters: PSSParameters) -> padding.PSS:
    if parameters.salt_length == parameters.hash.digest_size:
        return _USUAL_PADDINGS[parameters.hash.name]
    return _make_padding(parameters.hash, parameters.salt_length)


def _make_padding(algorithm: HashAlgorithm, salt_length: int) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(algorithm.implementation), salt_length=salt_length)


# Every deployed client has the salt as long as the digest.
_USUAL_PADDINGS = {algorithm.name: _make_padding(algorithm, algorithm.digest_size) for algorithm in HASHES}
