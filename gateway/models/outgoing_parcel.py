"""Parcels for the Internet, kept until their destination has taken or refused them."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import (
    EVENT_DETAIL_LENGTH,
    INTERNET_ADDRESS_LENGTH,
    NODE_ID_LENGTH,
    OBJECT_KEY_LENGTH,
    RECIPIENT_ID_LENGTH,
    SHA256_HEX_LENGTH,
    STATE_LENGTH,
)


class OutgoingParcel(StatefulModel):
    """One Internet-bound parcel; due when it is pending and `next_attempt_at` has come.

    A lease moves `next_attempt_at` to its own end, so that a worker that dies leaves the parcel due again.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        HELD = "held"
        DELIVERED = "delivered"
        REJECTED = "rejected"
        EXPIRED = "expired"
        DISCARDED = "discarded"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={
            State.PENDING: frozenset({State.HELD, State.DELIVERED, State.REJECTED, State.EXPIRED, State.DISCARDED}),
            # Delivered or rejected, where it was held while a worker was at it.
            State.HELD: frozenset({State.PENDING, State.DELIVERED, State.REJECTED, State.EXPIRED, State.DISCARDED}),
            State.DELIVERED: frozenset(),
            State.REJECTED: frozenset(),
            State.EXPIRED: frozenset(),
            State.DISCARDED: frozenset(),
        },
        settled=frozenset({State.DELIVERED, State.REJECTED, State.EXPIRED, State.DISCARDED}),
    )

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    destination = models.CharField(max_length=INTERNET_ADDRESS_LENGTH)
    # The private gateway that sent it, by node id.
    peer_id = models.CharField(max_length=NODE_ID_LENGTH)
    recipient_id = models.CharField(max_length=RECIPIENT_ID_LENGTH)
    sender_id = models.CharField(max_length=NODE_ID_LENGTH)
    parcel_id_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    size = models.PositiveIntegerField()
    received_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_id = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=EVENT_DETAIL_LENGTH, blank=True)
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.PENDING)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=("state", "next_attempt_at"), name="outgoing_parcel_due"),
            models.Index(fields=("state", "destination", "next_attempt_at"), name="outgoing_parcel_queue"),
            models.Index(fields=("state", "expires_at"), name="outgoing_parcel_expiry"),
            models.Index(fields=("settled_at",), name="outgoing_parcel_retention"),
        )

    def __str__(self) -> str:
        return str(self.id)

    @staticmethod
    def make_object_key() -> str:
        return f"parcels/endpoint-bound/{uuid.uuid4()}"
