"""Tells apart what a cargo holds: parcels, collection ACKs, and what is passed over, each for its reason."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

import structlog

from awala.errors import (
    DecryptionError,
    InvalidMessageError,
    InvalidSignatureError,
    MalformedMessageError,
    OversizedMessageError,
    UnauthorizedSenderError,
    UntimelyMessageError,
)
from awala.messages.cargo import Cargo
from awala.messages.cargo_collection_authorization import CargoCollectionAuthorization
from awala.messages.certificate_rotation import CertificateRotation
from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.ramf import format_header
from gateway.errors import GatewayError
from gateway.services.admit_parcel import AdmittedParcel, admit_parcel_from_peer

# What is done with at once, between two commits: a matter of seconds at the most, on the slowest store. Only items
# that may be messages count: a cargo of 131 KB could hold 65 536 empty ones, and each batch costs a flush of the disk.
MAX_BATCH_ITEMS = 64
MAX_BATCH_OCTETS = 4 * 2**20

_PARCEL: Final = format_header(Parcel.TYPE)
_COLLECTION_ACK: Final = format_header(ParcelCollectionAck.TYPE)
_ROTATION: Final = format_header(CertificateRotation.TYPE)
_NESTED: Final = frozenset({format_header(Cargo.TYPE), format_header(CargoCollectionAuthorization.TYPE)})
_HEADER_SIZE: Final = len(_PARCEL)
# What messages of all types begin with.
_MAGIC: Final = _PARCEL[:-2]
# What every node that a parcel is stored for or from is called; other names are those of nobody (protocol section 1).
_NODE_ID: Final = re.compile(r"0[0-9a-f]{64}", re.ASCII)

REASONS: Final[Mapping[type, str]] = MappingProxyType(
    {
        MalformedMessageError: "malformed",
        OversizedMessageError: "oversized",
        InvalidSignatureError: "bad signature",
        UntimelyMessageError: "untimely",
        UnauthorizedSenderError: "unauthorised",
        DecryptionError: "cannot be decrypted",
        InvalidMessageError: "invalid",
    }
)
"""Why an item is skipped, by the error that reading it raises, or by the nearest class above that."""

UNFORESEEN: Final = "unforeseen"

log = structlog.get_logger(__name__)


@dataclass(kw_only=True, slots=True)
class SortedItems:
    """The items of one batch. Those skipped are counted by reason."""

    number: int
    parcels: list[AdmittedParcel] = field(default_factory=list)
    collection_acks: list[ParcelCollectionAck] = field(default_factory=list)
    rotations: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def useful_acks(self) -> list[ParcelCollectionAck]:
        """Those that may be of parcels that were stored here."""
        return [
            ack
            for ack in self.collection_acks
            if _NODE_ID.fullmatch(ack.sender_endpoint_id) and _NODE_ID.fullmatch(ack.recipient_endpoint_id)
        ]


def split_into_batches(items: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Cut the items, in their order, into batches of bounded number and size; an item is never cut."""
    start = size = messages = 0
    for position, item in enumerate(items):
        is_message = _may_be_message(item)
        is_full = messages + is_message > MAX_BATCH_ITEMS or size + len(item) > MAX_BATCH_OCTETS
        if position > start and is_full:
            yield items[start:position]
            start, size, messages = position, 0, 0
        size += len(item)
        messages += is_message
    if start < len(items):
        yield items[start:]


def _may_be_message(item: bytes) -> bool:
    return len(item) > _HEADER_SIZE and item.startswith(_MAGIC)


def sort_items(items: Sequence[bytes], peer_id: str, now: datetime) -> SortedItems:
    """Read and validate items that the peer sent; a bad one is counted, and does not hurt the others.

    What fails on our side is raised as a `GatewayError`: no item is to blame for it.
    """
    found = SortedItems(number=len(items))
    for item in items:
        try:
            _sort(item, found, peer_id, now)
        except InvalidMessageError as error:
            found.skipped[find_reason(error)] += 1
        except (GatewayError, MemoryError):
            raise
        except Exception:
            # A fault of ours that this item brings to light would do so at each attempt, and the cargo's other
            # messages would wait for ever.
            found.skipped[UNFORESEEN] += 1
            if found.skipped[UNFORESEEN] == 1:
                log.exception("cargo_item_failed", private_peer_id=peer_id)
    return found


def find_reason(error: InvalidMessageError) -> str:
    return next(REASONS[error_class] for error_class in type(error).__mro__ if error_class in REASONS)


def _sort(item: bytes, found: SortedItems, peer_id: str, now: datetime) -> None:
    header = item[:_HEADER_SIZE]
    if header == _PARCEL:
        found.parcels.append(admit_parcel_from_peer(item, peer_id, now))
    elif header == _COLLECTION_ACK:
        found.collection_acks.append(ParcelCollectionAck.deserialize(item))
    elif header == _ROTATION:
        # Only Internet gateways have certificates to bring (protocol section 11).
        found.rotations += 1
    elif not item:
        found.skipped["empty"] += 1
    elif header in _NESTED:
        found.skipped["nested"] += 1
    else:
        found.skipped["unknown type"] += 1
