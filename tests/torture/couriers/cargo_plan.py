"""What private gateways give to couriers: parcels for each other and for the Internet, collection ACKs, and rubbish."""

import hashlib
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from awala.messages.parcel import Parcel
from awala.messages.parcel_collection_ack import ParcelCollectionAck
from awala.ramf import Recipient
from tests import factories
from tests.functional.couriers import make_cargo
from tests.functional.private_gateway import PrivateGateway, in_whole_seconds
from tests.torture.couriers.history import SentCargo, SentParcel
from tests.torture.couriers.ledger import CourierLedger

KIB = 1024
# Upper limits of the payload and how often each is drawn.
SIZES = (0, 2 * KIB, 48 * KIB)
SIZE_WEIGHTS = (5, 85, 10)
LARGE = 1024 * KIB
HAS_LARGE = 0.05
# Upper limits of the number of items; the last takes workers several batches.
NUMBERS = (4, 16, 40, 160)
NUMBER_WEIGHTS = (45, 35, 17, 3)
SENT_BEFORE = 0.04
COLLECTION_ACKS = 0.15
BAD_ITEMS = 0.06
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Shipment:
    cargo: SentCargo
    octets: bytes = field(repr=False)


@dataclass(kw_only=True)
class CargoPlan:
    """What one courier is given, as its seed has it."""

    name: str
    gateways: Sequence[PrivateGateway]
    internet_addresses: Sequence[str]
    ledger: CourierLedger
    random: random.Random
    _cargoes: int = 0
    _made: int = 0

    def __post_init__(self) -> None:
        self._templates: dict[str, Parcel] = {
            gateway.node_id: factories.private_parcel(gateway.chain) for gateway in self.gateways
        }
        for address in self.internet_addresses:
            recipient = Recipient(id=factories.id_of("internet endpoint"), internet_address=address)
            self._templates[address] = factories.internet_parcel(recipient=recipient)
        self._stranger = factories.private_parcel(factories.chain(gateway=factories.gateway_certificate("stranger")))
        self._sent: dict[str, deque[tuple[SentParcel, bytes]]] = {
            gateway.node_id: deque(maxlen=10) for gateway in self.gateways
        }

    def make(self) -> Shipment:
        self._cargoes += 1
        sender = self.random.choice(self.gateways)
        (limit,) = self.random.choices(NUMBERS, NUMBER_WEIGHTS)
        cargo = SentCargo(
            number=f"{self.name}-{self._cargoes}",
            sha256="",
            peer_id=sender.node_id,
            parcels=[],
            collection_acks=0,
            bad_items=0,
        )
        items = [self._make_item(cargo, sender) for _ in range(self.random.randint(1, limit))]
        if self.random.random() < HAS_LARGE:
            items.append(self._make_parcel(cargo, sender, self.random.randint(48 * KIB, LARGE)))
        octets = make_cargo(sender, items).serialized
        cargo.sha256 = hashlib.sha256(octets).hexdigest()
        self.ledger.add_cargo(cargo)
        return Shipment(cargo=cargo, octets=octets)

    def _make_item(self, cargo: SentCargo, sender: PrivateGateway) -> bytes:
        draw = self.random.random()
        if draw < BAD_ITEMS:
            cargo.bad_items += 1
            return self._make_bad_item(sender)
        if draw < BAD_ITEMS + COLLECTION_ACKS:
            ack = self._make_collection_ack(cargo, sender)
            if ack is not None:
                cargo.collection_acks += 1
                return ack
        if draw > 1 - SENT_BEFORE and (again := self._find_sent_before(cargo, sender)) is not None:
            return again
        (limit,) = self.random.choices(SIZES, SIZE_WEIGHTS)
        return self._make_parcel(cargo, sender, self.random.randint(0, limit))

    # ------------------------------------------------------------ parcels

    def _make_parcel(self, cargo: SentCargo, sender: PrivateGateway, size: int) -> bytes:
        is_internet_bound = self.random.random() < 0.5
        others = [gateway.node_id for gateway in self.gateways if gateway is not sender]
        place = self.random.choice(self.internet_addresses if is_internet_bound else others)
        self._made += 1
        octets, parcel = self._serialize(place, f"{self.name}-parcel-{self._made}", size)
        sent = SentParcel(
            id=parcel.id,
            sender_id=parcel.sender_certificate.node_id,
            recipient_id=parcel.recipient.id,
            sha256=hashlib.sha256(octets).hexdigest(),
            place=place,
            is_internet_bound=is_internet_bound,
        )
        cargo.parcels.append(sent)
        self._sent[sender.node_id].append((sent, octets))
        return octets

    def _serialize(self, place: str, parcel_id: str, size: int) -> tuple[bytes, Parcel]:
        created, payload = in_whole_seconds(-_MINUTE), self.random.randbytes(size)
        parcel = replace(self._templates[place], id=parcel_id, creation_date=created, payload=payload)
        return factories.serialized(parcel), parcel

    def _find_sent_before(self, cargo: SentCargo, sender: PrivateGateway) -> bytes | None:
        """A parcel that was in an earlier cargo of the same private gateway, too."""
        earlier = [sent for sent in self._sent[sender.node_id] if sent[0] not in cargo.parcels]
        if not earlier:
            return None
        parcel, octets = self.random.choice(earlier)
        cargo.parcels.append(parcel)
        return octets

    # ------------------------------------------------------------ what is no parcel to deliver

    def _make_collection_ack(self, cargo: SentCargo, sender: PrivateGateway) -> bytes | None:
        """For what has arrived at the private gateway, or, as it must not, for what goes to another one."""
        is_hostile = self.random.random() < 0.3
        others = [parcel for parcel in cargo.parcels if not parcel.is_internet_bound]
        choices = others if is_hostile else self.ledger.find_recent_arrivals(sender.node_id)
        if not choices:
            return None
        parcel = self.random.choice(choices)
        return ParcelCollectionAck(
            sender_endpoint_id=parcel.sender_id, recipient_endpoint_id=parcel.recipient_id, parcel_id=parcel.id
        ).serialize()

    def _make_bad_item(self, sender: PrivateGateway) -> bytes:
        make: Callable[[PrivateGateway], bytes] = self.random.choice(
            (self._make_noise, self._forge_parcel, self._make_expired, self._make_unauthorised, self._nest)
        )
        return make(sender)

    def _make_noise(self, _sender: PrivateGateway) -> bytes:
        return self.random.randbytes(self.random.randint(0, 500))

    def _forge_parcel(self, _sender: PrivateGateway) -> bytes:
        octets, _ = self._serialize(self.random.choice(list(self._templates)), "forged", 300)
        return octets[:-1] + bytes([octets[-1] ^ 1])

    def _make_expired(self, _sender: PrivateGateway) -> bytes:
        template = self._templates[self.random.choice(list(self._templates))]
        return factories.serialized(replace(template, creation_date=in_whole_seconds(-5 * _MINUTE), ttl_seconds=60))

    def _make_unauthorised(self, _sender: PrivateGateway) -> bytes:
        return factories.serialized(replace(self._stranger, creation_date=in_whole_seconds(-_MINUTE)))

    def _nest(self, sender: PrivateGateway) -> bytes:
        return make_cargo(sender).serialized
