"""Private keys of this gateway, encrypted; only gateway/keystores/database.py reads and writes them."""

import uuid

from django.db import models
from django.utils import timezone

from gateway.models.sizes import NODE_ID_LENGTH

# Session key ids are octets of any length, 8 in the deployed clients; kept in hexadecimal.
KEY_ID_LENGTH = 255


class StoredKey(models.Model):
    """One private key. The clear columns are authenticated by the encryption, so rows cannot be exchanged."""

    class Kind(models.TextChoices):
        IDENTITY = "identity"
        SESSION = "session"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    key_id = models.CharField(max_length=KEY_ID_LENGTH)
    # Which of our identities the key belongs to.
    node_id = models.CharField(max_length=NODE_ID_LENGTH)
    # The only peer that a session key serves; empty where it serves all.
    peer_id = models.CharField(max_length=NODE_ID_LENGTH, blank=True)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("kind", "key_id"), name="stored_key_once"),)
        indexes = (models.Index(fields=("kind", "node_id", "peer_id", "created_at"), name="stored_key_latest"),)
        verbose_name = "private key"

    def __str__(self) -> str:
        return f"{self.kind} key {self.key_id}"
