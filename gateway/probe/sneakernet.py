"""The second part of the story: a courier between device A, who is offline, and the gateway.

A's cargo holds a parcel for the endpoint behind B, who is online, and a ping for an endpoint on the Internet. The
pong comes home in the cargo that the courier collects. Without a pong endpoint, a parcel from the Internet does.
"""

import secrets
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from awala.clients.cogrpc import CogRPCClient
from awala.clients.collection import Collection, StreamingMode
from awala.clients.errors import CollectedAlreadyError, ServerUnavailableError
from awala.clients.pohttp import deliver_parcel
from awala.clients.poweb import PoWebClient
from awala.pki.keys import generate_rsa_key
from gateway.probe.cargo import CargoDesk, OpenedCargo, acknowledge
from gateway.probe.nodes import AuthorizedSender, PrivateEndpoint, PrivateGateway
from gateway.probe.pong import PongEndpoint, SentPing, make_ping
from gateway.probe.pong_server import PongServer
from gateway.probe.steps import (
    LateCargoError,
    LatePingError,
    Timeline,
    UnmetExpectationError,
    UnservedCouriersError,
    expect,
)
from gateway.probe.target import Target

# Couriers wait so long between delivering and collecting, so that answers can come along (RS-000).
COURIER_WAITS_SECONDS: Final = 5
_A, _B, _COURIER, _PONG, _INTERNET = "Device A", "Device B", "Courier", "Pong", "Internet"
_PAYLOAD_SIZE: Final = 1_024
_BETWEEN_LOOKS_SECONDS: Final = 0.2


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays, from the first part of the story."""

    a: PrivateGateway
    b: PrivateGateway
    endpoint_a: PrivateEndpoint
    a_to_b: AuthorizedSender
    internet_to_a: AuthorizedSender


@dataclass(frozen=True, kw_only=True)
class _Pong:
    """The endpoint on the Internet, and where its parcels come in."""

    endpoint: PongEndpoint
    server: PongServer


@dataclass(frozen=True, kw_only=True)
class _Letter:
    """What comes home to A, and what it is called."""

    name: str
    parcel_serialized: bytes


def play_sneakernet(
    target: Target, timeline: Timeline, client: PoWebClient, cast: Cast, pong_server: PongServer | None
) -> None:
    """Raises `StepFailedError` at the first step that fails. Without a server the gateway cannot reach the pong."""
    with CogRPCClient(
        target.cogrpc_address,
        tls=target.uses_tls_for_cogrpc,
        root_certificates=_load_authorities(),
        timeout=target.timeout_seconds,
    ) as courier:
        _Sneakernet(target, timeline, client, cast, courier).play(pong_server)


def _load_authorities() -> bytes | None:
    """Those that the other clients trust, SSL_CERT_FILE included; else gRPC brings its own."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else None


class _Sneakernet:
    def __init__(
        self, target: Target, timeline: Timeline, client: PoWebClient, cast: Cast, courier: CogRPCClient
    ) -> None:
        self._target = target
        self._step = timeline.step
        self._client = client
        self._cast = cast
        self._courier = courier
        self._desk = CargoDesk(cast.a)

    def play(self, pong_server: PongServer | None) -> None:
        pong = self._open_pong(pong_server) if pong_server else None
        to_b = self._cast.a_to_b.make_parcel(secrets.token_bytes(_PAYLOAD_SIZE), _now())
        ping = self._make_ping(pong.endpoint) if pong else None
        parcels = [to_b, ping.parcel_serialized] if ping else [to_b]
        delivered_at = self._send(parcels, to_b)
        letter = self._answer(ping, pong) if ping and pong else self._write_home()
        self._check_promptness(delivered_at)
        cca = self._collect(parcels, letter, ping)
        self._collect_twice(cca)
        self._acknowledge(letter)
        self._expect_forgotten(letter)
        self._deliver_garbage(parcels)

    # ------------------------------------------------------------------ from A to the gateway, and on

    def _open_pong(self, server: PongServer) -> _Pong:
        with self._step(_PONG, "makes its keys") as findings:
            endpoint = PongEndpoint(generate_rsa_key(), server.place.internet_address)
            findings.detail = f"{server.place}"
        return _Pong(endpoint=endpoint, server=server)

    def _make_ping(self, pong: PongEndpoint) -> SentPing:
        return make_ping(self._cast.endpoint_a, pong, self._cast.a.registration.gateway_internet_address, _now())

    def _send(self, parcels: list[bytes], to_b: bytes) -> float:
        """Returns when the gateway had acknowledged the cargo."""
        with self._step(_A, "packs cargo") as findings:
            cargo = self._desk.make_cargo(parcels, _now())
            content = "a parcel for B and a ping" if len(parcels) > 1 else "a parcel for B"
            findings.detail = f"{content}, in {len(cargo):,} octets"
        with ExitStack() as stack:
            with self._step(_B, "opens a collection") as findings:
                collection = stack.enter_context(self._client.collect([self._cast.b.signer], StreamingMode.KEEP_ALIVE))
                findings.detail = "PoWeb, over WebSocket, kept alive"
            self._deliver(cargo, "delivers A's cargo", "CogRPC, acknowledged")
            delivered_at = time.monotonic()
            with self._step(_B, "is pushed A's parcel") as findings:
                self._expect_push(collection, to_b)
                findings.detail = "out of the cargo, as sent; acknowledged"
        return delivered_at

    def _deliver(self, cargo: bytes, title: str, detail: str) -> None:
        with self._step(_COURIER, title) as findings, self._as_courier():
            # The client sees to it that what was sent is acknowledged, and nothing else.
            for _ in self._courier.deliver_cargo([("cargo", cargo)]):
                findings.detail = detail

    def _expect_push(self, collection: Collection, parcel: bytes) -> None:
        try:
            received = collection.receive(timeout=self._target.timeout_seconds)
        except TimeoutError as error:
            raise LateCargoError(
                f"The parcel in the acknowledged cargo did not come within {self._target.timeout_seconds:g} s"
            ) from error
        if received is None:
            raise UnmetExpectationError("The gateway ended a collection that was to be kept alive")
        expect(received.parcel_serialized == parcel, "The parcel is not the one that was sent")
        received.acknowledge()

    # ------------------------------------------------------------------ from the Internet to the gateway

    def _answer(self, ping: SentPing, pong: _Pong) -> _Letter:
        with self._step(_PONG, "receives the ping") as findings:
            self._await_ping(ping, pong.server)
            parcel = pong.endpoint.answer(ping.parcel_serialized, _now())
            findings.detail = f"PoHTTP; opens with its session key: {ping.id}"
        with self._step(_PONG, "sends the pong") as findings:
            deliver_parcel(self._target.pohttp_url, parcel, timeout=self._target.timeout_seconds)
            findings.detail = "PoHTTP"
        return _Letter(name="the pong", parcel_serialized=parcel)

    def _await_ping(self, ping: SentPing, server: PongServer) -> None:
        deadline = time.monotonic() + self._target.timeout_seconds
        others = 0
        try:
            # The port is open to strangers, whose parcels do not count.
            while server.receive(max(deadline - time.monotonic(), 0)) != ping.parcel_serialized:
                others += 1
        except TimeoutError as error:
            but = f", but {others} others were" if others else ""
            raise LatePingError(f"It was not delivered within {self._target.timeout_seconds:g} s{but}") from error

    def _write_home(self) -> _Letter:
        parcel = self._cast.internet_to_a.make_parcel(secrets.token_bytes(_PAYLOAD_SIZE), _now())
        with self._step(_INTERNET, "sends A a parcel") as findings:
            deliver_parcel(self._target.pohttp_url, parcel, timeout=self._target.timeout_seconds)
            findings.detail = "PoHTTP"
        return _Letter(name="the parcel", parcel_serialized=parcel)

    # ------------------------------------------------------------------ from the gateway to A

    def _check_promptness(self, delivered_at: float) -> None:
        with self._step(_COURIER, "may collect") as findings:
            seconds = time.monotonic() - delivered_at
            findings.detail = (
                f"all was done {seconds:.2f} s after the delivery; couriers wait {COURIER_WAITS_SECONDS} s"
            )
            if seconds > COURIER_WAITS_SECONDS:
                raise LateCargoError(f"A courier would not have waited: {findings.detail}")

    def _collect(self, parcels: list[bytes], letter: _Letter, ping: SentPing | None) -> bytes:
        """Returns the authorisation that was used."""
        with self._step(_A, "lets a courier collect") as findings:
            cca = self._desk.make_cca(_now())
            findings.detail = f"a collection authorisation of {len(cca):,} octets"
        with self._step(_COURIER, "collects A's cargo") as findings, self._as_courier():
            cargoes = self._fetch(cca)
            findings.detail = f"CogRPC, {_count(cargoes)}, {sum(map(len, cargoes)):,} octets"
        with self._step(_A, "opens the cargo") as findings:
            opened = self._desk.open_all(cargoes, _now())
            expect(letter.parcel_serialized in opened.parcels, f"The cargo does not hold {letter.name}")
            if ping:
                ping.check_pong(letter.parcel_serialized)
            missing = {acknowledge(parcel) for parcel in parcels} - opened.acks
            expect(not missing, f"The cargo lacks the acknowledgement of {len(missing)} of A's parcels")
            what = "the pong to the ping" if ping else letter.name
            findings.detail = f"signed and sealed as it must be: {what}, acknowledgements of what A had sent"
        return cca

    def _fetch(self, cca: bytes) -> list[bytes]:
        cargoes = []
        for collected in self._courier.collect_cargo(cca):
            cargoes.append(collected.cargo_serialized)
            collected.acknowledge()
        return cargoes

    def _collect_twice(self, cca: bytes) -> None:
        with self._step(_COURIER, "is refused a second time") as findings, self._as_courier():
            try:
                self._fetch(cca)
            except CollectedAlreadyError as error:
                findings.detail = f"CogRPC, {error.code}"
            else:
                raise UnmetExpectationError("The gateway took the same authorisation twice")

    # ------------------------------------------------------------------ what is left

    def _acknowledge(self, letter: _Letter) -> None:
        ack = acknowledge(letter.parcel_serialized)
        with self._step(_A, "packs cargo") as findings:
            cargo = self._desk.make_cargo([ack.serialize()], _now())
            findings.detail = f"the acknowledgement of {letter.name}, in {len(cargo):,} octets"
        self._deliver(cargo, "delivers A's cargo", "CogRPC, acknowledged")

    def _expect_forgotten(self, letter: _Letter) -> None:
        with self._step(_COURIER, "collects again") as findings, self._as_courier():
            deadline = time.monotonic() + self._target.timeout_seconds
            while letter.parcel_serialized in self._collect_anew().parcels:
                # The cargo with the acknowledgement may still wait to be unwrapped.
                expect(time.monotonic() < deadline, f"The gateway still has {letter.name}, which was acknowledged")
                time.sleep(_BETWEEN_LOOKS_SECONDS)
            findings.detail = f"with a new authorisation; {letter.name} is gone"

    def _collect_anew(self) -> OpenedCargo:
        return self._desk.open_all(self._fetch(self._desk.make_cca(_now())), _now())

    def _deliver_garbage(self, parcels: list[bytes]) -> None:
        cut_short = self._desk.make_cargo(parcels, _now())[:-1]
        self._deliver(cut_short, "delivers malformed cargo", "CogRPC, acknowledged: couriers may throw it away")

    @contextmanager
    def _as_courier(self) -> Iterator[None]:
        try:
            yield
        except ServerUnavailableError as error:
            raise UnservedCouriersError(f"Couriers are not served at {self._target.cogrpc_url}: {error}") from error


def _count(cargoes: list[bytes]) -> str:
    return "1 cargo" if len(cargoes) == 1 else f"{len(cargoes)} cargoes"


def _now() -> datetime:
    return datetime.now(UTC)
