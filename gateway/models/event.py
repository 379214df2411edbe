"""A short timeline of each parcel and peer for the console, pruned by the retention time."""

import uuid

from django.db import models
from django.utils import timezone

from gateway.models.sizes import EVENT_DETAIL_LENGTH, EVENT_KIND_LENGTH, NODE_ID_LENGTH


class Event(models.Model):
    """One thing that happened. Never holds payloads, keys, nonces or whole messages."""

    class Kind(models.TextChoices):
        IDENTITY_CREATED = "identity_created"
        CERTIFICATE_ISSUED = "certificate_issued"
        SESSION_KEY_CREATED = "session_key_created"
        PEER_REGISTERED = "peer_registered"
        PEER_SUSPENDED = "peer_suspended"
        PEER_RESUMED = "peer_resumed"
        PARCEL_STORED = "parcel_stored"
        PARCEL_REPLACED = "parcel_replaced"
        PARCEL_COLLECTED = "parcel_collected"
        PARCEL_ACCEPTED = "parcel_accepted"
        PARCEL_DELIVERED = "parcel_delivered"
        PARCEL_REJECTED = "parcel_rejected"
        PARCEL_HELD = "parcel_held"
        PARCEL_RELEASED = "parcel_released"
        PARCEL_EXPIRED = "parcel_expired"
        PARCEL_DISCARDED = "parcel_discarded"
        CARGO_REFUSED = "cargo_refused"
        CARGO_REPEATED = "cargo_repeated"
        CARGO_INVALID = "cargo_invalid"
        CARGO_ITEMS_SKIPPED = "cargo_items_skipped"
        CARGO_RELEASED = "cargo_released"
        COLLECTION_REFUSED = "collection_refused"
        CIRCUIT_OPENED = "circuit_opened"
        CIRCUIT_CLOSED = "circuit_closed"
        DESTINATION_PAUSED = "destination_paused"
        DESTINATION_RESUMED = "destination_resumed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(default=timezone.now, db_index=True)
    kind = models.CharField(max_length=EVENT_KIND_LENGTH, choices=Kind.choices)
    # The row that it happened to, in whichever table the kind tells.
    subject_id = models.UUIDField(null=True, blank=True)
    peer_id = models.CharField(max_length=NODE_ID_LENGTH, blank=True)
    detail = models.CharField(max_length=EVENT_DETAIL_LENGTH, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("subject_id", "at"), name="event_of_subject"),
            models.Index(fields=("peer_id", "at"), name="event_of_peer"),
        )

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"
