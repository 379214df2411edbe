"""Takes in cargo that couriers bring from private gateways.

What survives a crash at each step: before the row is committed, at most an object that no row names, which a sweep
removes, and the courier has no answer and tries again; after it, everything. The hint to unwrap it may be lost.
"""

import hashlib
from datetime import datetime

import structlog

from awala.messages.cargo import Cargo
from gateway.durable_intake import discard_object, keep_durably
from gateway.models import Event, IncomingCargo
from gateway.queues import hint_cargo
from gateway.refusals import note_refusal
from gateway.services.authenticate_peer import authenticate_sender

log = structlog.get_logger(__name__)


def receive_cargo(cargo_serialized: bytes, now: datetime) -> None:
    """Store a cargo until it is unwrapped; one that was stored before is accepted again and not stored again.

    Raises `InvalidMessageError`, `UnavailableError` or `KeyUnavailableError`, and keeps nothing then.
    """
    cargo = Cargo.deserialize(cargo_serialized)
    cargo.check_timing(now)
    row = IncomingCargo(
        peer_id=authenticate_sender(cargo, now),
        cargo_id_sha256=hashlib.sha256(cargo.id.encode("latin-1")).hexdigest(),
        sha256=hashlib.sha256(cargo_serialized).hexdigest(),
        object_key=IncomingCargo.make_object_key(),
        size=len(cargo_serialized),
        received_at=now,
        next_attempt_at=now,
        expires_at=cargo.expiry,
    )
    # Not looked for first: couriers seldom repeat what they have brought, and each search costs as much as the rest.
    if _keep(row, cargo_serialized):
        log.info(
            "cargo_stored",
            cargo_id=cargo.id,
            cargo_row_id=str(row.id),
            private_peer_id=row.peer_id,
            size=row.size,
        )
        hint_cargo(row.id)
    else:
        note_refusal(Event.Kind.CARGO_REPEATED, "The same cargo was stored before", peer_id=row.peer_id)


def _keep(row: IncomingCargo, cargo_serialized: bytes) -> bool:
    """Store object and row; False if the cargo is there already."""

    def is_ours() -> bool:
        # It may have been us: a commit that seemed to fail, and was carried out.
        return IncomingCargo.objects.filter(object_key=row.object_key).exists()

    is_new = keep_durably(row.object_key, cargo_serialized, lambda: True, row, otherwise=is_ours)
    if not is_new:
        discard_object(row.object_key)
    return is_new
