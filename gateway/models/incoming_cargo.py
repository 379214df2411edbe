"""Cargo that couriers have brought, kept until its messages have been taken out."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import (
    EVENT_DETAIL_LENGTH,
    NODE_ID_LENGTH,
    OBJECT_KEY_LENGTH,
    SHA256_HEX_LENGTH,
    STATE_LENGTH,
)


class IncomingCargo(StatefulModel):
    """One cargo; due when it is pending and `next_attempt_at` has come.

    A lease moves `next_attempt_at` past its own end, so that a worker that dies leaves the cargo due again. The
    lease's id guards every move: a worker whose lease has run out cannot settle what another one now works on.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        UNWRAPPED = "unwrapped"
        INVALID = "invalid"
        EXPIRED = "expired"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={
            State.PENDING: frozenset({State.UNWRAPPED, State.INVALID}),
            # An operator may have mended what was wrong on our side.
            State.INVALID: frozenset({State.PENDING, State.EXPIRED}),
            State.UNWRAPPED: frozenset(),
            State.EXPIRED: frozenset(),
        },
        settled=frozenset({State.UNWRAPPED, State.EXPIRED}),
    )
    guarded_by: ClassVar = ("lease_id",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # The private gateway that sent it, by node id.
    peer_id = models.CharField(max_length=NODE_ID_LENGTH)
    cargo_id_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    # Of the whole cargo: couriers bring again what they had no answer to, octet for octet. The id alone would not
    # do, since a sender that used one twice would lose the second cargo.
    sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    size = models.PositiveIntegerField()
    received_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    # How many of its items are done with, and what they were.
    items_done = models.PositiveIntegerField(default=0)
    parcels = models.PositiveIntegerField(default=0)
    collection_acks = models.PositiveIntegerField(default=0)
    skipped_items = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    lease_id = models.UUIDField(null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=EVENT_DETAIL_LENGTH, blank=True)
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.PENDING)
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("peer_id", "sha256"), name="incoming_cargo_once"),)
        indexes = (
            models.Index(fields=("state", "next_attempt_at"), name="incoming_cargo_due"),
            models.Index(fields=("state", "expires_at"), name="incoming_cargo_expiry"),
            models.Index(fields=("settled_at",), name="incoming_cargo_retention"),
        )
        verbose_name = "incoming cargo"
        verbose_name_plural = "incoming cargoes"

    def __str__(self) -> str:
        return str(self.id)

    @staticmethod
    def make_object_key() -> str:
        return f"cargoes/pending-unwrapping/{uuid.uuid4()}"
