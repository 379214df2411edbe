"""Writes the same value in any of the ways that BER allows: what the reader must read as one value."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from awala.asn1 import ber, der

# Drawn once per decision; any sequence of integers makes some encoding.
Choose = Callable[[int], int]


@dataclass(frozen=True)
class Tree:
    """An element: octets if primitive, members if constructed. Members that are octets are encoded already."""

    tag: int
    value: "bytes | tuple[Tree | bytes, ...]"


def tree_of(element: ber.Element) -> Tree:
    """Return everything that an element holds, whatever its encoding; strings must be primitive."""
    if element.tag & ber.CONSTRUCTED:
        return Tree(element.tag, tuple(tree_of(child) for child in element.children(most=10_000)))
    return Tree(element.tag, element.content)


def encode_der(tree: Tree) -> bytes:
    if isinstance(tree.value, bytes):
        return der.element(tree.tag, tree.value)
    members = (member if isinstance(member, bytes) else encode_der(member) for member in tree.value)
    return der.element(tree.tag, b"".join(members))


def encode_ber(tree: Tree, choose: Choose) -> bytes:
    """Return the value in an encoding that ``choose`` (an integer below its argument) decides on."""
    if isinstance(tree.value, bytes):
        if tree.tag == ber.OCTET_STRING and choose(2):
            return encode_string(tree.tag, tree.value, choose)
        return with_length(tree.tag, tree.value, choose, may_be_indefinite=False)
    members = (member if isinstance(member, bytes) else encode_ber(member, choose) for member in tree.value)
    return with_length(tree.tag, b"".join(members), choose)


def encode_string(tag: int, octets: bytes, choose: Choose, depth: int = 0) -> bytes:
    """Return an OCTET STRING, or one tagged ``tag``, in segments: some empty, some in segments themselves."""
    segments = []
    rest = octets
    while rest or choose(3) == 2:
        size = choose(len(rest) + 1) if depth or choose(4) else len(rest)
        segment, rest = rest[:size], rest[size:]
        if depth < 3 and choose(3) == 0:
            segments.append(encode_string(ber.OCTET_STRING, segment, choose, depth + 1))
        else:
            segments.append(with_length(ber.OCTET_STRING, segment, choose, may_be_indefinite=False))
        if len(segments) > 8 and rest:
            segments.append(der.octet_string(rest))
            break
    return with_length(tag | ber.CONSTRUCTED, b"".join(segments), choose)


def with_length(tag: int, content: bytes, choose: Choose, *, may_be_indefinite: bool = True) -> bytes:
    """Return an element with a minimal, a longer or an indefinite length."""
    form = choose(6 if may_be_indefinite else 3)
    if form >= 3:
        return bytes((tag, 0x80)) + content + b"\x00\x00"
    if form == 0:
        return der.element(tag, content)
    least = (len(content).bit_length() + 7) // 8 or 1
    octets = least + choose(5 - least)
    return bytes((tag, 0x80 | octets)) + len(content).to_bytes(octets, "big") + content


# ---------------------------------------------------------------- Hypothesis

_primitive_tags = st.sampled_from([1, 2, 4, 5, 6, 0x0C, 0x1A, 0x80, 0x81, 0x9E])
_constructed_tags = st.sampled_from([0x30, 0x31, 0xA0, 0xA1, 0xBE])
_leaves = st.builds(Tree, _primitive_tags, st.binary(max_size=40) | st.binary(min_size=120, max_size=300))


def _branches(members: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.builds(Tree, _constructed_tags, st.lists(members, max_size=5).map(tuple))


def trees() -> st.SearchStrategy[Tree]:
    return st.recursive(_leaves, _branches, max_leaves=20)


def chooser() -> st.SearchStrategy[Choose]:
    """Return functions that decide at random, each from a seed."""
    return st.integers(0, 2**32 - 1).map(lambda seed: Random(seed).randrange)
