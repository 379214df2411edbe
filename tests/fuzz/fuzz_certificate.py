"""Certificates, everything read from them, and paths in either encoding."""

from awala.messages.certification_path import CertificationPath
from awala.pki.certificate import Certificate
from tests.decoders import read_certificate
from tests.published_vectors import of_type, read

WRAPPED_LEAF = 0x80
IMPLICIT_LEAF = 0xA0


def target(octets: bytes) -> None:
    # A path begins like no certificate: its first member is context-specific.
    if octets[4:5] in (bytes((WRAPPED_LEAF,)), bytes((IMPLICIT_LEAF,))):
        read_path(octets)
    else:
        read_certificate(octets)


def read_path(octets: bytes) -> None:
    path = CertificationPath.deserialize(octets)
    for certificate in (path.leaf, *path.authorities):
        assert Certificate.parse(certificate.der) == certificate
    assert CertificationPath.deserialize(path.serialize()) == path


def seeds() -> list[bytes]:
    paths = [read("certification_path_js.der"), read("jvm_certificate_rotation.bin")[7:]]
    return [*(vector.octets for vector in of_type("Certificate")), *paths]
