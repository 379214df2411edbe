"""The private gateways that have registered here."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import NODE_ID_LENGTH, STATE_LENGTH


class Peer(StatefulModel):
    """One private gateway, with the session key that it last showed us."""

    class State(models.TextChoices):
        ACTIVE = "active"
        SUSPENDED = "suspended"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={State.ACTIVE: frozenset({State.SUSPENDED}), State.SUSPENDED: frozenset({State.ACTIVE})},
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    node_id = models.CharField(max_length=NODE_ID_LENGTH, unique=True)
    public_key_der = models.BinaryField()
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now, db_index=True)
    certificate_expires_at = models.DateTimeField()
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.ACTIVE)
    # All three or none. Cargo for the peer is encrypted to this key; the newest by creation time wins.
    session_key_id = models.BinaryField(null=True, blank=True)
    session_public_key_der = models.BinaryField(null=True, blank=True)
    session_key_created_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.node_id
