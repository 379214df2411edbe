"""The Internet addresses that parcels leave for, and whether those take them now."""

import uuid
from typing import ClassVar

from django.db import models

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import EVENT_DETAIL_LENGTH, INTERNET_ADDRESS_LENGTH, STATE_LENGTH


class Destination(StatefulModel):
    """One address. A circuit that is open lets nothing through until `next_attempt_at`, and then a single parcel."""

    class State(models.TextChoices):
        CLOSED = "closed"
        OPEN = "open"
        HALF_OPEN = "half_open"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={
            State.CLOSED: frozenset({State.CLOSED, State.OPEN}),
            State.OPEN: frozenset({State.HALF_OPEN, State.CLOSED}),
            # Half-open again: the worker that probed has died.
            State.HALF_OPEN: frozenset({State.CLOSED, State.OPEN, State.HALF_OPEN}),
        },
    )
    guarded_by: ClassVar = ("next_attempt_at",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    internet_address = models.CharField(max_length=INTERNET_ADDRESS_LENGTH, unique=True)
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.CLOSED)
    consecutive_failures = models.PositiveIntegerField(default=0)
    # Since when every attempt has failed.
    failing_since = models.DateTimeField(null=True, blank=True)
    retry_interval_seconds = models.PositiveIntegerField(default=0)
    # Nothing is attempted before this moment.
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    is_paused = models.BooleanField(default=False)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=EVENT_DETAIL_LENGTH, blank=True)

    class Meta:
        indexes = (models.Index(fields=("state", "next_attempt_at"), name="destination_due"),)

    def __str__(self) -> str:
        return self.internet_address
