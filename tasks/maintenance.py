"""Upkeep, by the clock: Beat sends both, and the database knows what there is to do."""

from django.utils import timezone

from gateway.celery import app
from gateway.services.maintain import maintain as do_maintain
from gateway.services.sweep import sweep as do_sweep


@app.task(name="tasks.maintenance.sweep")
def sweep() -> None:
    """Send hints again about whatever is due."""
    do_sweep(timezone.now())


@app.task(name="tasks.maintenance.maintain")
def maintain() -> None:
    """Expiry, renewal and clearing up."""
    do_maintain(timezone.now())
