import pytest

from awala.asn1 import der
from awala.connection_params import NodeConnectionParams
from awala.errors import MalformedMessageError
from awala.session_key import generate_session_key
from tests.factories import spki_of

SESSION_KEY, _ = generate_session_key()
PARAMS = NodeConnectionParams(
    internet_address="gateway.example.com", identity_key_der=spki_of("gateway"), session_key=SESSION_KEY
)
ADDRESS = der.context(0, b"gateway.example.com")
IDENTITY = der.context(1, spki_of("gateway"))
SESSION = der.context(2, SESSION_KEY.members(), constructed=True)


def test_writes() -> None:
    assert PARAMS.serialize() == der.sequence(ADDRESS, IDENTITY, SESSION)


def test_reads() -> None:
    assert NodeConnectionParams.deserialize(der.sequence(ADDRESS, IDENTITY, SESSION)) == PARAMS


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(der.sequence(ADDRESS, IDENTITY), id="no session key"),
        pytest.param(der.sequence(ADDRESS, IDENTITY, SESSION, SESSION), id="four members"),
        pytest.param(der.sequence(IDENTITY, ADDRESS, SESSION), id="members in another order"),
        pytest.param(der.sequence(ADDRESS, IDENTITY, der.context(2, b"")), id="session key in a string"),
        pytest.param(der.sequence(ADDRESS, IDENTITY, b"\xa2\x00"), id="empty session key"),
        pytest.param(der.sequence(ADDRESS, IDENTITY, SESSION) + b"\x00", id="octets after it"),
    ],
)
def test_refuses(octets: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        NodeConnectionParams.deserialize(octets)
