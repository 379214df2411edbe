"""CargoCollectionAuthorization (CCA): lets a courier collect the cargo of a private gateway (RS-000)."""

from dataclasses import dataclass
from typing import ClassVar

from awala.ramf import RAMFMessage


@dataclass(frozen=True, kw_only=True, slots=True)
class CargoCollectionAuthorization(RAMFMessage):
    """A CCA; its payload is an EnvelopedData value with a cargo collection request."""

    TYPE: ClassVar[int] = 0x44
