"""EnvelopedData values and their decryption."""

from tests.decoders import read_enveloped_data
from tests.published_vectors import of_type

target = read_enveloped_data


def seeds() -> list[bytes]:
    return [vector.octets for vector in of_type("EnvelopedData")]
