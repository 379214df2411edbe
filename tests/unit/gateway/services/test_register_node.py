import hashlib
from datetime import timedelta

import pytest

from awala.errors import InvalidMessageError, InvalidSignatureError, MalformedMessageError, UntimelyMessageError
from awala.pki.certificate import Certificate
from awala.pki.keys import spki_der
from awala.registration import Registration, RegistrationAuthorization, RegistrationRequest
from gateway.errors import AuthorizationSpentError, KeyMismatchError
from gateway.keystores import get_keystore
from gateway.models import Event, Peer, SpentAuthorization
from gateway.services.authorize_registration import authorize_registration
from gateway.services.register_node import register_node
from tests import factories, published_vectors
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)

NAME = "private gateway"


def authorize(name: str = NAME) -> bytes:
    return authorize_registration(hashlib.sha256(factories.spki_of(name)).digest(), NOW)


def request(authorization: bytes, name: str = NAME, signer: str | None = None) -> bytes:
    message = RegistrationRequest(public_key_der=factories.spki_of(name), authorization_serialized=authorization)
    return message.serialize(factories.rsa_key(signer or name))


def own_authorization(gateway_data: bytes) -> bytes:
    granted = RegistrationAuthorization(expiry=NOW, gateway_data=gateway_data)
    return granted.serialize(factories.rsa_key("gateway"))


def test_authorization_lives_for_ten_whole_seconds(identity: Certificate) -> None:
    key = factories.rsa_key("gateway").public_key()
    moment = NOW + timedelta(microseconds=999_999)
    serialized = authorize_registration(bytes(32), moment)

    granted = RegistrationAuthorization.deserialize(serialized, key, now=moment)

    assert granted.expiry == NOW + timedelta(seconds=10)
    assert granted.gateway_data[:32] == bytes(32)
    assert len(granted.gateway_data) == 48


def test_registration(identity: Certificate) -> None:
    registration = Registration.deserialize(register_node(request(authorize()), NOW))

    certificate = registration.node_certificate
    certificate.verify_signature(identity)
    assert certificate.node_id == factories.id_of(NAME)
    assert (certificate.is_ca, certificate.path_length) == (True, 1)
    # Trap 12: clients check this with no tolerance for their own wrong clocks.
    assert certificate.not_before == NOW - timedelta(hours=3)
    assert certificate.not_after == NOW - timedelta(hours=3) + timedelta(days=180)
    assert registration.gateway_certificate == identity
    assert registration.gateway_internet_address == "gateway.example.com"


def test_session_key_is_bound_to_the_peer(identity: Certificate) -> None:
    registration = Registration.deserialize(register_node(request(authorize()), NOW))

    assert registration.session_key is not None
    private_key = get_keystore().load_session_key(registration.session_key.key_id, factories.id_of(NAME))
    assert spki_der(private_key.public_key()) == registration.session_key.public_key_der


def test_peer_is_recorded(identity: Certificate) -> None:
    register_node(request(authorize()), NOW)

    peer = Peer.objects.get()
    assert (peer.node_id, bytes(peer.public_key_der)) == (factories.id_of(NAME), factories.spki_of(NAME))
    assert peer.first_seen_at == peer.last_seen_at == NOW
    assert Event.objects.get(kind=Event.Kind.PEER_REGISTERED).peer_id == peer.node_id


def test_renewal_keeps_the_peer(identity: Certificate) -> None:
    register_node(request(authorize()), NOW)
    later = NOW + timedelta(seconds=5)

    register_node(request(authorize()), later)

    peer = Peer.objects.get()
    assert (peer.first_seen_at, peer.last_seen_at) == (NOW, later)


def test_authorization_is_good_once(identity: Certificate) -> None:
    serialized = request(authorize())
    register_node(serialized, NOW)

    with pytest.raises(AuthorizationSpentError):
        register_node(serialized, NOW)

    assert SpentAuthorization.objects.count() == 1
    assert Event.objects.count() == 1


def test_authorization_at_its_last_moment(identity: Certificate) -> None:
    register_node(request(authorize()), NOW + timedelta(seconds=10))

    assert Peer.objects.exists()


REFUSED: dict[str, tuple[bytes | None, type[Exception]]] = {
    "nothing": (b"", MalformedMessageError),
    "something else": (b"Hello", MalformedMessageError),
    "expired": (None, UntimelyMessageError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_request_leaves_nothing(identity: Certificate, name: str) -> None:
    octets, error = REFUSED[name]

    with pytest.raises(error):
        register_node(request(authorize()) if octets is None else octets, NOW + timedelta(seconds=10.1))

    assert_nothing_is_kept()


def test_countersignature_by_another_key(identity: Certificate) -> None:
    with pytest.raises(InvalidSignatureError):
        register_node(request(authorize(), signer="stranger"), NOW)

    assert_nothing_is_kept()


def test_authorization_for_another_key(identity: Certificate) -> None:
    with pytest.raises(KeyMismatchError):
        register_node(request(authorize("stranger")), NOW)

    assert_nothing_is_kept()


def test_authorization_of_another_gateway(identity: Certificate) -> None:
    granted = RegistrationAuthorization(expiry=NOW, gateway_data=bytes(48)).serialize(factories.rsa_key("stranger"))

    with pytest.raises(InvalidSignatureError):
        register_node(request(granted), NOW)

    assert_nothing_is_kept()


@pytest.mark.parametrize(
    "gateway_data", [b"", hashlib.sha256(factories.spki_of(NAME)).digest(), bytes(49)], ids=["none", "digest", "long"]
)
def test_authorization_of_another_kind(identity: Certificate, gateway_data: bytes) -> None:
    """As an older gateway with the same key may have granted: the digest alone, without a nonce."""
    with pytest.raises(MalformedMessageError):
        register_node(request(own_authorization(gateway_data)), NOW)

    assert_nothing_is_kept()


@pytest.mark.parametrize("file", ["pnrr.der", "pnrr_other_key.der", "pnrr_bad_countersignature.der"])
def test_vectors_bear_authorizations_of_the_reference(vector_identity: Certificate, file: str) -> None:
    """Its gateway data is the digest alone, which may be used again and again: it is not for us."""
    with pytest.raises(InvalidMessageError):
        register_node(published_vectors.read(file), published_vectors.VERIFY_AT)

    assert_nothing_is_kept()


def assert_nothing_is_kept() -> None:
    assert not Peer.objects.exists()
    assert not SpentAuthorization.objects.exists()
    assert not Event.objects.exists()
