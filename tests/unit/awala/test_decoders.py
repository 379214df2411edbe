"""Whatever the octets, a decoder returns a value or raises an InvalidMessageError."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from awala.errors import InvalidMessageError
from tests.decoders import DECODERS, Decoder
from tests.published_vectors import VECTORS
from tests.unit.awala.asn1.encoders import Choose, Tree, chooser, encode_ber, trees

each_decoder = pytest.mark.parametrize("decode", DECODERS.values(), ids=DECODERS.keys())
HEADERS = st.sampled_from(
    [b"", *(b"Awala" + bytes((message_type, 0)) for message_type in (0x10, 0x43, 0x44, 0x50, 0x51))]
)
SEEDS = [vector.octets for vector in VECTORS]


def decode_or_refuse(decode: Decoder, octets: bytes) -> None:
    with contextlib.suppress(InvalidMessageError):
        decode(octets)


@each_decoder
@given(header=HEADERS, octets=st.binary(max_size=100))
@settings(max_examples=50)
def test_any_octets(decode: Decoder, header: bytes, octets: bytes) -> None:
    decode_or_refuse(decode, header + octets)


@each_decoder
@given(header=HEADERS, tree=trees(), choose=chooser())
@settings(max_examples=50)
def test_any_structure(decode: Decoder, header: bytes, tree: Tree, choose: Choose) -> None:
    decode_or_refuse(decode, header + encode_ber(tree, choose))


def change(octets: bytes, position: int, removed: int, inserted: bytes) -> bytes:
    position %= len(octets) + 1
    return octets[:position] + inserted + octets[position + removed :]


CHANGES: st.SearchStrategy[Callable[[bytes], bytes]] = st.builds(
    lambda position, removed, inserted: lambda octets: change(octets, position, removed, inserted),
    st.integers(0, 20_000),
    st.integers(0, 4),
    st.binary(max_size=4),
)


@each_decoder
@given(octets=st.sampled_from(SEEDS), changes=st.lists(CHANGES, max_size=3))
@settings(max_examples=50)
def test_changed_messages(decode: Decoder, octets: bytes, changes: list[Callable[[bytes], bytes]]) -> None:
    for apply in changes:
        octets = apply(octets)
    decode_or_refuse(decode, octets)


@each_decoder
def test_every_message_of_any_type(decode: Decoder) -> None:
    """A message that is valid for another decoder is refused like any other octets."""
    for octets in SEEDS:
        decode_or_refuse(decode, octets)
