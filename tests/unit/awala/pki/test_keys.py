import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from awala.asn1 import der, oids
from awala.errors import InvalidArgumentError, InvalidMessageError, InvalidSignatureError, MalformedMessageError
from awala.pki import keys
from awala.pki.algorithms import HASHES, SHA256, SHA384, HashAlgorithm, PSSParameters, pss_parameters
from tests.factories import rsa_key, spki_of
from tests.unit.awala.crafted import algorithm_identifier

RSA_ENCRYPTION = algorithm_identifier(oids.RSA_ENCRYPTION, der.NULL)
DATA = b"data"


def key_value(modulus: int, exponent: int = 65_537) -> bytes:
    return der.bit_string(der.sequence(der.integer(modulus), der.integer(exponent)))


def test_generates_2048_bits_by_default() -> None:
    assert keys.generate_rsa_key().key_size == 2048


@pytest.mark.parametrize("bits", [1024, 2047, 2049, 8192])
def test_refuses_to_generate_other_sizes(bits: int) -> None:
    with pytest.raises(InvalidArgumentError):
        keys.generate_rsa_key(bits)


def test_serial_numbers_fit_in_8_octets() -> None:
    assert all(0 < keys.generate_serial_number() < 2**63 for _ in range(100))


def test_serial_numbers_differ() -> None:
    assert len({keys.generate_serial_number() for _ in range(100)}) == 100


def test_serial_number_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.randbits", lambda _bits: 0)
    assert keys.generate_serial_number() == 1


def test_node_id() -> None:
    assert keys.node_id(b"spki") == "0" + hashlib.sha256(b"spki").hexdigest()


def test_spki_has_rsa_encryption_with_null_parameters() -> None:
    assert spki_of("a")[4:].startswith(RSA_ENCRYPTION)


def test_loads_public_key() -> None:
    assert keys.load_rsa_public_key(spki_of("a")) == rsa_key("a").public_key()


@pytest.mark.parametrize(
    ("spki", "error"),
    [
        pytest.param(b"", MalformedMessageError, id="empty"),
        pytest.param(der.sequence(RSA_ENCRYPTION), MalformedMessageError, id="no key"),
        pytest.param(der.sequence(RSA_ENCRYPTION, der.bit_string(b"")), MalformedMessageError, id="empty key"),
        pytest.param(der.sequence(RSA_ENCRYPTION, der.NULL), MalformedMessageError, id="key is no BIT STRING"),
        pytest.param(der.sequence(RSA_ENCRYPTION, key_value(0)), MalformedMessageError, id="zero modulus"),
        pytest.param(
            der.sequence(RSA_ENCRYPTION, key_value(2**2047 + 1, 2)), MalformedMessageError, id="even exponent"
        ),
        pytest.param(spki_of("a") + b"\x00", MalformedMessageError, id="octets after it"),
        pytest.param(
            spki_of("a").replace(RSA_ENCRYPTION, algorithm_identifier(oids.RSA_ENCRYPTION) + b"\x05\x00"),
            MalformedMessageError,
            id="parameters outside the algorithm",
        ),
        pytest.param(
            spki_of("a").replace(oids.RSA_ENCRYPTION, oids.RSASSA_PSS), MalformedMessageError, id="id-RSASSA-PSS"
        ),
        pytest.param(
            keys.spki_der(ec.generate_private_key(ec.SECP256R1()).public_key()), MalformedMessageError, id="P-256"
        ),
        pytest.param(spki_of("a", 1024), InvalidSignatureError, id="RSA-1024"),
        pytest.param(
            der.sequence(RSA_ENCRYPTION, key_value(2**2046 + 1)), InvalidSignatureError, id="one bit too short"
        ),
        pytest.param(
            der.sequence(RSA_ENCRYPTION, key_value(2**8192 + 1)), InvalidSignatureError, id="one bit too long"
        ),
    ],
)
def test_refuses_public_key(spki: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        keys.load_rsa_public_key(spki)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_allowed_sizes_load(bits: int) -> None:
    spki = der.sequence(RSA_ENCRYPTION, key_value(2 ** (bits - 1) + 1))
    assert keys.load_rsa_public_key(spki).key_size == bits


@pytest.mark.parametrize("algorithm", HASHES, ids=lambda algorithm: algorithm.name)
def test_signature_round_trip(algorithm: HashAlgorithm) -> None:
    signature = keys.sign(rsa_key("a"), DATA, algorithm)
    keys.verify(rsa_key("a").public_key(), signature, DATA, pss_parameters(algorithm))


def test_signs_with_sha256_and_salt_of_32_octets_by_default() -> None:
    signature = keys.sign(rsa_key("a"), DATA)
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    rsa_key("a").public_key().verify(signature, DATA, pss, hashes.SHA256())


SIGNATURE = keys.sign(rsa_key("a"), DATA)


@pytest.mark.parametrize(
    ("owner", "signature", "data", "parameters"),
    [
        pytest.param("b", SIGNATURE, DATA, pss_parameters(SHA256), id="another key"),
        pytest.param("a", SIGNATURE, b"date", pss_parameters(SHA256), id="other data"),
        pytest.param("a", SIGNATURE, DATA, pss_parameters(SHA384), id="another hash"),
        pytest.param("a", SIGNATURE, DATA, PSSParameters(hash=SHA256, salt_length=20), id="another salt length"),
        pytest.param("a", SIGNATURE, DATA, PSSParameters(hash=SHA256, salt_length=512), id="salt too long for the key"),
        pytest.param("a", SIGNATURE[:-1], DATA, pss_parameters(SHA256), id="signature cut short"),
        pytest.param("a", b"", DATA, pss_parameters(SHA256), id="no signature"),
        pytest.param("a", b"\xff" * 256, DATA, pss_parameters(SHA256), id="signature over the modulus"),
        pytest.param("a", b"\x00" * 256, DATA, pss_parameters(SHA256), id="zero"),
    ],
)
def test_refuses_signature(owner: str, signature: bytes, data: bytes, parameters: PSSParameters) -> None:
    with pytest.raises(InvalidSignatureError):
        keys.verify(rsa_key(owner).public_key(), signature, data, parameters)


def test_refuses_pkcs1_signature() -> None:
    signature = rsa_key("a").sign(DATA, padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(InvalidSignatureError):
        keys.verify(rsa_key("a").public_key(), signature, DATA)
