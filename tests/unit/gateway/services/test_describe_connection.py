from datetime import timedelta

import pytest

from awala.connection_params import NodeConnectionParams
from awala.pki.certificate import Certificate
from awala.session_key import generate_session_key
from gateway.errors import KeyUnavailableError
from gateway.keystores import get_keystore
from gateway.services.describe_connection import describe_connection
from gateway.services.load_identity import load_identity
from tests import factories
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id

pytestmark = pytest.mark.django_db(transaction=True)


def save_session_key(node_id: str, peer_id: str | None = None) -> bytes:
    session_key, private_key = generate_session_key()
    get_keystore().save_session_key(session_key.key_id, private_key, node_id, peer_id)
    return session_key.key_id


def test_connection_is_described(identity: Certificate) -> None:
    key_id = save_session_key(identity.node_id)
    save_session_key(identity.node_id, peer_id=make_node_id())

    params = NodeConnectionParams.deserialize(describe_connection(NOW))

    assert params.internet_address == "gateway.example.com"
    assert params.identity_key_der == factories.spki_of("gateway")
    assert params.session_key.key_id == key_id


def test_no_session_key_that_serves_all(identity: Certificate) -> None:
    save_session_key(identity.node_id, peer_id=make_node_id())

    with pytest.raises(KeyUnavailableError):
        describe_connection(NOW)


def test_identity_is_read_anew_after_a_minute(identity: Certificate) -> None:
    first = load_identity(NOW)

    assert load_identity(NOW + timedelta(seconds=60)) is first
    assert load_identity(NOW + timedelta(seconds=61)) is not first
