"""Unwraps cargo: takes its messages out, one batch after another, and does what each asks for.

What survives a crash at each step: the cargo is on record until its last item is done with. Each batch's objects are
durable before one transaction writes the batch's rows together with how far the cargo is, so that a restart goes on
after the last batch that was committed; of a batch that was not, objects without rows may remain, which a sweep
removes. Hints may be lost.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import structlog
from django.utils import timezone

from awala.errors import AwalaError, InvalidMessageError, UnauthorizedSenderError
from awala.messages.cargo import Cargo
from awala.messages.cargo_message_set import CargoMessageSet
from awala.sessions import unwrap_payload
from gateway.durable_intake import discard_object, keep_all_durably
from gateway.errors import GatewayError, ObjectMissingError, UnknownKeyError
from gateway.group_commit import commit_together
from gateway.keystores import get_keystore
from gateway.metrics import count_cargo_items, count_opened_cargo
from gateway.models import Event, IncomingCargo, record_errors
from gateway.refusals import note_refusal
from gateway.services.admit_parcel import AdmittedParcel
from gateway.services.apply_collection_acks import apply_collection_acks
from gateway.services.lease_cargo import (
    LeaseLostError,
    change_leased_cargo,
    describe,
    lease_cargo,
    postpone_cargo,
    prolonged_lease,
)
from gateway.services.record_parcels import Recorded, announce, find_repeated, record_parcels
from gateway.services.remember_peer_key import remember_peer_key
from gateway.services.sort_cargo_items import SortedItems, sort_items, split_into_batches
from gateway.storage import load_object

OUTCOMES: Final[Mapping[type, IncomingCargo.State]] = MappingProxyType(
    {
        InvalidMessageError: IncomingCargo.State.INVALID,
        UnknownKeyError: IncomingCargo.State.INVALID,
        ObjectMissingError: IncomingCargo.State.INVALID,
        GatewayError: IncomingCargo.State.PENDING,
    }
)
"""What becomes of a cargo that cannot be opened, by the error or the nearest class above it."""

log = structlog.get_logger(__name__)

Clock = Callable[[], datetime]


def unwrap_cargo(cargo_id: UUID, clock: Clock = timezone.now) -> None:
    """Unwrap the cargo, if it is due; go on where another worker has stopped.

    What makes the cargo itself worthless settles it as invalid; what fails on our side puts it off. Either is on its
    row, and nothing is raised but what nobody has foreseen.
    """
    cargo = lease_cargo(cargo_id, clock())
    if cargo is None:
        return
    try:
        _unwrap(cargo, clock)
    except LeaseLostError:
        log.warning("cargo_lease_lost", cargo_row_id=str(cargo.id), private_peer_id=cargo.peer_id)
    except Exception as error:
        postpone_cargo(cargo, error, clock())
        count_opened_cargo("failed")
        if not isinstance(error, GatewayError):
            raise
        log.warning(
            "cargo_postponed",
            cargo_row_id=str(cargo.id),
            private_peer_id=cargo.peer_id,
            reason=describe(error),
            attempts=cargo.attempts,
            exc_info=error,
        )


def _unwrap(cargo: IncomingCargo, clock: Clock) -> None:
    try:
        items = _open(cargo, clock())
    except (AwalaError, GatewayError) as error:
        if find_outcome(error) != IncomingCargo.State.INVALID:
            raise
        _refuse(cargo, error, clock())
        return
    skipped = Counter({"before an interruption": cargo.skipped_items}) if cargo.skipped_items else Counter()
    for batch in split_into_batches(items[cargo.items_done :]):
        skipped += _process(cargo, batch, clock())
    _settle(cargo, skipped, clock())


def find_outcome(error: Exception) -> IncomingCargo.State | None:
    """The state that the error leaves a cargo in; None for those that nobody has foreseen, which put it off as well."""
    return next((OUTCOMES[error_class] for error_class in type(error).__mro__ if error_class in OUTCOMES), None)


def _open(cargo: IncomingCargo, now: datetime) -> Sequence[bytes]:
    """The items in the cargo. Its dates and path were checked when it was accepted, and may have ended since."""
    message = Cargo.deserialize(load_object(cargo.object_key))
    if message.sender_certificate.node_id != cargo.peer_id:
        raise UnauthorizedSenderError("Cargo is signed by another peer than it was accepted from")
    unwrapped = unwrap_payload(message, get_keystore())
    remember_peer_key(cargo.peer_id, unwrapped.peer_key, message.creation_date, now)
    return CargoMessageSet.deserialize(unwrapped.plaintext).items


# ---------------------------------------------------------------- A batch


def _process(cargo: IncomingCargo, batch: Sequence[bytes], now: datetime) -> Counter[str]:
    """Do what the items of a batch ask for; returns how many were skipped, by reason."""
    found = sort_items(batch, cargo.peer_id, now)
    # Looked for before objects are written, since cargo may bring what came by another way.
    with record_errors():
        repeated = find_repeated(found.parcels)
    known = {parcel.row_id for parcel in repeated}
    new = [parcel for parcel in found.parcels if parcel.row_id not in known]
    objects = {parcel.object_key: parcel.octets for parcel in new}
    recorded = keep_all_durably(objects, lambda: _write(cargo, found, new, now))
    for name, value in _progress(cargo, found, now).items():
        setattr(cargo, name, value)
    for object_key in recorded.garbage:
        discard_object(object_key)
    recorded.repeated.extend(repeated)
    announce(recorded)
    count_cargo_items(
        parcel=len(recorded.kept),
        repeated_parcel=len(recorded.repeated),
        collection_ack=len(found.collection_acks),
        ignored=found.rotations,
        skipped=found.skipped.total(),
    )
    return found.skipped


def _write(cargo: IncomingCargo, found: SortedItems, new: Sequence[AdmittedParcel], now: datetime) -> Recorded:
    """Write everything that a batch changes, within a transaction; safe to do twice."""
    # First, so that of two workers at one cargo the second waits here, and then finds that it has no lease.
    change_leased_cargo(cargo, **_progress(cargo, found, now))
    # Before the parcels: an ACK that names one of them can only mean a version that was here before.
    collected_keys = apply_collection_acks(found.useful_acks, cargo.peer_id, now)
    recorded = record_parcels(new)
    recorded.garbage.extend(collected_keys)
    return recorded


def _progress(cargo: IncomingCargo, found: SortedItems, now: datetime) -> dict[str, Any]:
    """The columns that say how far the cargo is once a batch is done, and keep the lease."""
    return {
        "items_done": cargo.items_done + found.number,
        "parcels": cargo.parcels + len(found.parcels),
        "collection_acks": cargo.collection_acks + len(found.collection_acks),
        "skipped_items": cargo.skipped_items + found.skipped.total(),
        **prolonged_lease(cargo, now),
    }


# ---------------------------------------------------------------- The end


def _settle(cargo: IncomingCargo, skipped: Counter[str], now: datetime) -> None:
    _end(cargo, IncomingCargo.State.UNWRAPPED, now)
    count_opened_cargo("unwrapped")
    log.info(
        "cargo_unwrapped",
        cargo_row_id=str(cargo.id),
        private_peer_id=cargo.peer_id,
        parcels=cargo.parcels,
        collection_acks=cargo.collection_acks,
        skipped_items=cargo.skipped_items,
    )
    if skipped:
        counts = ", ".join(f"{reason}: {number}" for reason, number in sorted(skipped.items()))
        note_refusal(Event.Kind.CARGO_ITEMS_SKIPPED, counts, peer_id=cargo.peer_id, subject_id=cargo.id)
    discard_object(cargo.object_key)


def _refuse(cargo: IncomingCargo, error: Exception, now: datetime) -> None:
    """Settle a cargo that nobody can unwrap; its object is kept for a while, for an operator to look at."""
    reason = describe(error)
    _end(cargo, IncomingCargo.State.INVALID, now, last_error=reason)
    count_opened_cargo("invalid")
    note_refusal(Event.Kind.CARGO_INVALID, reason, peer_id=cargo.peer_id, subject_id=cargo.id)


def _end(cargo: IncomingCargo, state: str, now: datetime, **changes: Any) -> None:
    def move() -> None:
        if not copy(cargo).advance(state, settled_at=now, lease_id=None, leased_until=None, **changes):
            raise LeaseLostError

    with record_errors():
        commit_together(move)
