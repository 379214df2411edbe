"""When each kind of upkeep is due next, so that any number of beats and workers do each once."""

import uuid

from django.db import models
from django.utils import timezone

from gateway.models.sizes import EVENT_DETAIL_LENGTH


class MaintenanceJob(models.Model):
    """One job by name. Whoever moves `due_at` does it; a worker that dies at it leaves it due again before long."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField(default=timezone.now)
    run_id = models.UUIDField(default=uuid.uuid4)
    last_started_at = models.DateTimeField(null=True, blank=True)
    last_finished_at = models.DateTimeField(null=True, blank=True)
    # What the last run did, or why it failed.
    last_outcome = models.CharField(max_length=EVENT_DETAIL_LENGTH, blank=True)
    has_failed = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.name
