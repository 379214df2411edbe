"""CRC: what couriers brought is taken out of its cargo."""

from uuid import UUID

from gateway.celery import app
from gateway.services.unwrap_cargo import unwrap_cargo as unwrap


@app.task(name="tasks.crc.unwrap_cargo")
def unwrap_cargo(cargo_id: str) -> None:
    unwrap(UUID(cargo_id))
