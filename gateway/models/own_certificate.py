"""The certificates that this gateway has issued to itself; peers are certified under them."""

import uuid

from django.db import models
from django.utils import timezone

from gateway.models.sizes import NODE_ID_LENGTH


class OwnCertificate(models.Model):
    """One certificate of ours. All unexpired ones are trusted; the one with the highest sequence issues others."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Issuing takes the next number, so of processes that start or renew at once only one succeeds.
    sequence = models.PositiveIntegerField(unique=True)
    node_id = models.CharField(max_length=NODE_ID_LENGTH)
    certificate_der = models.BinaryField()
    starts_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = "own certificate"

    def __str__(self) -> str:
        return f"own certificate {self.sequence}"
