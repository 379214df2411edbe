"""A device on the published clients, online and off: a private gateway with one endpoint behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from tests.functional.android_courier import MAX_DELIVERY_SIZE, takes_cargo
from tests.functional.npm_cargo_values import CargoItem, CourierServer, MadePing, NpmPrivateGateway, UnwrappedCargo
from tests.functional.npm_clients import (
    Identity,
    MadeParcel,
    NpmClients,
    ParsedParcel,
    PublicSessionKey,
    Registration,
    Server,
    SessionKeyPair,
    Signer,
)

Route = Literal["poweb", "cargo"]

PATIENCE_SECONDS = 20.0
# What a CargoDelivery message has besides its cargo.
_ENVELOPE_SIZE = 64
_COLLECTION_INTERVAL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Where the servers of one gateway are, whatever processes they are in."""

    poweb: Server
    pohttp_url: str
    cogrpc: CourierServer


@dataclass(frozen=True, kw_only=True)
class Received:
    """A parcel that reached its private gateway, which found it valid."""

    parcel: ParsedParcel
    serialized: bytes = field(repr=False)
    cargo: UnwrappedCargo | None
    """In which it came, unless it came over PoWeb."""


@dataclass(frozen=True, kw_only=True)
class NpmDevice:
    npm: NpmClients
    edges: Edges
    registration: Registration
    private_gateway: Signer
    cargo_gateway: NpmPrivateGateway
    """The same private gateway where it deals in cargo."""
    endpoint: Signer
    session_key: SessionKeyPair
    """Of the endpoint: what pings to it are encrypted to."""

    @classmethod
    def register(cls, npm: NpmClients, edges: Edges, *, reissue: Callable[[Identity], bytes] | None = None) -> Self:
        """`reissue` makes another certificate than that which it got."""
        identity = npm.generate_identity()
        registration = npm.register(edges.poweb, identity)
        certificate_der = reissue(identity) if reissue else registration.certificate_der
        registration = replace(registration, certificate_der=certificate_der)
        endpoint = npm.generate_identity()
        endpoint_der = npm.issue_certificate(
            "endpoint", endpoint, issuer=identity, issuer_certificate_der=certificate_der
        )
        return cls(
            npm=npm,
            edges=edges,
            registration=registration,
            private_gateway=Signer(identity=identity, certificate_der=certificate_der),
            cargo_gateway=npm.create_private_gateway(identity, registration),
            endpoint=Signer(identity=endpoint, certificate_der=endpoint_der),
            session_key=npm.generate_session_key(),
        )

    @property
    def chain(self) -> list[bytes]:
        """What those whom the endpoint authorises attach to their parcels."""
        return [self.endpoint.certificate_der, self.private_gateway.certificate_der]

    def authorize(self, sender: Identity) -> Signer:
        """Let a sender write to the endpoint."""
        certificate_der = self.npm.issue_certificate(
            "delivery-authorization",
            sender,
            issuer=self.endpoint.identity,
            issuer_certificate_der=self.endpoint.certificate_der,
        )
        return Signer(identity=sender, certificate_der=certificate_der)

    def make_parcel(self, sender: Signer, payload_size: int = 500) -> MadeParcel:
        """For the endpoint, by a sender that it authorised."""
        return self.npm.make_parcel(
            sender,
            self.endpoint.identity.node_id,
            payload_size=payload_size,
            chain=self.chain,
            creation_offset_seconds=-60,
            ttl_seconds=86_400,
        )

    # ------------------------------------------------------------------ out

    def send(self, route: Route, *messages: bytes) -> None:
        """Over PoWeb parcels alone can be sent."""
        if route == "poweb":
            for parcel in messages:
                self.npm.deliver_parcel_poweb(self.edges.poweb, self.private_gateway, parcel)
            return
        cargoes = [made.serialized for made in self.npm.make_cargoes(self.cargo_gateway, messages)]
        delivery = self.npm.deliver_cargo(self.edges.cogrpc, cargoes).check()
        assert sorted(delivery.acknowledged) == list(range(len(cargoes)))

    def ping_internet(self, recipient: Identity, session_key: PublicSessionKey, internet_address: str) -> MadePing:
        """A ping to an Internet endpoint, to be sent."""
        return self._make_ping(recipient, session_key, internet_address)

    def ping_device(self, other: "NpmDevice") -> MadePing:
        """A ping to the endpoint of another device of the same gateway, to be sent."""
        return self._make_ping(
            other.endpoint.identity,
            other.session_key.public,
            other.registration.internet_address,
            authorization_der=other.authorize(self.endpoint.identity).certificate_der,
            chain=other.chain,
        )

    def _make_ping(
        self,
        recipient: Identity,
        session_key: PublicSessionKey,
        internet_address: str,
        *,
        authorization_der: bytes | None = None,
        chain: list[bytes] | None = None,
    ) -> MadePing:
        return self.npm.make_ping(
            self.endpoint,
            self.private_gateway.certificate_der,
            internet_address=self.registration.internet_address,
            recipient_spki_der=recipient.spki_der,
            recipient_id=recipient.node_id,
            recipient_session_key=session_key,
            recipient_internet_address=internet_address,
            authorization_der=authorization_der,
            chain=chain or [],
        )

    def answer(self, route: Route, ping_serialized: bytes) -> None:
        """Send the pong to a ping that came."""
        self.send(route, self.npm.answer_ping(self.endpoint.identity, self.session_key, ping_serialized).serialized)

    def make_pca(self, parcel: ParsedParcel) -> bytes:
        """To be sent in cargo, once the parcel has come."""
        return self.npm.make_pca(sender_id=parcel.sender_id, recipient_id=parcel.recipient_id, parcel_id=parcel.id)

    # ------------------------------------------------------------------ home

    def receive(self, route: Route) -> Received:
        """The next parcel over PoWeb, or the first in the next cargo that holds one; raises TimeoutError."""
        return self._receive_over_poweb() if route == "poweb" else self._receive_in_cargo()

    def _receive_over_poweb(self) -> Received:
        with self.npm.collect(
            self.edges.poweb, [self.private_gateway], mode="keep-alive", parse=True, keep_serialized=True
        ) as collection:
            collected = collection.next_parcel(timeout=PATIENCE_SECONDS)
            collection.wait_until_acknowledged(1)
            collection.stop()
        assert collected.invalid is None
        assert collected.serialized is not None
        return Received(parcel=self.npm.parse_parcel(collected.serialized), serialized=collected.serialized, cargo=None)

    def _receive_in_cargo(self) -> Received:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for cargo in self.collect_cargo():
                for item in cargo.valid_parcels:
                    return _received(item, cargo)
            time.sleep(_COLLECTION_INTERVAL_SECONDS)
        raise TimeoutError(f"No parcel came in cargo within {PATIENCE_SECONDS} s")

    def collect_cargo(self) -> list[UnwrappedCargo]:
        """All that a courier gets for a new CCA. An Android courier would take it, too."""
        cca = self.npm.make_cca(self.cargo_gateway)
        collection = self.npm.collect_cargo(self.edges.cogrpc, cca).check()
        for cargo in collection.cargoes:
            assert takes_cargo(cargo.serialized)
            assert len(cargo.serialized) + _ENVELOPE_SIZE < MAX_DELIVERY_SIZE
        unwrapped = [self.npm.unwrap_cargo(self.cargo_gateway, cargo.serialized) for cargo in collection.cargoes]
        assert all(item.invalid is None for cargo in unwrapped for item in cargo.items)
        return unwrapped

    def read_pong(self, received: Received, ping: MadePing) -> str:
        """The id in the pong."""
        return self.npm.unwrap_parcel(received.serialized, ping.session_key).content.decode()


def _received(item: CargoItem, cargo: UnwrappedCargo) -> Received:
    assert item.parcel is not None
    return Received(parcel=item.parcel, serialized=item.serialized, cargo=cargo)
