"""Private gateways that have registered, the endpoints behind them, and those who may write to them."""

import itertools
import os
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from awala.pki import issuance
from awala.pki.certificate import Certificate
from tests import factories
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import PARCEL_TYPE, PrivateGateway, in_whole_seconds

PEERS = 10
SENDERS_PER_PEER = 5

_serial_numbers = itertools.count(1_000)


@dataclass(frozen=True, kw_only=True)
class Collector:
    """What a private gateway collects with."""

    private_key: RSAPrivateKey
    certificate: Certificate


@dataclass(frozen=True, kw_only=True)
class Population:
    """`chains` has one for each sender; the peers take turns in it."""

    peers: Sequence[PrivateGateway]
    chains: Sequence[factories.Chain]

    @classmethod
    def register(cls, gateway: GatewayProcess, *, peers: int = PEERS, senders: int = SENDERS_PER_PEER) -> Self:
        """Needs the gateway's PoWeb. Keys go by name, so that several gateways are given the same nodes."""
        registered = [PrivateGateway.register(gateway, f"peer {number}") for number in range(peers)]
        chains = [
            _authorize(peer, f"sender {number} to {peer.name}") for number in range(senders) for peer in registered
        ]
        return cls(peers=registered, chains=chains)

    def make_parcels(self, number: int, payload_size: int, *, new_senders: bool = False) -> list[bytes]:
        """Parcels of the senders in turn. New senders have authorisations that no gateway has seen."""
        chains = itertools.islice(itertools.cycle(self.chains), number)
        return [make_parcel(_reauthorize(chain) if new_senders else chain, payload_size) for chain in chains]

    def make_parcels_for(self, peer: PrivateGateway, number: int, payload_size: int) -> list[bytes]:
        chains = [chain for chain in self.chains if chain.private_gateway == peer.certificate]
        turns = itertools.islice(itertools.cycle(chains), number)
        return [make_parcel(chain, payload_size) for chain in turns]


def make_parcel(chain: factories.Chain, payload_size: int) -> bytes:
    parcel = factories.private_parcel(
        chain,
        message_id=str(uuid.uuid4()),
        creation_date=in_whole_seconds(timedelta(minutes=-1)),
        ttl_seconds=86_400,
        payload=os.urandom(payload_size),
    )
    return factories.serialized(parcel)


def make_collector(peer: PrivateGateway) -> Collector:
    return Collector(private_key=factories.private_key_of(peer.certificate), certificate=peer.certificate)


def make_requests(parcels: Iterable[bytes]) -> list[bytes]:
    """Whole PoHTTP requests, ready to be sent."""
    return [make_head("/", len(parcel)) + parcel for parcel in parcels]


def make_head(path: str, length: int, **headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {PARCEL_TYPE}",
        f"Content-Length: {length}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join((*lines, "", "")).encode()


def _authorize(peer: PrivateGateway, sender: str) -> factories.Chain:
    endpoint = factories.endpoint_certificate(f"endpoint of {peer.name}", issuer=peer.certificate)
    return factories.Chain(
        gateway=peer.gateway_certificate,
        private_gateway=peer.certificate,
        endpoint=endpoint,
        authorization=factories.delivery_authorization(sender, issuer=endpoint),
    )


def _reauthorize(chain: factories.Chain) -> factories.Chain:
    authorization = issuance.issue_delivery_authorization(
        subject_public_key=factories.private_key_of(chain.authorization).public_key(),
        issuer_private_key=factories.private_key_of(chain.endpoint),
        issuer_certificate=chain.endpoint,
        not_before=factories.NOT_BEFORE,
        not_after=factories.NOT_AFTER,
        serial_number=next(_serial_numbers),
    )
    return replace(chain, authorization=authorization)
