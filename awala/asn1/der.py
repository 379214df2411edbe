"""DER writer (X.690): each function returns one encoded element."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from awala.asn1 import ber
from awala.errors import InvalidArgumentError

NULL = b"\x05\x00"
TRUE = b"\x01\x01\xff"


def element(tag: int, content: bytes) -> bytes:
    """Return an element with the identifier octet ``tag``."""
    return header(tag, len(content)) + content


def header(tag: int, length: int) -> bytes:
    """Return the header of an element whose content has ``length`` octets."""
    if length < 0x80:
        return bytes((tag, length))
    length_octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length_octets))) + length_octets


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of elements already encoded."""
    # All at once: in cargo, each copy of a part is one of megabytes.
    return b"".join((header(ber.SEQUENCE, sum(map(len, parts))), *parts))


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """An element around another one, and what stands before and after that in it, already encoded."""

    tag: int
    before: bytes = b""
    after: bytes = b""


def enclose(content: bytes, *layers: Layer) -> bytes:
    """Return octets within elements, the innermost first; they are copied once, however many elements there are."""
    heads: list[bytes] = []
    tails: list[bytes] = []
    size = len(content)
    for layer in layers:
        size += len(layer.before) + len(layer.after)
        head = header(layer.tag, size)
        size += len(head)
        heads += (layer.before, head)
        tails.append(layer.after)
    return b"".join((*reversed(heads), content, *tails))


def set_of(parts: Iterable[bytes]) -> bytes:
    """Return a SET OF elements already encoded, sorted as DER asks."""
    return element(ber.SET, b"".join(sorted(parts)))


def context(number: int, content: bytes, *, constructed: bool = False) -> bytes:
    """Return an element with context-specific tag ``number``; ``constructed`` for structures and EXPLICIT."""
    return element(ber.context(number, constructed=constructed), content)


def structure(*members: bytes | None) -> bytes:
    """Return a SEQUENCE whose members carry automatic IMPLICIT tags 0, 1, 2… (``None`` skips a number)."""
    return sequence(*(context(n, content) for n, content in enumerate(members) if content is not None))


def integer(value: int, tag: int = ber.INTEGER) -> bytes:
    """Return an INTEGER."""
    return element(tag, integer_content(value))


def integer_content(value: int) -> bytes:
    """Return the minimal two's complement of ``value``."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def octet_string(value: bytes) -> bytes:
    """Return a primitive OCTET STRING."""
    return element(ber.OCTET_STRING, value)


def bit_string(value: bytes) -> bytes:
    """Return a BIT STRING of whole octets."""
    return element(ber.BIT_STRING, b"\x00" + value)


def bmp_string(value: str) -> bytes:
    """Return a BMPString (UTF-16, big endian)."""
    return element(ber.BMP_STRING, value.encode("utf-16-be"))


def visible_string_content(value: str) -> bytes:
    """Return the octets of a VisibleString, one per character.

    :raises InvalidArgumentError: if a character does not fit in an octet
    """
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError as error:
        raise InvalidArgumentError("Text does not fit in a VisibleString") from error


def object_identifier(content: bytes) -> bytes:
    """Return an OBJECT IDENTIFIER from its content octets (see :mod:`awala.asn1.oids`)."""
    return element(ber.OBJECT_IDENTIFIER, content)


def x509_time(value: datetime) -> bytes:
    """Return a time as RFC 5280 (4.1.2.5) asks: UTCTime to 2049, GeneralizedTime from 2050."""
    if value.year < 2050:
        return element(ber.UTC_TIME, time_digits(value)[2:].encode() + b"Z")
    return element(ber.GENERALIZED_TIME, time_digits(value).encode() + b"Z")


def time_digits(value: datetime) -> str:
    """Return a time as the 14 digits of RS-001's DATE-TIME, in UTC; fractions of a second are dropped."""
    if value.tzinfo is None:
        raise InvalidArgumentError("Times must say their time zone")
    return value.astimezone(UTC).strftime("%Y%m%d%H%M%S").rjust(14, "0")
