from datetime import UTC, datetime, timedelta, timezone

import pytest

from awala.asn1 import ber, der, oids
from awala.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("length", "header"),
    [
        (0, "3000"),
        (127, "307f"),
        (128, "308180"),
        (255, "3081ff"),
        (256, "30820100"),
        (65_536, "3083010000"),
        (9_437_184, "3083900000"),
    ],
)
def test_header(length: int, header: str) -> None:
    assert der.header(ber.SEQUENCE, length).hex() == header


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param(der.sequence(der.NULL, der.TRUE), "3005 0500 0101ff", id="sequence"),
        pytest.param(der.sequence(), "3000", id="empty sequence"),
        pytest.param(der.set_of([b"\x02\x01\x02", b"\x02\x01\x01"]), "3106 020101 020102", id="sorted set"),
        pytest.param(der.context(1, b"a"), "8101 61", id="primitive context tag"),
        pytest.param(der.context(1, der.NULL, constructed=True), "a102 0500", id="constructed context tag"),
        pytest.param(der.structure(b"a", None, b"b"), "3006 800161 820162", id="structure with a gap"),
        pytest.param(der.octet_string(b"ab"), "0402 6162", id="octet string"),
        pytest.param(der.bit_string(b"ab"), "0303 00 6162", id="bit string"),
        pytest.param(der.bmp_string("0a"), "1e04 0030 0061", id="BMP string"),
        pytest.param(der.object_identifier(oids.SHA256), "0609 608648016503040201", id="object identifier"),
        pytest.param(der.integer(5, ber.context(3)), "8301 05", id="implicitly tagged integer"),
    ],
)
def test_encodes(octets: bytes, expected: str) -> None:
    assert octets == bytes.fromhex(expected)


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "0080"), (256, "0100"), (15_552_000, "00ed4e00"), (-1, "ff")],
)
def test_integer_is_minimal(value: int, octets: str) -> None:
    assert der.integer(value) == bytes.fromhex(f"02{len(octets) // 2:02x}{octets}")


def test_visible_string_has_one_octet_per_character() -> None:
    assert der.visible_string_content("a/\n\xe9") == b"a/\n\xe9"


def test_refuses_character_over_255() -> None:
    with pytest.raises(InvalidArgumentError, match="VisibleString"):
        der.visible_string_content("€")


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (datetime(2024, 1, 1, tzinfo=UTC), b"\x17\x0d240101000000Z"),
        (datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), b"\x17\x0d491231235959Z"),
        (datetime(2050, 1, 1, tzinfo=UTC), b"\x18\x0f20500101000000Z"),
    ],
)
def test_x509_time(value: datetime, octets: bytes) -> None:
    assert der.x509_time(value) == octets


@pytest.mark.parametrize(
    ("value", "digits"),
    [
        (datetime(2026, 11, 20, 1, 2, 3, 999_999, tzinfo=UTC), "20261120010203"),
        (datetime(2026, 11, 20, 1, 2, 3, tzinfo=timezone(timedelta(hours=3))), "20261119220203"),
        (datetime(987, 1, 1, tzinfo=UTC), "09870101000000"),
    ],
    ids=["fraction dropped", "in UTC", "year of three digits"],
)
def test_time_digits(value: datetime, digits: str) -> None:
    assert der.time_digits(value) == digits


def test_refuses_time_without_zone() -> None:
    with pytest.raises(InvalidArgumentError, match="time zone"):
        der.time_digits(datetime(2026, 11, 20))  # noqa: DTZ001 - what must be refused


def test_enclosed_octets() -> None:
    layers = (
        der.Layer(tag=ber.OCTET_STRING),
        der.Layer(tag=ber.SEQUENCE, before=der.NULL, after=der.TRUE),
        der.Layer(tag=ber.context(0, constructed=True)),
    )

    inner = der.sequence(der.NULL, der.octet_string(b"x" * 300), der.TRUE)
    assert der.enclose(b"x" * 300, *layers) == der.context(0, inner, constructed=True)


def test_octets_enclosed_by_nothing() -> None:
    assert der.enclose(b"octets") == b"octets"
