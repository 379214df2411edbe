"""Which peer has sent which parcel, kept until the parcel expires."""

import uuid

from django.db import models
from django.utils import timezone

from gateway.models.sizes import NODE_ID_LENGTH, RECIPIENT_ID_LENGTH, SHA256_HEX_LENGTH


class ParcelRecord(models.Model):
    """One parcel of a peer: a second copy is recognised by it, and acknowledgements in cargo are made from it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    peer_id = models.CharField(max_length=NODE_ID_LENGTH)
    recipient_id = models.CharField(max_length=RECIPIENT_ID_LENGTH)
    sender_id = models.CharField(max_length=NODE_ID_LENGTH)
    parcel_id_sha256 = models.CharField(max_length=SHA256_HEX_LENGTH)
    # As received: ids need not be text in any encoding (protocol section 5), and go back octet for octet.
    parcel_id = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("peer_id", "recipient_id", "sender_id", "parcel_id_sha256"), name="parcel_record_once"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)
