import pytest

from awala.errors import MalformedMessageError
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.certification_path import CertificationPath
from tests import factories, published_vectors


def make_rotation() -> CertificateRotation:
    gateway = factories.gateway_certificate()
    leaf = factories.gateway_certificate("private gateway", issuer=gateway)
    return CertificateRotation(path=CertificationPath(leaf=leaf, authorities=(gateway,)))


def test_published_rotation_of_the_javascript_library() -> None:
    octets = published_vectors.read("certificate_rotation_js.bin")
    assert CertificateRotation.deserialize(octets).serialize() == octets


def test_published_rotation_of_the_jvm_library() -> None:
    octets = published_vectors.read("jvm_certificate_rotation.bin")
    assert CertificateRotation.deserialize(octets).serialize_implicit() == octets


def test_both_forms_say_the_same() -> None:
    rotation = make_rotation()
    assert CertificateRotation.deserialize(rotation.serialize()) == rotation
    assert CertificateRotation.deserialize(rotation.serialize_implicit()) == rotation


@pytest.mark.parametrize("octets", [b"", b"Awala\x10\x00", b"Awala\x11\x00" + make_rotation().path.serialize()])
def test_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        CertificateRotation.deserialize(octets)
