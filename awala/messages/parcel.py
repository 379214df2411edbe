"""Parcels: what endpoints send each other (RS-000); their payload is opaque to gateways."""

from dataclasses import dataclass
from typing import ClassVar

from awala.limits import MAX_CARGO_ITEM_SIZE
from awala.ramf import RAMFMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel(RAMFMessage):
    """A parcel. The largest ones that RAMF allows travel online only: see :func:`fits_in_cargo`."""

    TYPE: ClassVar[int] = 0x50


def fits_in_cargo(parcel_size: int) -> bool:
    """Say whether a serialised parcel of so many octets can be an item of a CargoMessageSet (RS-001)."""
    return parcel_size <= MAX_CARGO_ITEM_SIZE
