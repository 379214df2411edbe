"""What a sender sends: new parcels and newer contents of recent ones, of all sizes, as the seed has it."""

import hashlib
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from awala.ramf import Recipient
from tests import factories
from tests.functional.private_gateway import ANOTHER_ADDRESS, PrivateGateway, in_whole_seconds
from tests.torture.history import INTERNET, Parcel, Version
from tests.torture.ledger import Ledger

KIB = 1024
# Upper limits of the payload and how often each is drawn.
SIZES = (0, 2 * KIB, 64 * KIB, 1024 * KIB)
WEIGHTS = (6, 64, 26, 4)
OVERRIDES = 0.2
RECENT = 8


@dataclass(frozen=True, kw_only=True)
class Shipment:
    """One request, ready to be sent."""

    version: Version
    octets: bytes
    headers: dict[str, str]


@dataclass(kw_only=True)
class Plan:
    """What one sender sends. With a `sending_gateway` it goes over PoWeb, and half of it to the Internet."""

    name: str
    ledger: Ledger
    recipients: Sequence[PrivateGateway]
    sending_gateway: PrivateGateway | None
    random: random.Random
    _recent: deque[Parcel] = field(default_factory=lambda: deque(maxlen=RECENT))
    _made: int = 0

    def __post_init__(self) -> None:
        self._chains = {recipient.node_id: recipient.chain for recipient in self.recipients}

    def make_shipment(self) -> Shipment:
        is_override = self._recent and self.random.random() < OVERRIDES
        parcel = self.random.choice(self._recent) if is_override else self._make_parcel()
        octets = self._serialize(parcel)
        version = self.ledger.add_version(parcel, octets)
        gateway = self.sending_gateway
        headers = gateway.delivery_headers(octets) if gateway else {"Content-Type": "application/vnd.awala.parcel"}
        return Shipment(version=version, octets=octets, headers=headers)

    def _make_parcel(self) -> Parcel:
        self._made += 1
        parcel_id = f"{self.name}-{self._made}"
        is_internet_bound = self.sending_gateway is not None and self.random.random() < 0.5
        parcel = Parcel(
            id=parcel_id,
            id_sha256=hashlib.sha256(parcel_id.encode()).hexdigest(),
            peer_id=INTERNET if is_internet_bound else self.random.choice(self.recipients).node_id,
            sending_peer_id=self.sending_gateway.node_id if self.sending_gateway else "",
        )
        self.ledger.add_parcel(parcel)
        self._recent.append(parcel)
        return parcel

    def _serialize(self, parcel: Parcel) -> bytes:
        payload = self._make_payload()
        created = in_whole_seconds(timedelta(minutes=-1))
        if parcel.is_internet_bound:
            recipient = Recipient(id=factories.id_of("internet endpoint"), internet_address=ANOTHER_ADDRESS)
            message = factories.internet_parcel(
                recipient=recipient, message_id=parcel.id, creation_date=created, payload=payload
            )
        else:
            chain = self._chains[parcel.peer_id]
            message = factories.private_parcel(chain, message_id=parcel.id, creation_date=created, payload=payload)
        return factories.serialized(message)

    def _make_payload(self) -> bytes:
        (limit,) = self.random.choices(SIZES, WEIGHTS)
        return self.random.randbytes(self.random.randint(0, limit))
