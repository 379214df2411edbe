from datetime import UTC, datetime

import pytest

from awala.asn1 import ber
from awala.errors import MalformedMessageError
from awala.limits import MAX_ASN1_CHILDREN


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


# ---------------------------------------------------------------- Elements


@pytest.mark.parametrize(
    ("octets", "tag", "content"),
    [
        ("0500", ber.NULL, ""),
        ("0402abcd", ber.OCTET_STRING, "abcd"),
        ("048102abcd", ber.OCTET_STRING, "abcd"),
        ("04820002abcd", ber.OCTET_STRING, "abcd"),
        ("0484 00000002 abcd", ber.OCTET_STRING, "abcd"),
        ("3002 0500", ber.SEQUENCE, "0500"),
        ("3080 0500 0000", ber.SEQUENCE, "0500"),
        ("3080 0000", ber.SEQUENCE, ""),
        ("3080 3080 0000 3004 3080 0000 0000", ber.SEQUENCE, "30800000 300430800000"),
        ("9e01 07", ber.context(30), "07"),
    ],
    ids=lambda value: str(value).replace(" ", "")[:24],
)
def test_reads_element(octets: str, tag: int, content: str) -> None:
    element = ber.read(unhex(octets))
    assert (element.tag, element.content, element.raw) == (tag, unhex(content), unhex(octets))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("", id="nothing"),
        pytest.param("30", id="tag alone"),
        pytest.param("0402ab", id="content cut short"),
        pytest.param("0482", id="length cut off"),
        pytest.param("048202", id="length cut short"),
        pytest.param("0485 0000000001 ab", id="length of five octets"),
        pytest.param("04ff", id="reserved length"),
        pytest.param("0500 00", id="octets after it"),
        pytest.param("3080 0000 00", id="octets after an indefinite length"),
        pytest.param("1f0100", id="tag over 30"),
        pytest.param("0480 0000", id="primitive of indefinite length"),
        pytest.param("3080 0480 0000 0000", id="primitive of indefinite length inside"),
        pytest.param("3080", id="indefinite length without an end"),
        pytest.param("3080 00", id="half an end of contents"),
        pytest.param("3080 0001 0000", id="end of contents with a length"),
        pytest.param("3080 0500", id="indefinite length ends after an element"),
        pytest.param("3080 3080 0000", id="outer indefinite length without an end"),
        pytest.param("3080 04ff 0000", id="reserved length inside"),
        pytest.param("3080 0405 0000", id="element longer than its indefinite parent"),
    ],
)
def test_refuses_octets(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets))


# ---------------------------------------------------------------- Collections


@pytest.mark.parametrize(
    "octets", ["3006 0401aa 0401bb", "3080 0401aa 0401bb 0000"], ids=["definite length", "indefinite length"]
)
def test_children(octets: str) -> None:
    assert [child.content for child in ber.read(unhex(octets)).children()] == [b"\xaa", b"\xbb"]


def test_no_children() -> None:
    assert ber.read(unhex("3000")).children() == []


def test_indefinite_children_of_definite_parent() -> None:
    first, second = ber.read(unhex("300d 3080 0500 0000 3080 0101ff 0000")).children()
    assert (first.content, second.content) == (unhex("0500"), unhex("0101ff"))


def test_children_of_unsorted_set() -> None:
    """Trap 1: SETs come in the order in which their writer had them."""
    assert [child.content for child in ber.read(unhex("3106 0401bb 0401aa")).children()] == [b"\xbb", b"\xaa"]


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("0402 0500", id="primitive"),
        pytest.param("3001 05", id="child cut short"),
        pytest.param("3003 0402aa", id="child longer than its parent"),
        pytest.param("3003 308000", id="indefinite child without an end"),
        pytest.param("3004 3080 0500", id="indefinite child ends after its parent"),
    ],
)
def test_refuses_children(octets: str) -> None:
    element = ber.read(unhex(octets))
    with pytest.raises(MalformedMessageError):
        element.children()


def test_most_children() -> None:
    assert len(ber.read(unhex("308201 00") + b"\x05\x00" * 128).children()) == MAX_ASN1_CHILDREN


def test_too_many_children() -> None:
    with pytest.raises(MalformedMessageError, match="Too many"):
        ber.read(unhex("30820102") + b"\x05\x00" * 129).children()


@pytest.mark.parametrize(("least", "most"), [(2, None), (1, 2), (2, 3)])
def test_members(least: int, most: int | None) -> None:
    assert len(ber.read(unhex("3004 0500 0500")).members(least, most)) == 2


@pytest.mark.parametrize(
    ("octets", "least", "most"),
    [
        pytest.param("3002 0500", 2, None, id="too few"),
        pytest.param("3004 0500 0500", 1, None, id="too many"),
        pytest.param("3006 0500 0500 0500", 1, 2, id="more than the most"),
        pytest.param("3104 0500 0500", 2, None, id="set"),
    ],
)
def test_refuses_members(octets: str, least: int, most: int | None) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets)).members(least, most)


def test_only_child() -> None:
    assert ber.read(unhex("a003 0401aa")).only_child().content == b"\xaa"


@pytest.mark.parametrize("octets", ["a000", "a004 0500 0500", "0402 0500"], ids=["none", "two", "primitive"])
def test_refuses_only_child(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets)).only_child()


def test_expects_tag() -> None:
    element = ber.read(unhex("0500"))
    assert element.expect(ber.NULL) is element


def test_refuses_another_tag() -> None:
    with pytest.raises(MalformedMessageError, match="0x30, got 0x05"):
        ber.read(unhex("0500")).expect(ber.SEQUENCE)


# ---------------------------------------------------------------- Strings


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("0404 61626364", id="primitive"),
        pytest.param("2408 0402 6162 0402 6364", id="constructed, definite length: trap 1, JavaScript"),
        pytest.param("2480 0402 6162 0402 6364 0000", id="constructed, indefinite length: trap 1, JVM"),
        pytest.param("2406 0404 61626364", id="one segment"),
        pytest.param("240c 0400 2404 0402 6162 0402 6364", id="nested and empty segments"),
        pytest.param("2480 2480 0402 6162 0000 2404 0402 6364 0000", id="nested, lengths of both kinds"),
    ],
)
def test_octet_string(octets: str) -> None:
    assert ber.read(unhex(octets)).octets() == b"abcd"


def test_empty_constructed_octet_string() -> None:
    assert ber.read(unhex("2400")).octets() == b""


@pytest.mark.parametrize("octets", ["8102 6162", "a104 0402 6162", "a180 0401 61 0401 62 0000"])
def test_implicitly_tagged_octet_string(octets: str) -> None:
    assert ber.read(unhex(octets)).octets(ber.context(1)) == b"ab"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("0500", id="another type"),
        pytest.param("a002 0400", id="another tag"),
        pytest.param("2402 0500", id="segment of another type"),
        pytest.param("2402 8000", id="segment with a context tag"),
        pytest.param("2403 0402aa", id="segment cut short"),
        pytest.param("2405 2403 0402aa", id="nested segment longer than its parent"),
    ],
)
def test_refuses_octet_string(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets)).octets()


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("1a03 616263", "abc"),
        ("3a07 0402 6162 0401 63", "abc"),
        ("1a00", ""),
        ("1a03 002fe9", "\x00/é"),
    ],
    ids=["primitive", "constructed", "empty", "any octets"],
)
def test_text(octets: str, text: str) -> None:
    assert ber.read(unhex(octets)).text() == text


def test_refuses_text_of_another_type() -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex("0401 61")).text()


# ---------------------------------------------------------------- Other values


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("020100", 0),
        ("02017f", 127),
        ("02020080", 128),
        ("0201ff", -1),
        ("0202ff7f", -129),
        ("0208 0045000000000000", 0x45 << 48),
    ],
    ids=["0", "127", "128", "-1", "-129", "leading zero: trap 2"],
)
def test_integer(octets: str, value: int) -> None:
    assert ber.read(unhex(octets)).integer() == value


def test_implicitly_tagged_integer() -> None:
    assert ber.read(unhex("830105")).integer(ber.context(3)) == 5


def test_longest_integer() -> None:
    assert ber.read(unhex("0240") + b"\x00" * 63 + b"\x01").integer() == 1


@pytest.mark.parametrize("octets", ["0200", "0241" + "00" * 65, "040101"], ids=["empty", "too long", "another type"])
def test_refuses_integer(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets)).integer()


@pytest.mark.parametrize(("octets", "value"), [("010100", False), ("0101ff", True), ("010101", True)])
def test_boolean(octets: str, value: bool) -> None:  # noqa: FBT001 - the value of the table
    assert ber.read(unhex(octets)).boolean() is value


@pytest.mark.parametrize("octets", ["0100", "0102ffff", "0201ff"], ids=["empty", "two octets", "another type"])
def test_refuses_boolean(octets: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(unhex(octets)).boolean()


def time_octets(tag: int, text: str) -> bytes:
    return bytes((tag, len(text))) + text.encode("latin-1")


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (ber.UTC_TIME, "490101000000Z", datetime(2049, 1, 1, tzinfo=UTC)),
        (ber.UTC_TIME, "500101000000Z", datetime(1950, 1, 1, tzinfo=UTC)),
        (ber.UTC_TIME, "000229235959Z", datetime(2000, 2, 29, 23, 59, 59, tzinfo=UTC)),
        (ber.GENERALIZED_TIME, "20500101000000Z", datetime(2050, 1, 1, tzinfo=UTC)),
        (ber.GENERALIZED_TIME, "20240101000000Z", datetime(2024, 1, 1, tzinfo=UTC)),
        (ber.GENERALIZED_TIME, "99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_time(tag: int, text: str, expected: datetime) -> None:
    assert ber.read(time_octets(tag, text)).time() == expected


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        pytest.param(ber.UTC_TIME, "490101000000", id="no zone"),
        pytest.param(ber.UTC_TIME, "4901010000Z", id="no seconds"),
        pytest.param(ber.UTC_TIME, "4901010000+0100", id="offset"),
        pytest.param(ber.UTC_TIME, "491301000000Z", id="month 13"),
        pytest.param(ber.UTC_TIME, "49010100000xZ", id="letter"),
        pytest.param(ber.GENERALIZED_TIME, "20500101000000", id="long, no zone"),
        pytest.param(ber.GENERALIZED_TIME, "205001010000Z", id="long, no seconds"),
        pytest.param(ber.GENERALIZED_TIME, "20500101000000.5Z", id="fraction"),
        pytest.param(ber.GENERALIZED_TIME, "2050010100000\xb2Z", id="superscript digit"),
        pytest.param(ber.VISIBLE_STRING, "490101000000Z", id="another type"),
    ],
)
def test_refuses_time(tag: int, text: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.read(time_octets(tag, text)).time()


def test_date_time_of_14_digits() -> None:
    assert ber.parse_time("20261120123456") == datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)


@pytest.mark.parametrize(
    "digits",
    [
        pytest.param("20261120123456Z", id="zone"),
        pytest.param("20261120T12345", id="separator"),
        pytest.param("2026112012345", id="13 digits"),
        pytest.param("202611201234567", id="15 digits"),
        pytest.param("2026112012345²", id="digit that is not ASCII"),
        pytest.param("20260230000000", id="30 February"),
        pytest.param("20261120240000", id="hour 24"),
        pytest.param("20261120236000", id="minute 60"),
        pytest.param("20261120235960", id="leap second"),
        pytest.param("00001120235959", id="year 0"),
    ],
)
def test_refuses_date_time(digits: str) -> None:
    with pytest.raises(MalformedMessageError):
        ber.parse_time(digits)


@pytest.mark.parametrize(("number", "constructed", "tag"), [(0, False, 0x80), (3, True, 0xA3), (30, False, 0x9E)])
def test_context_tag(number: int, constructed: bool, tag: int) -> None:  # noqa: FBT001 - the value of the table
    assert ber.context(number, constructed=constructed) == tag
