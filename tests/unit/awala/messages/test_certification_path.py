import pytest

from awala.asn1 import der
from awala.errors import MalformedMessageError
from awala.limits import MAX_ATTACHED_CERTIFICATES
from awala.messages.certification_path import CertificationPath
from tests.factories import gateway_certificate

ROOT = gateway_certificate()
LEAF = gateway_certificate("private gateway", issuer=ROOT)
PATH = CertificationPath(leaf=LEAF, authorities=(ROOT,))
WRAPPED_LEAF = der.context(0, LEAF.der)
IMPLICIT_LEAF = b"\xa0" + LEAF.der[1:]


def authorities(*encoded: bytes) -> bytes:
    return der.context(1, b"".join(encoded), constructed=True)


WRAPPED_ROOT = authorities(der.octet_string(ROOT.der))


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(der.sequence(WRAPPED_LEAF, WRAPPED_ROOT), id="OCTET STRINGs: JavaScript"),
        pytest.param(der.sequence(IMPLICIT_LEAF, authorities(ROOT.der)), id="implicit: JVM from 1.67.2"),
        pytest.param(der.sequence(IMPLICIT_LEAF, WRAPPED_ROOT), id="implicit leaf alone: JVM 1.67.1"),
    ],
)
def test_reads_every_deployed_form(octets: bytes) -> None:
    """Trap 4: each deployed library reads its own encoding only."""
    assert CertificationPath.deserialize(octets) == PATH


def test_writes_octet_strings() -> None:
    assert PATH.serialize() == der.sequence(WRAPPED_LEAF, WRAPPED_ROOT)


def test_writes_implicit_certificates() -> None:
    """Trap 4: both forms are sent, each in a message of its own."""
    assert PATH.serialize_implicit() == der.sequence(IMPLICIT_LEAF, authorities(ROOT.der))


def test_no_authorities() -> None:
    path = CertificationPath(leaf=LEAF, authorities=())
    assert CertificationPath.deserialize(path.serialize()) == path


def test_most_authorities() -> None:
    path = CertificationPath(leaf=LEAF, authorities=(ROOT,) * MAX_ATTACHED_CERTIFICATES)
    assert CertificationPath.deserialize(path.serialize()) == path


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(der.sequence(WRAPPED_LEAF), id="no authorities"),
        pytest.param(der.sequence(WRAPPED_LEAF, WRAPPED_ROOT, WRAPPED_ROOT), id="three members"),
        pytest.param(der.sequence(der.octet_string(LEAF.der), WRAPPED_ROOT), id="leaf with a universal tag"),
        pytest.param(der.sequence(der.context(0, b"x"), WRAPPED_ROOT), id="malformed leaf"),
        pytest.param(der.sequence(b"\xa0\x00", WRAPPED_ROOT), id="empty implicit leaf"),
        pytest.param(der.sequence(WRAPPED_LEAF, der.context(1, ROOT.der)), id="authorities in a string"),
        pytest.param(der.sequence(WRAPPED_LEAF, authorities(der.NULL)), id="authority of another type"),
        pytest.param(der.sequence(WRAPPED_LEAF, authorities(b"\x30\x00")), id="malformed authority"),
        pytest.param(
            der.sequence(WRAPPED_LEAF, authorities(*[ROOT.der] * (MAX_ATTACHED_CERTIFICATES + 1))),
            id="too many authorities",
        ),
    ],
)
def test_refuses(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        CertificationPath.deserialize(octets)
