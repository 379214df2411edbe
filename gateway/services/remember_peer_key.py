"""Keeps the session key that a private gateway last showed us, to which messages for it can be encrypted (RS-003)."""

from datetime import datetime

from django.db.models import Q

from awala.session_key import SessionKey
from gateway.group_commit import commit_together
from gateway.models import Peer, record_errors


def remember_peer_key(peer_id: str, session_key: SessionKey, created_at: datetime, now: datetime) -> None:
    """Keep the key that came with a message created at `created_at`, unless a newer one is on record.

    One conditional update by the rule of `awala.sessions.replaces_peer_key`, so that messages that are unwrapped at
    the same time leave the newest. A peer that is not on record is not put there: only registration does that.
    """
    # A key is on record with its date, or neither is.
    older = Q(session_key_created_at__isnull=True) | Q(session_key_created_at__lte=created_at)

    def write() -> None:
        Peer.objects.filter(node_id=peer_id).update(last_seen_at=now)
        Peer.objects.filter(older, node_id=peer_id).update(
            session_key_id=session_key.key_id,
            session_public_key_der=session_key.public_key_der,
            session_key_created_at=created_at,
        )

    with record_errors():
        commit_together(write)
