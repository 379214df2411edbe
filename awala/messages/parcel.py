"""Parcels: what endpoints send each other (RS-000); their payload is opaque to gateways."""

from dataclasses import dataclass
from typing import ClassVar

from awala.limits import MAX_PARCEL_SIZE
from awala.ramf import RAMFMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class Parcel(RAMFMessage):
    """A parcel, small enough to fit in cargo."""

    TYPE: ClassVar[int] = 0x50
    MAX_SIZE: ClassVar[int] = MAX_PARCEL_SIZE
