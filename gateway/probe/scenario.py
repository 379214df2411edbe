"""The story that the probe plays against a gateway.

Two private gateways, A and B, register. The endpoint behind A sends parcels to the one behind B, who is connected
and gets each at once; somebody on the Internet sends parcels to the endpoint behind A, who fetches them later. Then
A is offline: see `gateway.probe.sneakernet`.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from awala.clients.collection import CollectedParcel, Collection, StreamingMode
from awala.clients.errors import RefusedParcelError
from awala.clients.pohttp import deliver_parcel
from awala.clients.poweb import PoWebClient
from awala.connection_params import NodeConnectionParams
from awala.pki.keys import generate_rsa_key, node_id
from awala.pki.path import build_path
from gateway.probe.nodes import AuthorizedSender, PrivateGateway
from gateway.probe.pong_server import PongServer
from gateway.probe.sneakernet import Cast, play_sneakernet
from gateway.probe.steps import Timeline, UnmetExpectationError, expect
from gateway.probe.target import Target

_KIB: Final = 1_024
_SIZE_NAMES: Final = MappingProxyType(
    {0: "an empty parcel", _KIB: "1 KiB", 100 * _KIB: "100 KiB", _KIB * _KIB: "1 MiB"}
)
PAYLOAD_SIZES: Final = tuple(_SIZE_NAMES)
_A, _B, _INTERNET = "Device A", "Device B", "Internet"
# The answers that tell the senders to give the parcel up (RS-016, RS-007).
_POWEB_REFUSAL, _POHTTP_REFUSAL = 422, 403
_BETWEEN_LOOKS_SECONDS = 0.2


def probe(target: Target, timeline: Timeline) -> None:
    """Play the whole story; raises `StepFailedError` at the first step that fails, and `PongPortError`."""
    with ExitStack() as stack:
        pong_server = stack.enter_context(PongServer(target.pong)) if target.pong else None
        client = stack.enter_context(PoWebClient(target.poweb_url, timeout=target.timeout_seconds))
        _Scenario(target, timeline, client).play(pong_server)


class _Scenario:
    def __init__(self, target: Target, timeline: Timeline, client: PoWebClient) -> None:
        self._target = target
        self._timeline = timeline
        self._step = timeline.step
        self._client = client

    def play(self, pong_server: PongServer | None) -> None:
        params = self._ask_who_it_is()
        a, b = self._register(_A, params), self._register(_B, params)
        cast = self._authorize(a, b)
        self._send_live(a, b, cast.a_to_b)
        self._send_for_later(a, cast.internet_to_a)
        self._send_expired(a, cast.a_to_b, cast.internet_to_a)
        play_sneakernet(self._target, self._timeline, self._client, cast, pong_server)
        self._expect_empty_queue(_A, a)
        self._expect_empty_queue(_B, b)

    def _ask_who_it_is(self) -> NodeConnectionParams:
        with self._step("Gateway", "says who it is") as findings:
            params = self._client.fetch_connection_params()
            findings.detail = f"{params.internet_address}, {_short(node_id(params.identity_key_der))}"
        return params

    def _register(self, name: str, params: NodeConnectionParams) -> PrivateGateway:
        with self._step(name, "makes a key"):
            private_key = generate_rsa_key()
        with self._step(name, "registers") as findings:
            registration = self._client.register(private_key)
            certificate, issuer = registration.node_certificate, registration.gateway_certificate
            build_path(certificate, (), (issuer,), now=_now())
            expect(issuer.spki_der == params.identity_key_der, "The certificate is by another gateway")
            session_key = registration.session_key
            if session_key is None:
                raise UnmetExpectationError("The registration lacks the gateway's session key")
            expect(
                registration.gateway_internet_address == params.internet_address,
                "The registration names another Internet address",
            )
            findings.detail = f"{_short(certificate.node_id)} until {certificate.not_after:%Y-%m-%d}"
        return PrivateGateway(private_key=private_key, registration=registration, session_key=session_key)

    def _authorize(self, a: PrivateGateway, b: PrivateGateway) -> Cast:
        with self._step("Endpoints", "let each other in") as findings:
            endpoint_a = a.certify_endpoint(generate_rsa_key())
            endpoint_b = b.certify_endpoint(generate_rsa_key())
            a_to_b = endpoint_b.authorize(endpoint_a.private_key)
            internet_to_a = endpoint_a.authorize(generate_rsa_key())
            findings.detail = "B accepts parcels of A, A those of the Internet"
        return Cast(a=a, b=b, endpoint_a=endpoint_a, a_to_b=a_to_b, internet_to_a=internet_to_a)

    def _send_live(self, a: PrivateGateway, b: PrivateGateway, sender: AuthorizedSender) -> None:
        with ExitStack() as stack:
            with self._step(_B, "opens a collection") as findings:
                collection = stack.enter_context(self._client.collect([b.signer], StreamingMode.KEEP_ALIVE))
                findings.detail = "PoWeb, over WebSocket, kept alive"
            for size in PAYLOAD_SIZES:
                parcel = sender.make_parcel(secrets.token_bytes(size), _now())
                with self._step(_A, f"sends B {_SIZE_NAMES[size]}") as findings:
                    self._client.deliver_parcel(parcel, a.signer)
                    findings.detail = "PoWeb, countersigned"
                with self._step(_B, "is pushed it") as findings:
                    received = self._receive(collection)
                    if received is None:
                        raise UnmetExpectationError("The gateway ended a collection that was to be kept alive")
                    expect(received.parcel_serialized == parcel, "The parcel is not the one that was sent")
                    received.acknowledge()
                    findings.detail = f"{len(parcel):,} octets, as sent; acknowledged"

    def _send_for_later(self, a: PrivateGateway, sender: AuthorizedSender) -> None:
        parcels = set()
        for size in PAYLOAD_SIZES:
            parcel = sender.make_parcel(secrets.token_bytes(size), _now())
            with self._step(_INTERNET, f"sends A {_SIZE_NAMES[size]}") as findings:
                deliver_parcel(self._target.pohttp_url, parcel, timeout=self._target.timeout_seconds)
                findings.detail = "PoHTTP"
            parcels.add(parcel)
        with (
            self._step(_A, "collects what waits") as findings,
            self._client.collect([a.signer], StreamingMode.CLOSE_UPON_COMPLETION) as collection,
        ):
            findings.detail = f"{len(parcels)} parcels, as sent; then the gateway said that there are no more"
            while (received := self._receive(collection)) is not None:
                expect(received.parcel_serialized in parcels, "A parcel is not as it was sent, or came twice")
                parcels.remove(received.parcel_serialized)
                received.acknowledge()
            expect(not parcels, f"The gateway said that there are no more, {len(parcels)} parcels too early")

    def _send_expired(self, a: PrivateGateway, a_to_b: AuthorizedSender, internet_to_a: AuthorizedSender) -> None:
        with self._step(_A, "is refused an expired parcel") as findings, _expect_refusal(_POWEB_REFUSAL):
            findings.detail = f"PoWeb, HTTP {_POWEB_REFUSAL}"
            self._client.deliver_parcel(a_to_b.make_expired_parcel(_now()), a.signer)
        with self._step(_INTERNET, "is refused an expired parcel") as findings, _expect_refusal(_POHTTP_REFUSAL):
            findings.detail = f"PoHTTP, HTTP {_POHTTP_REFUSAL}"
            expired = internet_to_a.make_expired_parcel(_now())
            deliver_parcel(self._target.pohttp_url, expired, timeout=self._target.timeout_seconds)

    def _expect_empty_queue(self, name: str, gateway: PrivateGateway) -> None:
        with self._step(name, "finds nothing left") as findings:
            deadline = time.monotonic() + self._target.timeout_seconds
            while self._is_anything_left(gateway):
                # Acknowledgements are not answered, so the last one may still be under way.
                expect(time.monotonic() < deadline, "A parcel came back after it was acknowledged")
                time.sleep(_BETWEEN_LOOKS_SECONDS)
            findings.detail = "PoWeb, closed upon completion"

    def _is_anything_left(self, gateway: PrivateGateway) -> bool:
        with self._client.collect([gateway.signer], StreamingMode.CLOSE_UPON_COMPLETION) as collection:
            return self._receive(collection) is not None

    def _receive(self, collection: Collection) -> CollectedParcel | None:
        return collection.receive(timeout=self._target.timeout_seconds)


@contextmanager
def _expect_refusal(status: int) -> Iterator[None]:
    try:
        yield
    except RefusedParcelError as error:
        expect(error.status == status, f"The gateway refused it with HTTP {error.status} instead of {status}")
    else:
        raise UnmetExpectationError("The gateway accepted it")


def _now() -> datetime:
    return datetime.now(UTC)


def _short(identifier: str) -> str:
    return f"{identifier[:12]}…"
