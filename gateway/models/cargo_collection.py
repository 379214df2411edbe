"""Which collection authorisations (CCAs) couriers have used here, so that none is used twice."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from gateway.models.lifecycle import Lifecycle, StatefulModel
from gateway.models.sizes import NODE_ID_LENGTH, SHA256_HEX_LENGTH, STATE_LENGTH


class CargoCollection(StatefulModel):
    """One CCA, claimed before the first cargo is sent for it and fulfilled after the last.

    Of two calls with one CCA only one makes the row. The call that holds the claim prolongs it while it sends; a
    claim that has run out, because that call died, may be taken by another, which changes `claim_id`.
    """

    class State(models.TextChoices):
        CLAIMED = "claimed"
        FULFILLED = "fulfilled"

    lifecycle: ClassVar = Lifecycle(
        states=State,
        moves={State.CLAIMED: frozenset({State.CLAIMED, State.FULFILLED}), State.FULFILLED: frozenset()},
    )
    guarded_by: ClassVar = ("claim_id",)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    peer_id = models.CharField(max_length=NODE_ID_LENGTH)
    cca_id_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    claim_id = models.UUIDField(default=uuid.uuid4)
    claimed_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField()
    # What has been sent for it, and how much of that the courier says it has.
    cargoes = models.PositiveIntegerField(default=0)
    acknowledged_cargoes = models.PositiveIntegerField(default=0)
    octets = models.PositiveBigIntegerField(default=0)
    # The CCA's own expiry: afterwards it is refused without this row.
    expires_at = models.DateTimeField(db_index=True)
    state = models.CharField(max_length=STATE_LENGTH, choices=State.choices, default=State.CLAIMED)
    fulfilled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("peer_id", "cca_id_sha256"), name="cargo_collection_once"),)

    def __str__(self) -> str:
        return str(self.id)
