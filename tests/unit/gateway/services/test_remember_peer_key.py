from datetime import timedelta

import pytest

from awala.session_key import SessionKey, generate_session_key
from awala.sessions import replaces_peer_key
from gateway.models import Peer
from gateway.services.remember_peer_key import remember_peer_key
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id, make_peer

pytestmark = pytest.mark.django_db(transaction=True)


def new_key() -> SessionKey:
    return generate_session_key()[0]


def test_first_key_is_kept() -> None:
    peer = make_peer()
    key = new_key()

    remember_peer_key(peer.node_id, key, NOW - timedelta(hours=1), NOW)

    peer.refresh_from_db()
    assert bytes(peer.session_key_id or b"") == key.key_id
    assert bytes(peer.session_public_key_der or b"") == key.public_key_der
    assert peer.session_key_created_at == NOW - timedelta(hours=1)
    assert peer.last_seen_at == NOW


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_newest_key_wins_by_its_date(seconds: int) -> None:
    peer, another = make_peer(), make_peer()
    older, newer = new_key(), new_key()
    created_at = NOW + timedelta(seconds=seconds)
    remember_peer_key(peer.node_id, older, NOW, NOW)

    remember_peer_key(peer.node_id, newer, created_at, NOW)

    expected = newer if replaces_peer_key(NOW, created_at) else older
    assert bytes(Peer.objects.get(id=peer.id).session_key_id or b"") == expected.key_id
    assert Peer.objects.get(id=another.id).session_key_id is None


def test_unknown_peer_is_not_put_on_record() -> None:
    remember_peer_key(make_node_id(), new_key(), NOW, NOW)

    assert not Peer.objects.exists()
