from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import ber, der, oids
from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError
from awala.pki import keys
from awala.pki.algorithms import SHA256, SHA384, pss_parameters
from awala.pki.certificate import Certificate, parse_bit_string
from tests.factories import NOT_AFTER, NOT_BEFORE, id_of, rsa_key, spki_of
from tests.unit.awala.crafted import (
    NAME_CONSTRAINTS,
    RATE_LIMIT,
    RSA_WITH_SHA256,
    algorithm_identifier,
    basic_constraints,
    certificate,
    certificate_der,
    explicit,
    extension,
    extensions,
    name,
)

SECOND = timedelta(seconds=1)

# ---------------------------------------------------------------- Reading


def test_reads_fields() -> None:
    octets = certificate_der("subject", "issuer", serial_number=der.integer(2**63))
    read = Certificate.parse(octets)
    assert (read.der, read.serial_number) == (octets, 2**63)
    assert (read.issuer_der, read.subject_der) == (name(id_of("issuer")), name(id_of("subject")))
    assert (read.not_before, read.not_after) == (NOT_BEFORE, NOT_AFTER)
    assert (read.spki_der, read.node_id) == (spki_of("subject"), id_of("subject"))
    assert read.signature_algorithm == pss_parameters(SHA256)


def test_id_comes_from_the_key_when_the_name_lies() -> None:
    assert certificate(subject_name=name(id_of("somebody else"))).node_id == id_of("subject")


@pytest.mark.parametrize(
    ("content", "serial_number"),
    [("0045000000000000", 0x45 << 48), ("7f00000000000001", 0x7F00000000000001), ("00ffffffffffffffff", 2**64 - 1)],
    ids=["non-minimal: trap 2", "JavaScript", "JVM, nine octets"],
)
def test_serial_number(content: str, serial_number: int) -> None:
    """Trap 2: `cryptography` refuses the serial numbers with a needless zero that the JavaScript library makes."""
    octets = der.element(ber.INTEGER, bytes.fromhex(content))
    assert certificate(serial_number=octets).serial_number == serial_number


@pytest.mark.parametrize(
    "end",
    [
        b"\x17\x0d450101000000Z",
        b"\x18\x0f20450101000000Z",
    ],
    ids=["UTCTime: JavaScript", "GeneralizedTime: JVM from 2050 on"],
)
def test_validity_in_both_time_formats(end: bytes) -> None:
    assert certificate(not_after=end).not_after == datetime(2045, 1, 1, tzinfo=UTC)


def test_validity_after_2049() -> None:
    assert certificate(not_after=b"\x18\x0f20600101000000Z").not_after == datetime(2060, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "is_ca", "path_length"),
    [
        pytest.param("30060101ff020102", True, 2, id="CA, pathLen 2"),
        pytest.param("30060101ff020101", True, 1, id="CA, pathLen 1"),
        pytest.param("30060101ff020100", True, 0, id="CA, pathLen 0"),
        pytest.param("30060101ff02010a", True, 10, id="CA, pathLen 10"),
        pytest.param("30030101ff", True, None, id="CA without pathLen"),
        pytest.param("3006010101020100", True, 0, id="true that is not DER's"),
        pytest.param("3003020100", False, 0, id="no cA, pathLen 0: trap 2, JavaScript"),
        pytest.param("3006010100020100", False, 0, id="explicit FALSE, pathLen 0: trap 2, JVM"),
        pytest.param("3003010100", False, None, id="explicit FALSE alone"),
        pytest.param("3000", False, None, id="empty"),
        pytest.param("3080 0101ff 020101 0000", True, 1, id="indefinite length"),
    ],
)
def test_basic_constraints(value: str, is_ca: bool, path_length: int | None) -> None:  # noqa: FBT001 - a table's value
    """Trap 2: `cryptography` refuses both encodings that delivery authorisations have."""
    read = certificate(trailing=extensions(basic_constraints(bytes.fromhex(value))))
    assert (read.is_ca, read.path_length) == (is_ca, path_length)


@pytest.mark.parametrize("trailing", [b"", extensions()], ids=["no field", "empty field"])
def test_no_extensions(trailing: bytes) -> None:
    read = certificate(trailing=trailing)
    assert (read.is_ca, read.path_length, dict(read.extensions)) == (False, None, {})


def test_unique_ids_are_skipped() -> None:
    trailing = der.context(1, b"\x00id") + der.context(2, b"\x00id")
    assert certificate(trailing=trailing + extensions(extension(RATE_LIMIT, b"limit"))).extensions == {
        RATE_LIMIT: b"limit"
    }


def test_unknown_extension_that_is_not_critical() -> None:
    read = certificate(trailing=extensions(extension(RATE_LIMIT, b"limit", critical=b"\x01\x01\x00")))
    assert not read.has_unknown_critical_extension


@pytest.mark.parametrize("size", [0, 1, 127, 128, 300])
def test_extension_of_any_size(size: int) -> None:
    read = certificate(trailing=extensions(extension(NAME_CONSTRAINTS, bytes(size))))
    assert read.extensions == {NAME_CONSTRAINTS: bytes(size)}


@pytest.mark.parametrize(
    "entry",
    ["0603551d1e", "0603551d1e04", "0603551d1e0401", "0603551d1e040200", "0603551d1e04000400", "0603551d1e0500"],
)
def test_refuses_malformed_short_extension(entry: str) -> None:
    with pytest.raises(MalformedMessageError):
        certificate(trailing=extensions(der.element(ber.SEQUENCE, bytes.fromhex(entry))))


def test_unknown_critical_extension() -> None:
    read = certificate(trailing=extensions(extension(NAME_CONSTRAINTS, b"", critical=der.TRUE)))
    assert read.has_unknown_critical_extension


def test_understood_critical_extensions() -> None:
    known = (
        extension(oids.BASIC_CONSTRAINTS, b"\x30\x00", critical=der.TRUE),
        extension(oids.SUBJECT_KEY_IDENTIFIER, b"\x04\x00", critical=der.TRUE),
        extension(oids.AUTHORITY_KEY_IDENTIFIER, b"\x30\x00", critical=der.TRUE),
    )
    assert not certificate(trailing=extensions(*known)).has_unknown_critical_extension


AUTHORITY_KEY = extension(oids.AUTHORITY_KEY_IDENTIFIER, bytes.fromhex("3004 8002 abcd"))
SUBJECT_KEY = extension(oids.SUBJECT_KEY_IDENTIFIER, bytes.fromhex("0402 cdef"))


@pytest.mark.parametrize(
    "entries",
    [(AUTHORITY_KEY, SUBJECT_KEY), (SUBJECT_KEY, AUTHORITY_KEY)],
    ids=["AKI first: JavaScript", "SKI first: JVM"],
)
def test_key_identifiers(entries: tuple[bytes, ...]) -> None:
    read = certificate(trailing=extensions(*entries))
    assert (read.authority_key_id, read.subject_key_id) == (b"\xab\xcd", b"\xcd\xef")


@pytest.mark.parametrize(
    "trailing",
    [
        b"",
        extensions(extension(oids.AUTHORITY_KEY_IDENTIFIER, b""), extension(oids.SUBJECT_KEY_IDENTIFIER, b"")),
    ],
    ids=["no extensions", "empty extensions"],
)
def test_no_key_identifiers(trailing: bytes) -> None:
    read = certificate(trailing=trailing)
    assert (read.authority_key_id, read.subject_key_id) == (None, None)


def test_authority_named_by_serial_number_alone() -> None:
    read = certificate(
        trailing=extensions(extension(oids.AUTHORITY_KEY_IDENTIFIER, bytes.fromhex("3006 a100 8202 0001")))
    )
    assert read.authority_key_id is None


def test_refuses_malformed_key_identifiers() -> None:
    read = certificate(
        trailing=extensions(
            extension(oids.AUTHORITY_KEY_IDENTIFIER, b"\x05\x00"), extension(oids.SUBJECT_KEY_IDENTIFIER, b"\x05\x00")
        )
    )
    with pytest.raises(MalformedMessageError):
        _ = read.authority_key_id
    with pytest.raises(MalformedMessageError):
        _ = read.subject_key_id


PKCS1 = algorithm_identifier(RSA_WITH_SHA256, der.NULL)


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        pytest.param(b"", MalformedMessageError, id="empty"),
        pytest.param(b"\x30\x00", MalformedMessageError, id="empty sequence"),
        pytest.param(certificate_der() + b"\x00", MalformedMessageError, id="octets after it"),
        pytest.param(certificate_der(version=b""), MalformedMessageError, id="version 1"),
        pytest.param(certificate_der(version=explicit(0, der.integer(1))), MalformedMessageError, id="version 2"),
        pytest.param(certificate_der(serial_number=b"\x02\x00"), MalformedMessageError, id="empty serial number"),
        pytest.param(
            certificate_der(serial_number=b"\x04\x01\x01"), MalformedMessageError, id="serial of another type"
        ),
        pytest.param(certificate_der(issuer_name=b"\x31\x00"), MalformedMessageError, id="issuer is no SEQUENCE"),
        pytest.param(certificate_der(subject_name=b"\x31\x00"), MalformedMessageError, id="subject is no SEQUENCE"),
        pytest.param(certificate_der(spki=b"\x31\x00"), MalformedMessageError, id="key is no SEQUENCE"),
        pytest.param(certificate_der(not_before=b"\x05\x00"), MalformedMessageError, id="start is no time"),
        pytest.param(
            certificate_der(not_after=b"\x17\x0b4501010000Z"), MalformedMessageError, id="end without seconds"
        ),
        pytest.param(
            certificate_der(trailing=explicit(3, der.NULL)), MalformedMessageError, id="extensions of another type"
        ),
        pytest.param(
            certificate_der(trailing=extensions(der.sequence(der.object_identifier(RATE_LIMIT)))),
            MalformedMessageError,
            id="extension without a value",
        ),
        pytest.param(
            certificate_der(trailing=extensions(extension(RATE_LIMIT, b"1"), extension(RATE_LIMIT, b"2"))),
            MalformedMessageError,
            id="repeated extension",
        ),
        pytest.param(
            certificate_der(trailing=extensions(basic_constraints(bytes.fromhex("3003 0201ff")))),
            MalformedMessageError,
            id="negative pathLen",
        ),
        pytest.param(
            certificate_der(trailing=extensions(basic_constraints(bytes.fromhex("3006 020100 020100")))),
            MalformedMessageError,
            id="two pathLens",
        ),
        pytest.param(
            certificate_der(trailing=extensions(basic_constraints(bytes.fromhex("3009 0101ff 020100 020100")))),
            MalformedMessageError,
            id="BasicConstraints of three members",
        ),
        pytest.param(certificate_der(signature=b"\x03\x02\x01\x80"), MalformedMessageError, id="signature of 7 bits"),
        pytest.param(certificate_der(inner_algorithm=PKCS1), InvalidSignatureError, id="two signature algorithms"),
        pytest.param(certificate_der(algorithm=PKCS1), InvalidSignatureError, id="PKCS#1 v1.5"),
    ],
)
def test_refuses(octets: bytes, error: type[InvalidMessageError]) -> None:
    with pytest.raises(error):
        Certificate.parse(octets)


@pytest.mark.parametrize("octets", ["0300", "030101", "0302 0180", "0401 00"], ids=["empty", "bits", "7 bits", "type"])
def test_refuses_bit_string(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        parse_bit_string(ber.read(bytes.fromhex(octets)))


# ---------------------------------------------------------------- Validity


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [
        (NOT_BEFORE - SECOND, False),
        (NOT_BEFORE, True),
        (NOT_AFTER, True),
        (NOT_AFTER + SECOND, False),
    ],
    ids=["before the start", "at the start", "at the end", "after the end"],
)
def test_validity_has_no_tolerance(now: datetime, is_valid: bool) -> None:  # noqa: FBT001 - the value of the table
    assert certificate().is_valid_at(now) is is_valid


# ---------------------------------------------------------------- Names


@pytest.mark.parametrize(
    ("encoding", "tag"),
    [
        ("utf-16-be", ber.BMP_STRING),
        ("utf-8", ber.UTF8_STRING),
        ("ascii", ber.PRINTABLE_STRING),
        ("ascii", ber.VISIBLE_STRING),
    ],
    ids=["BMPString", "UTF8String", "PrintableString", "VisibleString"],
)
def test_names_are_compared_as_text(encoding: str, tag: int) -> None:
    child = certificate("subject", "issuer", issuer_name=name(id_of("issuer"), encode_text=encoding, tag=tag))
    assert child.is_issued_by_name(certificate("issuer", "issuer"))


def test_names_that_are_no_text_are_compared_as_octets() -> None:
    odd = der.sequence()
    assert certificate(issuer_name=odd).is_issued_by_name(certificate(subject_name=odd))


TEXT = der.element(ber.UTF8_STRING, id_of("issuer").encode())
ATTRIBUTE = der.sequence(der.object_identifier(oids.COMMON_NAME), TEXT)


@pytest.mark.parametrize(
    "issuer_name",
    [
        pytest.param(name(id_of("somebody else")), id="another id"),
        pytest.param(name(id_of("issuer"), oid="2.5.4.10"), id="another attribute"),
        pytest.param(name(id_of("issuer"), tag=0x14, encode_text="ascii"), id="unknown string type"),
        pytest.param(name("0\N{SNOWMAN}", tag=ber.UTF8_STRING, encode_text="utf-16-be"), id="malformed UTF-8"),
        pytest.param(der.sequence(), id="empty"),
        pytest.param(der.sequence(ATTRIBUTE), id="not in a SET"),
        pytest.param(der.sequence(der.set_of([ATTRIBUTE]), der.set_of([ATTRIBUTE])), id="two names"),
        pytest.param(der.sequence(der.set_of([ATTRIBUTE, ATTRIBUTE])), id="two attributes"),
        pytest.param(der.sequence(der.set_of([TEXT])), id="no attribute"),
        pytest.param(der.sequence(b"\x31\x01\x30"), id="malformed"),
    ],
)
def test_other_names_differ(issuer_name: bytes) -> None:
    child = certificate("subject", "issuer", issuer_name=issuer_name)
    assert not child.is_issued_by_name(certificate("issuer", "issuer"))


def test_names_that_are_no_text_differ() -> None:
    child = certificate(issuer_name=der.sequence(der.set_of([])))
    assert not child.is_issued_by_name(certificate(subject_name=der.sequence()))


# ---------------------------------------------------------------- Signature


def test_signature_holds() -> None:
    certificate("subject", "issuer").verify_signature(certificate("issuer", "issuer"))


def test_signature_with_sha384() -> None:
    parameters = pss_parameters(SHA384)
    octets = certificate_der("subject", "issuer", algorithm=parameters.identifier(), signature=b"\x03\x01\x00")
    tbs = Certificate.parse(octets).tbs_der
    signature = der.bit_string(keys.sign(rsa_key("issuer"), tbs, SHA384))
    signed = certificate("subject", "issuer", algorithm=parameters.identifier(), signature=signature)
    signed.verify_signature(certificate("issuer", "issuer"))


def test_refuses_signature_by_another_key() -> None:
    with pytest.raises(InvalidSignatureError):
        certificate("subject", "issuer", signing_key=rsa_key("other")).verify_signature(certificate("issuer", "issuer"))


def test_refuses_signature_by_short_key() -> None:
    issuer = certificate("issuer", spki=spki_of("issuer", 1024))
    with pytest.raises(InvalidSignatureError, match="shorter"):
        certificate("subject", "issuer", signing_key=rsa_key("issuer", 1024)).verify_signature(issuer)


def test_refuses_issuer_key_that_is_not_rsa() -> None:
    with pytest.raises(MalformedMessageError):
        certificate("subject", "issuer").verify_signature(certificate("issuer", spki=der.sequence(der.NULL, der.NULL)))
