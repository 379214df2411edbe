from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from awala.session_key import SessionKey, generate_session_key
from awala.sessions import replaces_peer_key
from gateway.errors import RecordUnavailableError
from gateway.models import Peer
from gateway.services.save_peer_key import save_peer_key
from tests.factories import NOW
from tests.unit.gateway.factories import make_node_id, make_peer

pytestmark = pytest.mark.django_db(transaction=True)

EARLIER, LATER = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)


def make_key() -> SessionKey:
    return generate_session_key()[0]


def kept_key() -> tuple[bytes, bytes, datetime | None]:
    peer = Peer.objects.get()
    return bytes(peer.session_key_id or b""), bytes(peer.session_public_key_der or b""), peer.session_key_created_at


@pytest.mark.parametrize(("created_at", "is_kept"), [(EARLIER, False), (NOW, True), (LATER, True)])
def test_newest_key_is_kept_and_the_last_of_one_second(created_at: datetime, *, is_kept: bool) -> None:
    peer, first, second = make_peer(), make_key(), make_key()
    save_peer_key(peer.node_id, first, NOW)

    save_peer_key(peer.node_id, second, created_at)

    kept, kept_at = (second, created_at) if is_kept else (first, NOW)
    assert kept_key() == (kept.key_id, kept.public_key_der, kept_at)


def test_peer_that_is_not_on_record_is_passed_over() -> None:
    save_peer_key(make_node_id(), make_key(), NOW)


@pytest.mark.parametrize(("other_at", "is_kept"), [(EARLIER, True), (LATER, False)])
def test_key_saved_by_another_worker_meanwhile_is_compared_too(
    monkeypatch: pytest.MonkeyPatch, other_at: datetime, *, is_kept: bool
) -> None:
    peer, key, replaces, other = make_peer(), make_key(), replaces_peer_key, [other_at]

    def replaces_and_be_late(*args: Any) -> bool:
        answer = replaces(*args)
        if other:
            Peer.objects.update(session_key_created_at=other.pop())
        return answer

    monkeypatch.setattr("gateway.services.save_peer_key.replaces_peer_key", replaces_and_be_late)
    save_peer_key(peer.node_id, key, NOW)

    assert (kept_key()[0] == key.key_id) is is_kept


def test_failing_database_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_conditions: object) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(Peer.objects, "filter", fail)
    with pytest.raises(RecordUnavailableError):
        save_peer_key(make_node_id(), make_key(), NOW)
