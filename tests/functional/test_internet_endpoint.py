"""The Internet endpoint of the tests checked on its own, with our own PoHTTP client and a running gateway."""

import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from awala.clients.errors import InvalidAnswerError, RefusedParcelError, ServerUnavailableError
from awala.clients.pohttp import deliver_parcel
from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.ping import Ping, PongRoute
from awala.messages.service_message import ServiceMessage
from awala.ramf import Recipient
from awala.sessions import unwrap_payload, wrap_payload
from tests import factories
from tests.functional.collector import drain_queue
from tests.functional.exchange import exchange
from tests.functional.gateway_process import GatewayProcess
from tests.functional.internet_endpoint import Behaviour, InternetEndpoint
from tests.functional.pong_endpoint import PongEndpoint, SessionKeys
from tests.functional.private_gateway import (
    INTERNET_ADDRESS,
    PARCEL_TYPE,
    MadeParcel,
    PrivateGateway,
    in_whole_seconds,
    made,
    make_internet_parcel,
)
from tests.tls_certificates import write_server_certificate

pytestmark = pytest.mark.functional


@pytest.fixture
def endpoint() -> Iterator[InternetEndpoint]:
    with InternetEndpoint() as server:
        yield server


def test_parcel_that_did_not_come_whole_is_not_recorded(endpoint: InternetEndpoint) -> None:
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nContent-Type: {PARCEL_TYPE}\r\nContent-Length: 9\r\n\r\nhalf".encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(64) == b""

    assert endpoint.received == []


def test_parcels_are_recorded_and_counted(endpoint: InternetEndpoint) -> None:
    parcel, another = make_internet_parcel(), make_internet_parcel()
    started_at = time.time()

    for delivered in (parcel, another, parcel):
        deliver_parcel(endpoint.url, delivered.serialized)

    assert endpoint.counts == {parcel.sha256: 2, another.sha256: 1}
    assert [received.serialized for received in endpoint.received[:2]] == [parcel.serialized, another.serialized]
    assert started_at <= endpoint.received[0].received_at <= endpoint.received[2].received_at <= time.time()
    endpoint.wait_until_accepted([parcel.sha256, another.sha256], timeout=0)
    with pytest.raises(TimeoutError):
        endpoint.wait_until_accepted(["0"], timeout=0.1)


def test_parcels_arrive_side_by_side(endpoint: InternetEndpoint) -> None:
    endpoint.behave(Behaviour(delay_seconds=0.5))
    started_at = time.monotonic()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: deliver_parcel(endpoint.url, bytes(number)), range(8)))

    assert time.monotonic() - started_at < 3
    assert len(endpoint.wait_until_received(8)) == 8


def test_statuses(endpoint: InternetEndpoint) -> None:
    endpoint.answer(503)
    with pytest.raises(ServerUnavailableError):
        deliver_parcel(endpoint.url, b"parcel")
    endpoint.answer(403)
    with pytest.raises(RefusedParcelError):
        deliver_parcel(endpoint.url, b"parcel")
    endpoint.accept()
    deliver_parcel(endpoint.url, b"parcel")

    assert [received.status for received in endpoint.received] == [503, 403, 202]
    assert len(endpoint.accepted) == 1


def test_another_media_type(endpoint: InternetEndpoint) -> None:
    assert exchange("POST", endpoint.url, b"parcel", {"Content-Type": "text/plain"}).status == 415
    assert endpoint.received == []


def test_redirect(endpoint: InternetEndpoint) -> None:
    with InternetEndpoint() as target:
        endpoint.answer(307, location=target.url)

        deliver_parcel(endpoint.url, b"parcel")

        assert (endpoint.received[0].status, target.received[0].status) == (307, 202)


def test_endpoint_that_hangs(endpoint: InternetEndpoint) -> None:
    endpoint.hang()

    with pytest.raises(ServerUnavailableError):
        deliver_parcel(endpoint.url, b"parcel", timeout=0.3)

    assert endpoint.received[0].status is None
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(deliver_parcel, endpoint.url, b"parcel", timeout=20)
        endpoint.wait_until_received(2)
        endpoint.accept()
        with pytest.raises(InvalidAnswerError, match="without sending a response"):
            waiting.result(5)


def test_endpoint_that_goes_down_and_comes_back(endpoint: InternetEndpoint) -> None:
    deliver_parcel(endpoint.url, b"parcel")

    endpoint.go_down()
    with pytest.raises(ServerUnavailableError):
        deliver_parcel(endpoint.url, b"parcel")
    endpoint.come_back()
    deliver_parcel(endpoint.url, b"parcel")

    assert len(endpoint.received) == 2


def test_going_down_cuts_what_hangs(endpoint: InternetEndpoint) -> None:
    endpoint.hang()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(deliver_parcel, endpoint.url, b"parcel", timeout=20)
        endpoint.wait_until_received(1)
        endpoint.go_down()

        with pytest.raises(InvalidAnswerError, match="without sending a response"):
            waiting.result(5)


def test_digests_alone(tmp_path: Path) -> None:
    with InternetEndpoint(keep_serialized=False) as endpoint:
        deliver_parcel(endpoint.url, b"parcel")

        assert endpoint.received[0].serialized is None
        assert endpoint.received[0].size == 6


def test_tls(tmp_path: Path) -> None:
    certificate = write_server_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    with InternetEndpoint(tls=context) as endpoint:
        trusting = ssl.create_default_context(cafile=str(certificate.certificate_file))

        assert _post_over_tls(endpoint.port, trusting) == 202
        assert endpoint.environment("a.example.com")["POHTTP_USE_TLS"] == "true"


def test_settings_that_lead_to_it(endpoint: InternetEndpoint) -> None:
    assert endpoint.environment("a.example.com", "b.example.com") == {
        "POHTTP_USE_TLS": "false",
        "INTERNET_ADDRESS_OVERRIDES": ",".join(f"{name}.example.com=127.0.0.1:{endpoint.port}" for name in ("a", "b")),
    }


def _post_over_tls(port: int, context: ssl.SSLContext) -> int:
    connection = HTTPSConnection("localhost", port, context=context, timeout=20)
    try:
        connection.request("POST", "/", b"parcel", {"Content-Type": PARCEL_TYPE})
        return connection.getresponse().status
    finally:
        connection.close()


def make_ping(device: PrivateGateway, pong: PongEndpoint, keys: SessionKeys) -> tuple[Ping, MadeParcel]:
    """From "endpoint" behind the private gateway, which keeps the key for the pong."""
    recipient = factories.endpoint_certificate(issuer=device.certificate)
    authorization = factories.delivery_authorization("pong endpoint", issuer=recipient)
    path = CertificationPath(leaf=authorization, authorities=(recipient, device.certificate))
    route = PongRoute(delivery_authorization=path, internet_gateway_address=INTERNET_ADDRESS)
    ping = Ping(id=str(uuid.uuid4()), route=route)
    wrapped = wrap_payload(ping.message().serialize(), pong.session_key)
    keys.save(wrapped.key_id, wrapped.private_key)
    parcel = factories.internet_parcel(
        "endpoint",
        recipient=Recipient(id=pong.node_id, internet_address="pong.example.com"),
        creation_date=in_whole_seconds(timedelta(minutes=-1)),
        payload=wrapped.payload,
    )
    return ping, made(parcel)


def test_pong_reaches_the_sender_s_gateway(gateway: GatewayProcess, endpoint: InternetEndpoint) -> None:
    device, pong, keys = PrivateGateway.register(gateway), PongEndpoint(), SessionKeys()
    endpoint.reply(pong.respond, gateway.pohttp_url)
    ping, parcel = make_ping(device, pong, keys)

    deliver_parcel(endpoint.url, parcel.serialized)
    endpoint.close()  # Waits for the reply.

    assert pong.answered == [ping.id]
    (delivered,) = drain_queue(gateway.collection_url, device)
    message = ServiceMessage.deserialize(unwrap_payload(Parcel.deserialize(delivered), keys).plaintext)
    assert message == ping.pong()
