"""The BER reader: octets are read to the last element or refused, and the DER of what was read reads the same."""

from awala.asn1 import ber
from tests.decoders import read_ber
from tests.published_vectors import VECTORS
from tests.unit.awala.asn1.encoders import encode_der, tree_of


def target(octets: bytes) -> None:
    read_ber(octets)
    tree = tree_of(ber.read(octets))
    assert tree_of(ber.read(encode_der(tree))) == tree


def seeds() -> list[bytes]:
    return [octets[7:] if octets.startswith(b"Awala") else octets for octets in (v.octets for v in VECTORS)]
