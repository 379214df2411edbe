import pytest

from awala.asn1 import ber, der, oids
from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError
from awala.pki.algorithms import (
    HASHES,
    SHA256,
    SHA384,
    SHA512,
    HashAlgorithm,
    PSSParameters,
    parse_hash,
    parse_signature_algorithm,
    pss_parameters,
)
from tests.unit.awala.crafted import MD5, RSA_WITH_SHA256, SHA1, algorithm_identifier, explicit


def mgf1(hash_identifier: bytes, oid: bytes = oids.MGF1) -> bytes:
    return algorithm_identifier(oid, hash_identifier)


def pss(*fields: bytes) -> bytes:
    return algorithm_identifier(oids.RSASSA_PSS, der.sequence(*fields))


HASH = explicit(0, SHA256.identifier())
MASK = explicit(1, mgf1(SHA256.identifier()))
SALT = explicit(2, der.integer(32))


def test_pss_identifier_is_the_deployed_one() -> None:
    expected = (
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
        "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
    )
    assert pss_parameters(SHA256).identifier().hex() == expected


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_salt_is_as_long_as_the_digest(algorithm: HashAlgorithm) -> None:
    assert pss_parameters(algorithm).salt_length == algorithm.digest_size


@pytest.mark.parametrize("algorithm", [SHA256, SHA384, SHA512], ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("parameters", [der.NULL, b""], ids=["NULL parameters: JavaScript", "no parameters: JVM"])
def test_parses_hash(algorithm: HashAlgorithm, parameters: bytes) -> None:
    assert parse_hash(ber.read(algorithm_identifier(algorithm.oid, parameters))) is algorithm


@pytest.mark.parametrize("oid", [SHA1, MD5], ids=["SHA-1", "MD5"])
def test_refuses_banned_hash(oid: bytes) -> None:
    with pytest.raises(InvalidSignatureError, match="not allowed"):
        parse_hash(ber.read(algorithm_identifier(oid, der.NULL)))


@pytest.mark.parametrize(
    "identifier",
    [
        algorithm_identifier(oids.SHA256, der.integer(1)),
        algorithm_identifier(oids.SHA256, der.NULL, der.NULL),
        der.sequence(der.octet_string(oids.SHA256)),
        der.octet_string(b""),
        der.sequence(),
    ],
    ids=["parameters that are not NULL", "too much", "no identifier", "no sequence", "empty"],
)
def test_refuses_malformed_hash(identifier: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        parse_hash(ber.read(identifier))


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_parses_deployed_signature_algorithm(algorithm: HashAlgorithm) -> None:
    parameters = pss_parameters(algorithm)
    assert parse_signature_algorithm(ber.read(parameters.identifier())) == parameters


@pytest.mark.parametrize(
    ("identifier", "salt_length"),
    [
        (pss(HASH, MASK, explicit(2, der.integer(20))), 20),
        (pss(HASH, MASK, explicit(2, der.integer(0))), 0),
        (pss(HASH, MASK, explicit(2, der.integer(512))), 512),
        (pss(HASH, MASK, SALT, explicit(3, der.integer(1))), 32),
        (pss(explicit(0, algorithm_identifier(oids.SHA256)), MASK, SALT), 32),
    ],
    ids=["salt 20", "no salt", "longest salt", "trailer field", "no hash parameters"],
)
def test_parses_other_pss_parameters(identifier: bytes, salt_length: int) -> None:
    assert parse_signature_algorithm(ber.read(identifier)) == PSSParameters(hash=SHA256, salt_length=salt_length)


@pytest.mark.parametrize(
    ("identifier", "error"),
    [
        pytest.param(algorithm_identifier(RSA_WITH_SHA256, der.NULL), InvalidSignatureError, id="PKCS#1 v1.5"),
        pytest.param(algorithm_identifier(oids.RSA_ENCRYPTION, der.NULL), InvalidSignatureError, id="rsaEncryption"),
        pytest.param(algorithm_identifier(oids.RSASSA_PSS), InvalidSignatureError, id="no parameters: SHA-1"),
        pytest.param(pss(), InvalidSignatureError, id="default parameters: SHA-1"),
        pytest.param(pss(MASK, SALT), InvalidSignatureError, id="default hash: SHA-1"),
        pytest.param(pss(HASH, SALT), InvalidSignatureError, id="default mask: SHA-1"),
        pytest.param(pss(HASH, MASK), InvalidSignatureError, id="default salt"),
        pytest.param(
            pss(explicit(0, algorithm_identifier(SHA1, der.NULL)), MASK, SALT), InvalidSignatureError, id="SHA-1"
        ),
        pytest.param(
            pss(HASH, explicit(1, mgf1(algorithm_identifier(SHA1, der.NULL))), SALT),
            InvalidSignatureError,
            id="SHA-1 in the mask",
        ),
        pytest.param(
            pss(HASH, explicit(1, mgf1(SHA512.identifier())), SALT), InvalidSignatureError, id="two hash functions"
        ),
        pytest.param(
            pss(HASH, explicit(1, mgf1(SHA256.identifier(), oids.SHA256)), SALT), InvalidSignatureError, id="not MGF1"
        ),
        pytest.param(
            pss(HASH, MASK, explicit(2, der.integer(-1))), InvalidSignatureError, id="salt of negative length"
        ),
        pytest.param(pss(HASH, MASK, explicit(2, der.integer(513))), InvalidSignatureError, id="salt too long"),
        pytest.param(pss(HASH, MASK, explicit(2, der.NULL)), MalformedMessageError, id="salt length is no INTEGER"),
        pytest.param(pss(HASH, MASK, SALT, SALT, SALT), MalformedMessageError, id="too many parameters"),
        pytest.param(algorithm_identifier(oids.RSASSA_PSS, der.NULL), MalformedMessageError, id="NULL parameters"),
        pytest.param(der.NULL, MalformedMessageError, id="no sequence"),
    ],
)
def test_refuses_signature_algorithm(identifier: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        parse_signature_algorithm(ber.read(identifier))
