"""How much work hostile octets can make the reader do: counted, so that no test depends on a clock."""

from collections.abc import Callable
from typing import Self, SupportsIndex, overload

import pytest

from awala.asn1 import ber, der
from awala.errors import MalformedMessageError
from awala.limits import MAX_ASN1_STRING_SEGMENTS

DEPTH = 100_000
# Every octet of a header is looked at a few times: when its parent is walked, and when it is read itself.
MOST_LOOKS_PER_OCTET = 6


class CountedOctets(bytes):
    """Octets that count how often one of them is looked at: whatever the reader does, it does per look."""

    looks: int

    def __new__(cls, octets: bytes) -> Self:
        self = super().__new__(cls, octets)
        self.looks = 0
        return self

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> bytes: ...
    def __getitem__(self, index: SupportsIndex | slice) -> int | bytes:
        self.looks += 1
        return super().__getitem__(index)


def read_everything(octets: bytes) -> int:
    """Read every element, down to the last; return how many there are."""
    count = 0
    unread = [ber.read(octets)]
    while unread:
        element = unread.pop()
        count += 1
        if element.tag & ber.CONSTRUCTED:
            unread.extend(element.children(most=len(octets)))
    return count


def nested(depth: int, *, is_indefinite: Callable[[int], bool]) -> bytes:
    """Return that many SEQUENCEs in each other, without ever copying what is inside."""
    openings: list[bytes] = []
    closings: list[bytes] = []
    length = 0
    for level in range(depth):
        opening = b"\x30\x80" if is_indefinite(level) else der.header(ber.SEQUENCE, length)
        closing = b"\x00\x00" if is_indefinite(level) else b""
        length += len(opening) + len(closing)
        openings.append(opening)
        closings.append(closing)
    return b"".join(reversed(openings)) + b"".join(closings)


def nested_definite(depth: int) -> bytes:
    return nested(depth, is_indefinite=lambda _: False)


def nested_indefinite(depth: int) -> bytes:
    return nested(depth, is_indefinite=lambda _: True)


def nested_alternating(depth: int) -> bytes:
    return nested(depth, is_indefinite=lambda level: level % 2 == 1)


def siblings(count: int) -> bytes:
    return der.sequence(*[b"\x30\x80\x05\x00\x00\x00"] * count)


def siblings_in_indefinite(count: int) -> bytes:
    return b"\x30\x80" + b"\x30\x80\x05\x00\x00\x00" * count + b"\x00\x00"


SHAPES = [nested_definite, nested_indefinite, nested_alternating, siblings, siblings_in_indefinite]


@pytest.mark.parametrize("shape", SHAPES)
def test_work_is_linear(shape: Callable[[int], bytes]) -> None:
    looks = []
    for size in (1_000, 2_000, 4_000):
        octets = CountedOctets(shape(size))
        read_everything(octets)
        assert octets.looks <= MOST_LOOKS_PER_OCTET * len(octets)
        looks.append(octets.looks)
    assert looks[2] - looks[1] <= 2.2 * (looks[1] - looks[0])


@pytest.mark.parametrize("shape", [nested_definite, nested_indefinite, nested_alternating])
def test_depth_does_not_recurse(shape: Callable[[int], bytes]) -> None:
    assert read_everything(shape(DEPTH)) == DEPTH


@pytest.mark.parametrize("octets", [b"\x30\x80", b"\x30\x80\x05\x00", b"\x24\x80"])
def test_work_on_unfinished_octets_is_linear(octets: bytes) -> None:
    unfinished = CountedOctets(octets * DEPTH)
    with pytest.raises(MalformedMessageError, match="does not end"):
        ber.read(unfinished)
    assert unfinished.looks <= MOST_LOOKS_PER_OCTET * len(unfinished)


def test_most_segments() -> None:
    string = der.element(ber.OCTET_STRING | ber.CONSTRUCTED, b"\x04\x01a" * MAX_ASN1_STRING_SEGMENTS)
    assert ber.read(string).octets() == b"a" * MAX_ASN1_STRING_SEGMENTS


def test_too_many_segments() -> None:
    string = der.element(ber.OCTET_STRING | ber.CONSTRUCTED, b"\x04\x00" * (MAX_ASN1_STRING_SEGMENTS + 1))
    with pytest.raises(MalformedMessageError, match="Too many segments"):
        ber.read(string).octets()


def test_segments_nested_too_deep() -> None:
    with pytest.raises(MalformedMessageError, match="Too many segments"):
        ber.read(b"\x24\x80" * DEPTH + b"\x00\x00" * DEPTH).octets()


def test_segments_nested_deep() -> None:
    depth = MAX_ASN1_STRING_SEGMENTS
    assert ber.read(b"\x24\x80" * depth + b"\x04\x01a" + b"\x00\x00" * depth).octets() == b"a"


def test_joining_is_linear() -> None:
    looks = []
    for count in (1_000, 2_000, 4_000):
        string = CountedOctets(b"\x24\x80" + b"\x24\x80\x04\x01a\x00\x00" * count + b"\x00\x00")
        ber.read(string).octets()
        looks.append(string.looks)
    assert looks[2] - looks[1] <= 2.2 * (looks[1] - looks[0])
