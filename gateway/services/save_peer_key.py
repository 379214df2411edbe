"""Remembers to which key a private gateway wants what we send to be encrypted."""

from datetime import datetime

from awala.session_key import SessionKey
from awala.sessions import replaces_peer_key
from gateway.group_commit import commit_together
from gateway.models import Peer, record_errors


@record_errors()
def save_peer_key(peer_id: str, key: SessionKey, created_at: datetime) -> None:
    """Keep the key that came with a message of the peer, made at `created_at`, unless a newer one is known."""
    # Of two messages at once, each looks again after the other.
    while not commit_together(lambda: _save(peer_id, key, created_at)):
        pass


def _save(peer_id: str, key: SessionKey, created_at: datetime) -> bool:
    """Whether nothing remains to be done; False where another message was faster."""
    peer = Peer.objects.filter(node_id=peer_id).first()
    if peer is None or not replaces_peer_key(peer.session_key_created_at, created_at):
        return True
    unchanged = Peer.objects.filter(pk=peer.pk, session_key_created_at=peer.session_key_created_at)
    number = unchanged.update(
        session_key_id=key.key_id, session_public_key_der=key.public_key_der, session_key_created_at=created_at
    )
    return number > 0
