"""Parcels for endpoints behind a private gateway, kept until that gateway has collected them."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import NODE_ID_LENGTH, OBJECT_KEY_LENGTH, SHA256_HEX_LENGTH, STATE_LENGTH


class StoredParcel(StatefulModel):
    """One gateway-bound parcel.

    The same parcel may arrive again, whether it waits or is settled: its row is then queued once more with the new
    octets, under a new object key and revision. What was begun for the old ones (an ACK, an expiry) no longer
    matches the row, and so cannot delete the new ones.
    """

    class State(models.TextChoices):
        QUEUED = "queued"
        COLLECTED = "collected"
        EXPIRED = "expired"
        DISCARDED = "discarded"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={
            State.QUEUED: frozenset({State.QUEUED, State.COLLECTED, State.EXPIRED, State.DISCARDED}),
            State.COLLECTED: frozenset({State.QUEUED}),
            State.EXPIRED: frozenset({State.QUEUED}),
            State.DISCARDED: frozenset({State.QUEUED}),
        },
        settled=frozenset({State.COLLECTED, State.EXPIRED, State.DISCARDED}),
    )
    guarded_by: ClassVar = ("revision",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The private gateway's node id. Its certificate is enough for a parcel to be kept; a Peer row need not exist.
    peer_id = models.CharField(max_length=NODE_ID_LENGTH)
    recipient_id = models.CharField(max_length=NODE_ID_LENGTH)
    sender_id = models.CharField(max_length=NODE_ID_LENGTH)
    # Parcel ids are text of the sender's choice, so they are hashed before they are used.
    parcel_id_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    revision = models.UUIDField(default=uuid.uuid4)
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    size = models.PositiveIntegerField()
    received_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.QUEUED)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("peer_id", "recipient_id", "sender_id", "parcel_id_sha256"), name="stored_parcel_once"
            ),
        )
        indexes = (
            models.Index(fields=("peer_id", "state", "received_at"), name="stored_parcel_queue"),
            models.Index(fields=("state", "expires_at"), name="stored_parcel_expiry"),
            models.Index(fields=("settled_at",), name="stored_parcel_retention"),
        )

    def __str__(self) -> str:
        return str(self.id)

    @staticmethod
    def make_object_key(peer_id: str) -> str:
        """A key that no other parcel or revision has; one folder per peer."""
        return f"parcels/gateway-bound/{peer_id}/{uuid.uuid4()}"
