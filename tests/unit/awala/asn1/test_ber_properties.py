from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from awala.asn1 import ber, der, oids
from awala.errors import MalformedMessageError
from tests.unit.awala.asn1.encoders import (
    Choose,
    Tree,
    chooser,
    encode_ber,
    encode_der,
    encode_string,
    tree_of,
    trees,
    with_length,
)


def is_same(element: ber.Element, tree: Tree) -> bool:
    """Say whether an element, in any encoding, holds what the tree holds."""
    if isinstance(tree.value, tuple):
        children = element.children(most=10_000)
        return (
            element.tag == tree.tag
            and len(children) == len(tree.value)
            and all(
                isinstance(member, Tree) and is_same(child, member)
                for child, member in zip(children, tree.value, strict=True)
            )
        )
    if tree.tag == ber.OCTET_STRING:
        return element.octets() == tree.value
    return (element.tag, element.content) == (tree.tag, tree.value)


@given(trees())
def test_der_reads_back(tree: Tree) -> None:
    element = ber.read(encode_der(tree))
    assert tree_of(element) == tree
    assert element.raw == encode_der(tree)


@given(trees(), chooser())
def test_any_ber_reads_back(tree: Tree, choose: Choose) -> None:
    assert is_same(ber.read(encode_ber(tree, choose)), tree)


@given(trees(), chooser())
def test_ber_in_an_indefinite_length_is_the_same(tree: Tree, choose: Choose) -> None:
    """An indefinite length ends where its content ends, whatever lengths are in there."""
    element = ber.read(b"\x30\x80" + encode_ber(tree, choose) + b"\x00\x00")
    assert is_same(element.only_child(), tree)


@given(st.binary(max_size=2_000), chooser())
def test_segmented_string_reads_back(octets: bytes, choose: Choose) -> None:
    assert ber.read(encode_string(ber.OCTET_STRING, octets, choose)).octets() == octets


@given(st.binary(max_size=100), chooser())
def test_implicitly_tagged_segmented_string_reads_back(octets: bytes, choose: Choose) -> None:
    element = ber.read(encode_string(ber.context(4), octets, choose))
    assert element.octets(ber.context(4)) == octets
    assert element.text(ber.context(4)) == octets.decode("latin-1")


@given(trees(), chooser(), st.data())
def test_truncated_octets_are_refused(tree: Tree, choose: Choose, data: st.DataObject) -> None:
    octets = encode_ber(tree, choose)
    size = data.draw(st.integers(0, len(octets) - 1))
    try:
        ber.read(octets[:size])
    except MalformedMessageError:
        return
    raise AssertionError("No value is the beginning of another")


@given(trees(), chooser(), st.binary(min_size=1, max_size=5))
def test_octets_after_a_value_are_refused(tree: Tree, choose: Choose, rest: bytes) -> None:
    try:
        ber.read(encode_ber(tree, choose) + rest)
    except MalformedMessageError:
        return
    raise AssertionError("A value ends where it ends")


@given(st.integers(-(2**503), 2**503 - 1))
def test_integer_round_trip(value: int) -> None:
    assert ber.read(der.integer(value)).integer() == value


@given(st.integers(-(2**63), 2**63), st.integers(0, 40))
def test_integer_with_needless_octets_reads_back(value: int, needless: int) -> None:
    padding = (b"\xff" if value < 0 else b"\x00") * needless
    assert ber.read(der.element(ber.INTEGER, padding + der.integer_content(value))).integer() == value


@given(st.datetimes(datetime(1950, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001 - as it asks
def test_x509_time_round_trip(value: datetime) -> None:
    assert ber.read(der.x509_time(value)).time() == value.replace(microsecond=0)


@given(st.datetimes(timezones=st.just(UTC)))
def test_date_time_round_trip(value: datetime) -> None:
    assert ber.parse_time(der.time_digits(value)) == value.replace(microsecond=0)


@given(st.text(st.characters(max_codepoint=255)))
def test_visible_string_round_trip(text: str) -> None:
    element = ber.read(der.element(ber.VISIBLE_STRING, der.visible_string_content(text)))
    assert element.text() == text


arcs = st.integers(0, 2**70)


@given(st.integers(0, 2), st.integers(0, 39), st.lists(arcs, max_size=8))
def test_object_identifier_round_trip(first: int, second: int, rest: list[int]) -> None:
    content = oids.encode(".".join(map(str, (first, second, *rest))))
    assert decode_arcs(content) == [first * 40 + second, *rest]


def decode_arcs(content: bytes) -> list[int]:
    decoded = [0]
    for octet in content:
        decoded[-1] = decoded[-1] << 7 | octet & 0x7F
        if not octet & 0x80:
            decoded.append(0)
    return decoded[:-1]


@given(st.integers(0, 300), chooser())
def test_lengths_may_be_longer_than_needed(size: int, choose: Choose) -> None:
    octets = with_length(ber.OCTET_STRING, bytes(size), choose, may_be_indefinite=False)
    assert ber.read(octets).content == bytes(size)


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        unread = [ber.read(octets)]
        while unread:
            element = unread.pop()
            if element.tag & ber.CONSTRUCTED:
                unread.extend(element.children())
    except MalformedMessageError:
        pass
