"""Cargo: what couriers carry between private and Internet gateways (RS-000)."""

from dataclasses import dataclass
from typing import ClassVar

from awala.ramf import RAMFMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class Cargo(RAMFMessage):
    """A cargo; its payload is an EnvelopedData value with a cargo message set."""

    TYPE: ClassVar[int] = 0x43
