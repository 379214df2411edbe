import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from awala.asn1 import der, oids
from awala.errors import InvalidArgumentError
from awala.pki.certificate import Certificate
from awala.pki.issuance import issue_gateway_certificate
from tests.factories import (
    NOT_AFTER,
    NOT_BEFORE,
    delivery_authorization,
    endpoint_certificate,
    gateway_certificate,
    id_of,
    rsa_key,
    spki_of,
)
from tests.unit.awala.crafted import name

ROOT = gateway_certificate()
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("certificate", "basic_constraints"),
    [
        (ROOT, "30060101ff020102"),
        (gateway_certificate("private gateway", issuer=ROOT), "30060101ff020101"),
        (endpoint_certificate(issuer=ROOT), "30060101ff020100"),
        (endpoint_certificate(), "30060101ff020100"),
        (delivery_authorization(issuer=ROOT), "3003020100"),
    ],
    ids=["self-issued gateway", "private gateway", "endpoint", "self-issued endpoint", "delivery authorisation"],
)
def test_basic_constraints(certificate: Certificate, basic_constraints: str) -> None:
    assert certificate.extensions[oids.BASIC_CONSTRAINTS].hex() == basic_constraints


def test_names_are_ids_in_bmp_strings() -> None:
    certificate = gateway_certificate("private gateway", issuer=ROOT)
    assert certificate.subject_der == name(id_of("private gateway"))
    assert certificate.issuer_der == ROOT.subject_der == name(id_of("gateway"))


def test_name_is_encoded_as_deployed() -> None:
    assert ROOT.subject_der.hex().startswith("30819031818d30818a06035504031e81820030")


def test_key_identifiers_are_full_digests() -> None:
    certificate = gateway_certificate("private gateway", issuer=ROOT)
    assert certificate.subject_key_id == hashlib.sha256(spki_of("private gateway")).digest()
    assert certificate.authority_key_id == hashlib.sha256(spki_of("gateway")).digest()


def test_authority_of_self_issued_certificate_is_itself() -> None:
    assert ROOT.authority_key_id == ROOT.subject_key_id


def test_extensions_come_in_the_order_of_the_javascript_library() -> None:
    expected = [oids.BASIC_CONSTRAINTS, oids.AUTHORITY_KEY_IDENTIFIER, oids.SUBJECT_KEY_IDENTIFIER]
    assert list(ROOT.extensions) == expected


def test_is_signed_by_the_issuer() -> None:
    gateway_certificate("private gateway", issuer=ROOT).verify_signature(ROOT)


def test_reads_back() -> None:
    assert Certificate.parse(ROOT.der) == ROOT


@pytest.mark.parametrize("serial_number", [1, 0x7F, 0x80, 2**63 - 1])
def test_serial_number_is_minimal(serial_number: int) -> None:
    certificate = gateway_certificate(serial_number=serial_number)
    assert certificate.serial_number == serial_number
    assert der.integer(serial_number) in certificate.der


def test_dates_are_kept_to_the_second() -> None:
    start = datetime(2026, 1, 1, 1, 2, 3, 999_999, tzinfo=UTC)
    certificate = gateway_certificate(not_before=start, not_after=datetime(2050, 1, 1, tzinfo=UTC))
    assert certificate.not_before == start.replace(microsecond=0)
    assert certificate.not_after == datetime(2050, 1, 1, tzinfo=UTC)


def test_ends_with_its_issuer() -> None:
    certificate = gateway_certificate("private gateway", issuer=ROOT, not_after=NOT_AFTER + SECOND)
    assert certificate.not_after == ROOT.not_after


def test_may_start_before_its_issuer() -> None:
    """Trap 12: what is issued is back-dated, since clients tolerate no difference between clocks."""
    certificate = gateway_certificate("private gateway", issuer=ROOT, not_before=NOT_BEFORE - SECOND)
    assert certificate.not_before == NOT_BEFORE - SECOND


def test_may_last_one_second() -> None:
    assert gateway_certificate(not_after=NOT_BEFORE).not_after == NOT_BEFORE


def test_refuses_empty_validity() -> None:
    with pytest.raises(InvalidArgumentError, match="end before it starts"):
        gateway_certificate(not_before=NOT_BEFORE, not_after=NOT_BEFORE - SECOND)


def test_refuses_validity_after_that_of_the_issuer() -> None:
    with pytest.raises(InvalidArgumentError, match="end before it starts"):
        gateway_certificate("private gateway", issuer=ROOT, not_before=NOT_AFTER + SECOND, not_after=NOT_AFTER + SECOND)


@pytest.mark.parametrize("serial_number", [0, -1])
def test_refuses_serial_number(serial_number: int) -> None:
    with pytest.raises(InvalidArgumentError, match="serial number"):
        gateway_certificate(serial_number=serial_number)


def test_refuses_certificate_of_another_issuer() -> None:
    with pytest.raises(InvalidArgumentError, match="belong together"):
        issue_gateway_certificate(
            subject_public_key=rsa_key("private gateway").public_key(),
            issuer_private_key=rsa_key("other"),
            issuer_certificate=ROOT,
            not_before=NOT_BEFORE,
            not_after=NOT_AFTER,
            serial_number=1,
        )
