import pytest

from awala.asn1 import ber, der
from awala.errors import MalformedMessageError
from awala.private_endpoint_params import PrivateEndpointConnParams
from tests import published_vectors

OCTETS = published_vectors.read("private_endpoint_conn_params.der")


def test_published_params() -> None:
    params = PrivateEndpointConnParams.deserialize(OCTETS)
    assert params.identity_key_der == published_vectors.spki("endpoint_a")
    assert params.delivery_authorization.leaf == published_vectors.certificate("pda_a_to_internet")
    assert params.session_key.public_key_der == published_vectors.spki("endpoint_a_session")
    assert params.serialize() == OCTETS


def with_session_key(content: bytes) -> bytes:
    members = [member.raw for member in ber.read(OCTETS).members(4)]
    return der.sequence(*members[:3], der.context(3, content, constructed=True))


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        der.sequence(*(member.raw for member in ber.read(OCTETS).members(4)[:3])),
        with_session_key(der.context(0, b"id")),
        with_session_key(der.context(0, b"id") + der.context(1, published_vectors.spki("endpoint_a_session"))),
        with_session_key(der.context(0, b"id") + der.context(1, der.NULL, constructed=True)),
    ],
    ids=["nothing", "no session key", "session key id alone", "session key in a string", "session key of another kind"],
)
def test_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        PrivateEndpointConnParams.deserialize(octets)
