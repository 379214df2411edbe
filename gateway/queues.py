"""Hints to the workers that something is due; each may be lost, since the database is the truth."""

import uuid


def hint_cargo(cargo_id: uuid.UUID) -> None:
    """Hint from any thread that a cargo waits to be unwrapped; returns at once and never raises."""


def hint_outgoing_parcel(parcel_id: uuid.UUID, destination: str) -> None:
    """Hint from any thread that a parcel is due for a destination; returns at once and never raises."""
