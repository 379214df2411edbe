import pytest

from awala.asn1 import oids


@pytest.mark.parametrize(
    ("dotted", "content"),
    [
        ("1.2.840.113549.1.7.2", "2a864886f70d010702"),
        ("2.16.840.1.101.3.4.2.1", "608648016503040201"),
        ("1.3.6.1.4.1.58708.0.2.0", "2b0601040183ca54000200"),
        ("2.5.29.19", "551d13"),
        ("2.999", "8837"),
        ("0.0", "00"),
    ],
)
def test_encodes(dotted: str, content: str) -> None:
    assert oids.encode(dotted) == bytes.fromhex(content)


@pytest.mark.parametrize(
    ("oid", "content"),
    [
        (oids.NODE_REGISTRATION_AUTHORIZATION, "2b0601040183ca54000200"),
        (oids.NODE_REGISTRATION_COUNTERSIGNATURE, "2b0601040183ca54000201"),
        (oids.PARCEL_DELIVERY, "2b0601040183ca54000300"),
        (oids.PARCEL_COLLECTION_HANDSHAKE, "2b0601040183ca54000301"),
    ],
)
def test_awala_identifiers(oid: bytes, content: str) -> None:
    assert oid == bytes.fromhex(content)
