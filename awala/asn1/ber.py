"""BER reader (X.690): definite and indefinite lengths, constructed strings, whatever the nesting.

The deployed clients emit three dialects: DER, definite-length constructed strings (JavaScript) and
indefinite lengths throughout (JVM). No Python library reads all three, so this one is ours. On any input
it returns a value or raises :class:`MalformedMessageError`, in time linear in the input and without recursion.

How time stays linear: the end of an indefinite-length element is found by walking it once, and that walk
notes the end of every indefinite-length element directly nested in it, so that none is walked again.
"""

from datetime import datetime

from awala.errors import MalformedMessageError
from awala.limits import MAX_ASN1_CHILDREN, MAX_ASN1_INTEGER_SIZE, MAX_ASN1_STRING_SEGMENTS

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
SEQUENCE = 0x30
SET = 0x31
PRINTABLE_STRING = 0x13
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
VISIBLE_STRING = 0x1A
BMP_STRING = 0x1E

CONSTRUCTED = 0x20
_CONTEXT = 0x80
_TAG_NUMBER_MASK = 0x1F
_INDEFINITE = 0x80
_MAX_LENGTH_OCTETS = 4
_CENTURY_PIVOT = 50  # RFC 5280, 4.1.2.5.1: two-digit years below 50 are in the 21st century


def context(number: int, *, constructed: bool = False) -> int:
    """Return the identifier octet of context-specific tag ``number`` (0 to 30)."""
    return _CONTEXT | (CONSTRUCTED if constructed else 0) | number


class Element:
    """One element of a BER encoding: a view on the octets, nothing is copied until asked for.

    ``tag`` is the identifier octet (class, constructed bit and tag number together).
    """

    __slots__ = ("_content_end", "_content_start", "_data", "_end", "_ends", "_start", "tag")

    def __init__(  # noqa: PLR0917 - made by the thousand, and only in this module
        self,
        data: bytes,
        ends: dict[int, int],
        start: int,
        tag: int,
        content_start: int,
        content_end: int,
        end: int,
    ) -> None:
        self._data = data
        self._ends = ends
        self._start = start
        self.tag = tag
        self._content_start = content_start
        self._content_end = content_end
        self._end = end

    @property
    def raw(self) -> bytes:
        """The whole element as received, header included."""
        return self._data[self._start : self._end]

    @property
    def content(self) -> bytes:
        """The content octets as received."""
        return self._data[self._content_start : self._content_end]

    def children(self, most: int = MAX_ASN1_CHILDREN) -> list["Element"]:
        """Return the elements in this constructed element, ``most`` at the most.

        :raises MalformedMessageError: if it is primitive, holds anything but elements, or too many of them
        """
        if not self.tag & CONSTRUCTED:
            raise MalformedMessageError("Primitive ASN.1 element where a constructed one is expected")
        found: list[Element] = []
        data, ends, position, limit = self._data, self._ends, self._content_start, self._content_end
        while position < limit:
            if len(found) == most:
                raise MalformedMessageError("Too many elements in an ASN.1 collection")
            tag, start = data[position], position + 2
            # Most elements have fewer than 128 octets; these are read here, all others and what is wrong elsewhere.
            if (
                start <= limit
                and (length := data[position + 1]) < _INDEFINITE
                and start + length <= limit
                and tag & _TAG_NUMBER_MASK != _TAG_NUMBER_MASK
            ):
                content_end = end = start + length
            else:
                tag, start, content_end, end = _read_header(data, position, limit, ends)
            found.append(Element(data, ends, position, tag, start, content_end, end))
            position = end
        return found

    def members(self, least: int, most: int | None = None) -> list["Element"]:
        """Return the members of this SEQUENCE: exactly ``least`` of them, or from ``least`` to ``most``.

        :raises MalformedMessageError: if it is no SEQUENCE, or has another number of members
        """
        members = self.expect(SEQUENCE).children(most=least if most is None else most)
        if len(members) < least:
            raise MalformedMessageError("ASN.1 SEQUENCE lacks a member")
        return members

    def expect(self, tag: int) -> "Element":
        """Return this element if it has the identifier octet ``tag``.

        :raises MalformedMessageError: if it has another
        """
        if self.tag != tag:
            raise MalformedMessageError(f"Expected ASN.1 identifier 0x{tag:02x}, got 0x{self.tag:02x}")
        return self

    def only_child(self) -> "Element":
        """Return the one element in this constructed element (EXPLICIT tagging).

        :raises MalformedMessageError: if there is none, or more than one
        """
        for child in self.children(most=1):
            return child
        raise MalformedMessageError("Empty ASN.1 element where one child is expected")

    def octets(self, tag: int = OCTET_STRING) -> bytes:
        """Return the value of an OCTET STRING, primitive or constructed, its segments joined.

        ``tag`` is the primitive form's identifier octet, to be given for implicitly tagged strings.

        :raises MalformedMessageError: if it is something else
        """
        if self.tag == tag:
            return self.content
        self.expect(tag | CONSTRUCTED)
        return self._joined_segments()

    def _joined_segments(self) -> bytes:
        data = memoryview(self._data)
        segments: list[memoryview] = []
        position = self._content_start
        # Nested constructed segments are walked with a stack of the positions that follow them.
        open_ends: list[tuple[int, int]] = []
        limit = self._content_end
        steps = 0
        while True:
            while position >= limit:
                if not open_ends:
                    return b"".join(segments)
                position, limit = open_ends.pop()
            steps += 1
            if steps > MAX_ASN1_STRING_SEGMENTS:
                raise MalformedMessageError("Too many segments in an ASN.1 string")
            tag, start, content_end, end = _read_header(self._data, position, limit, self._ends)
            if tag == OCTET_STRING:
                segments.append(data[start:content_end])
                position = end
            elif tag == OCTET_STRING | CONSTRUCTED:
                open_ends.append((end, limit))
                position, limit = start, content_end
            else:
                raise MalformedMessageError("Constructed ASN.1 string holds something else than strings")

    def text(self, tag: int = VISIBLE_STRING) -> str:
        """Return a character string, one character per octet: the clients put arbitrary octets in them."""
        if self.tag == tag:
            return self.content.decode("latin-1")
        self.expect(tag | CONSTRUCTED)
        return self._joined_segments().decode("latin-1")

    def integer(self, tag: int = INTEGER) -> int:
        """Return an INTEGER; leading zeros are tolerated, since the JavaScript library emits them.

        :raises MalformedMessageError: if it is no INTEGER, is empty or absurdly long
        """
        content = self.expect(tag).content
        if not 1 <= len(content) <= MAX_ASN1_INTEGER_SIZE:
            raise MalformedMessageError("ASN.1 INTEGER is empty or too long")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self) -> bool:
        """Return a BOOLEAN; any octet but zero is true (X.690, 8.2.2).

        :raises MalformedMessageError: if it is no BOOLEAN
        """
        content = self.expect(BOOLEAN).content
        if len(content) != 1:
            raise MalformedMessageError("ASN.1 BOOLEAN is not one octet")
        return content != b"\x00"

    def time(self) -> datetime:
        """Return a UTCTime or GeneralizedTime of RFC 5280's profile (whole seconds, ``Z``), in UTC.

        :raises MalformedMessageError: if it is anything else
        """
        text = self.content.decode("latin-1")
        if self.tag == UTC_TIME and len(text) == 13 and text.endswith("Z"):
            century = "20" if text[:2] < str(_CENTURY_PIVOT) else "19"
            return parse_time(century + text[:-1])
        if self.tag == GENERALIZED_TIME and text.endswith("Z"):
            return parse_time(text[:-1])
        raise MalformedMessageError("Malformed ASN.1 time")


def read(data: bytes) -> Element:
    """Read ``data`` as exactly one element.

    :raises MalformedMessageError: if it is truncated, or octets follow the element
    """
    ends: dict[int, int] = {}
    tag, content_start, content_end, end = _read_header(data, 0, len(data), ends)
    if end != len(data):
        raise MalformedMessageError("Octets follow the ASN.1 value")
    return Element(data, ends, 0, tag, content_start, content_end, end)


def parse_time(digits: str) -> datetime:
    """Return the UTC time written as 14 digits, ``YYYYMMDDHHMMSS`` (RS-001's DATE-TIME).

    :raises MalformedMessageError: if it is not exactly that
    """
    # From 3.14 on, Python reads hour 24 as the next midnight.
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()) or digits[8:10] == "24":
        raise MalformedMessageError("Malformed date and time")
    try:
        return datetime.fromisoformat(f"{digits[:8]}T{digits[8:]}+00:00")
    except ValueError as error:
        raise MalformedMessageError("Date and time out of range") from error


def _read_header(data: bytes, start: int, limit: int, ends: dict[int, int]) -> tuple[int, int, int, int]:
    """Return the tag of the element at ``start``, where its content starts and ends, and where it ends."""
    if start + 2 > limit:
        raise MalformedMessageError("Truncated ASN.1 element")
    tag = data[start]
    if tag & _TAG_NUMBER_MASK == _TAG_NUMBER_MASK:
        raise MalformedMessageError("ASN.1 tags over 30 are not used in this protocol suite")
    length = data[start + 1]
    content_start = start + 2
    if length == _INDEFINITE:
        content_end = _find_indefinite_end(data, start, limit, ends)
        return tag, content_start, content_end, content_end + 2
    if length > _INDEFINITE:
        content_start += length & 0x7F
        length = _read_long_length(data, start + 2, content_start, limit)
    end = content_start + length
    if end > limit:
        raise MalformedMessageError("Truncated ASN.1 element")
    return tag, content_start, end, end


def _read_long_length(data: bytes, start: int, end: int, limit: int) -> int:
    if end - start > _MAX_LENGTH_OCTETS:
        raise MalformedMessageError("ASN.1 length is too long")
    if end > limit:
        raise MalformedMessageError("Truncated ASN.1 element")
    return int.from_bytes(data[start:end], "big")


def _find_indefinite_end(data: bytes, start: int, limit: int, ends: dict[int, int]) -> int:
    """Return where the content of the indefinite-length element at ``start`` ends."""
    if not data[start] & CONSTRUCTED:
        raise MalformedMessageError("Primitive ASN.1 element of indefinite length")
    if start not in ends:
        _note_indefinite_ends(data, start, limit, ends)
    return ends[start]


def _note_indefinite_ends(data: bytes, start: int, limit: int, ends: dict[int, int]) -> None:
    """Walk the indefinite-length element at ``start``; note where it and those directly nested end."""
    open_starts = [start]
    position = start + 2
    while open_starts:
        if position + 2 > limit:
            raise MalformedMessageError("ASN.1 element of indefinite length does not end")
        if data[position] == 0:
            if data[position + 1] != 0:
                raise MalformedMessageError("Malformed ASN.1 end-of-contents octets")
            ends[open_starts.pop()] = position
            position += 2
        elif data[position + 1] == _INDEFINITE:
            if not data[position] & CONSTRUCTED:
                raise MalformedMessageError("Primitive ASN.1 element of indefinite length")
            open_starts.append(position)
            position += 2
        else:
            position = _read_header(data, position, limit, ends)[3]
