"""Collection over WebSocket, on Daphne and on uvicorn: parcels reach their private gateway, and bad input its code."""

import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest
from websockets.exceptions import InvalidStatus

from awala.asn1 import oids
from awala.collection import (
    FORBIDDEN_ORIGIN,
    INVALID_RESPONSE,
    SERVER_FAILED,
    UNEXPECTED_MESSAGE,
    UNKNOWN_DELIVERY,
    Closure,
)
from awala.limits import MAX_HANDSHAKE_SIGNATURES
from awala.pki.certificate import Certificate
from awala.signatures import sign_detached
from tests import factories
from tests.functional.collector import (
    CLOSE_UPON_COMPLETION,
    KEEP_ALIVE,
    STREAMING_MODE,
    Collector,
    drain_queue,
    sha256_of,
)
from tests.functional.gateway_process import GatewayProcess
from tests.functional.private_gateway import MadeParcel, PrivateGateway
from tests.functional.record import rows_of, state_of

pytestmark = pytest.mark.functional

SPEC_STREAMING_MODE = "X-Awala-Streaming-Mode"


@pytest.fixture
def peer(any_gateway: GatewayProcess) -> PrivateGateway:
    return PrivateGateway.register(any_gateway)


@pytest.fixture
def url(any_gateway: GatewayProcess) -> str:
    return any_gateway.collection_url


def store(peer: PrivateGateway, number: int = 1, **changes: object) -> list[MadeParcel]:
    """Parcels that wait for the peer, in the order in which it will get them."""
    parcels = [peer.make_parcel(**changes) for _ in range(number)]  # type: ignore[arg-type]
    for parcel in parcels:
        assert peer.deliver(parcel).status == 202
    return parcels


def digests(parcels: list[MadeParcel]) -> list[str]:
    return [parcel.sha256 for parcel in parcels]


# ---------------------------------------------------------------- Collecting


@pytest.mark.parametrize("header", [STREAMING_MODE, SPEC_STREAMING_MODE])
def test_close_upon_completion(peer: PrivateGateway, url: str, header: str) -> None:
    parcels = store(peer, 3)

    with Collector(url, peer, mode=None, headers={header: CLOSE_UPON_COMPLETION}) as collector:
        assert sha256_of(collector.collect(3)) == digests(parcels)
        assert collector.wait_until_closed() == (1000, "All parcels have been collected")


def test_nothing_to_collect(peer: PrivateGateway, url: str) -> None:
    with Collector(url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        assert collector.wait_until_closed()[0] == 1000


@pytest.mark.parametrize("mode", [KEEP_ALIVE, None, "close", "Close-Upon-Completion"])
def test_keep_alive_unless_told_otherwise(peer: PrivateGateway, url: str, mode: str | None) -> None:
    with Collector(url, peer, mode=mode) as collector:
        assert collector.is_sent_nothing(0.3)
        parcels = store(peer)
        assert sha256_of(collector.collect(1)) == digests(parcels)
        assert collector.is_sent_nothing(0.3)


def test_specification_wins_if_both_headers_are_sent(peer: PrivateGateway, url: str) -> None:
    headers = {SPEC_STREAMING_MODE: CLOSE_UPON_COMPLETION, STREAMING_MODE: KEEP_ALIVE}

    with Collector(url, peer, mode=None, headers=headers) as collector:
        assert collector.wait_until_closed()[0] == 1000


def test_acknowledged_parcel_is_gone(peer: PrivateGateway, url: str, any_gateway: GatewayProcess) -> None:
    store(peer)

    assert len(drain_queue(url, peer)) == 1

    assert drain_queue(url, peer) == []
    (row,) = rows_of(any_gateway, "storedparcel", peer_id=peer.node_id)
    assert row["state"] == "collected"
    assert not (any_gateway.data_dir / "objects" / row["object_key"]).exists()


def test_parcel_without_acknowledgement_comes_again(peer: PrivateGateway, url: str) -> None:
    parcels = store(peer, 2)

    for _ in range(2):
        with Collector(url, peer) as collector:
            assert sha256_of([collector.take().parcel_serialized]) == [parcels[0].sha256]

    assert sha256_of(drain_queue(url, peer)) == digests(parcels)


@pytest.mark.parametrize("is_binary", [False, True], ids=["text", "binary"])
def test_acknowledgement_as_text_or_binary(peer: PrivateGateway, url: str, is_binary: bool) -> None:  # noqa: FBT001
    store(peer, 2)

    with Collector(url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        for _ in range(2):
            collector.acknowledge(collector.take(), binary=is_binary)
        assert collector.wait_until_closed()[0] == 1000


def test_delivery_ids_differ(peer: PrivateGateway, url: str) -> None:
    store(peer, 2)

    with Collector(url, peer) as collector:
        first = collector.take()
        collector.acknowledge(first)
        assert collector.take().delivery_id != first.delivery_id


def test_parcels_of_others_stay_with_them(peer: PrivateGateway, url: str, any_gateway: GatewayProcess) -> None:
    another = PrivateGateway.register(any_gateway)
    parcels = store(another)

    with Collector(url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        assert collector.wait_until_closed()[0] == 1000

    assert sha256_of(drain_queue(url, another)) == digests(parcels)


def test_several_signatures_collect_for_all(peer: PrivateGateway, url: str, any_gateway: GatewayProcess) -> None:
    another = PrivateGateway.register(any_gateway)
    waiting = [*store(peer), *store(another)]

    with Collector(url, peer, another) as collector:
        assert sha256_of(collector.collect(2)) == digests(waiting)
        later = [*store(another), *store(peer)]
        assert sha256_of(collector.collect(2)) == digests(later)


def test_largest_parcel(peer: PrivateGateway, url: str) -> None:
    """Larger than any cargo could carry, but not than what travels online."""
    parcels = store(peer, payload=bytes(8_388_607))

    assert sha256_of(drain_queue(url, peer)) == digests(parcels)


def test_more_parcels_than_are_listed_at_once(peer: PrivateGateway, url: str) -> None:
    parcels = store(peer, 70)

    assert sha256_of(drain_queue(url, peer)) == digests(parcels)


def test_two_connections_of_one_peer(peer: PrivateGateway, url: str) -> None:
    """Android may have two. Both may get a parcel, and acknowledge it."""
    with Collector(url, peer) as first, Collector(url, peer) as second:
        parcels = store(peer)
        deliveries = [(collector, collector.take()) for collector in (first, second)]
        for collector, delivery in deliveries:
            assert sha256_of([delivery.parcel_serialized]) == digests(parcels)
            collector.acknowledge(delivery)
        more = store(peer)
        assert sha256_of([first.take().parcel_serialized, second.take().parcel_serialized]) == digests(more * 2)

    assert sha256_of(drain_queue(url, peer)) == digests(more)


def test_newer_version_is_delivered_instead(peer: PrivateGateway, url: str) -> None:
    store(peer, parcel_id="one")
    newer = store(peer, parcel_id="one")

    assert sha256_of(drain_queue(url, peer)) == digests(newer)


def test_newer_version_while_the_older_is_in_flight(peer: PrivateGateway, url: str) -> None:
    store(peer, parcel_id="one")
    with Collector(url, peer) as collector:
        older = collector.take()
        newer = store(peer, parcel_id="one")

        collector.acknowledge(older)

        assert sha256_of(collector.collect(1)) == digests(newer)

    assert drain_queue(url, peer) == []


def test_same_octets_twice_are_one_parcel(peer: PrivateGateway, url: str) -> None:
    (parcel,) = store(peer)

    assert peer.deliver(parcel).status == 202

    assert sha256_of(drain_queue(url, peer)) == [parcel.sha256]


def test_same_parcel_after_it_was_collected(peer: PrivateGateway, url: str) -> None:
    (parcel,) = store(peer)
    drain_queue(url, peer)

    assert peer.deliver(parcel).status == 202

    assert sha256_of(drain_queue(url, peer)) == [parcel.sha256]


def test_expired_parcel_is_not_sent(peer: PrivateGateway, url: str) -> None:
    store(peer, created=timedelta(), ttl_seconds=2)
    (lasting,) = store(peer)
    time.sleep(2)

    assert sha256_of(drain_queue(url, peer)) == [lasting.sha256]


def test_parcel_that_expires_behind_another_is_not_sent(peer: PrivateGateway, url: str) -> None:
    store(peer)
    store(peer, created=timedelta(), ttl_seconds=2)

    with Collector(url, peer) as collector:
        first = collector.take()
        time.sleep(2)
        collector.acknowledge(first)
        assert collector.is_sent_nothing(0.3)


def test_renewed_certificate_collects_what_the_older_one_left(peer: PrivateGateway, url: str) -> None:
    parcels = store(peer)

    renewed = PrivateGateway.register(peer.process, peer.name)

    assert sha256_of(drain_queue(url, renewed)) == digests(parcels)


# ---------------------------------------------------------------- One parcel in flight


def test_one_parcel_in_flight(peer: PrivateGateway, url: str) -> None:
    parcels = store(peer, 2)

    with Collector(url, peer) as collector:
        first = collector.take()
        assert collector.is_sent_nothing(0.5)
        collector.acknowledge(first)
        assert sha256_of([collector.take().parcel_serialized]) == [parcels[1].sha256]


# ---------------------------------------------------------------- Bad input


def respond(*signatures: Callable[[PrivateGateway, bytes], bytes]) -> Callable[[Collector, PrivateGateway], None]:
    def act(collector: Collector, peer: PrivateGateway) -> None:
        nonce = collector.nonce
        collector.respond(*(sign(peer, nonce) for sign in signatures))

    return act


def send(message: bytes | str) -> Callable[[Collector, PrivateGateway], None]:
    def act(collector: Collector, _: PrivateGateway) -> None:
        assert collector.nonce
        collector.send(message)

    return act


def sign_right(peer: PrivateGateway, nonce: bytes) -> bytes:
    return peer.sign_nonce(nonce)


def sign_another_nonce(peer: PrivateGateway, nonce: bytes) -> bytes:
    return peer.sign_nonce(bytes(len(nonce)))


def sign_for_another_purpose(peer: PrivateGateway, nonce: bytes) -> bytes:
    return peer.countersign(nonce)


def sign_as_stranger(_: PrivateGateway, nonce: bytes) -> bytes:
    return _sign_as(factories.gateway_certificate("stranger"), nonce)


def sign_as_endpoint(peer: PrivateGateway, nonce: bytes) -> bytes:
    return _sign_as(peer.chain.endpoint, nonce)


def _sign_as(certificate: Certificate, nonce: bytes) -> bytes:
    key = factories.private_key_of(certificate)
    return sign_detached(nonce, oids.PARCEL_COLLECTION_HANDSHAKE, private_key=key, certificate=certificate)


def acknowledge_the_unknown(message: bytes | str) -> Callable[[Collector, PrivateGateway], None]:
    def act(collector: Collector, peer: PrivateGateway) -> None:
        respond(sign_right)(collector, peer)
        collector.send(message)

    return act


def acknowledge_what_is_not_in_flight(collector: Collector, peer: PrivateGateway) -> None:
    """The id of a delivery to another connection means nothing in this one."""
    with Collector(peer.process.collection_url, peer) as another:
        foreign = another.take()
        respond(sign_right)(collector, peer)
        collector.take()
        collector.acknowledge(foreign)


def acknowledge_early(collector: Collector, peer: PrivateGateway) -> None:
    respond(sign_right)(collector, peer)
    respond(sign_right)(collector, peer)


HANDSHAKES: Mapping[str, tuple[Callable[[Collector, PrivateGateway], None], Closure]] = {
    "nothing": (send(b""), INVALID_RESPONSE),
    "text": (send("Hello"), INVALID_RESPONSE),
    "something else": (send(b"Hello"), INVALID_RESPONSE),
    "no signature": (respond(), INVALID_RESPONSE),
    "a signature that is none": (respond(lambda *_: b"Hello"), INVALID_RESPONSE),
    "too many signatures": (respond(*([sign_right] * (MAX_HANDSHAKE_SIGNATURES + 1))), INVALID_RESPONSE),
    "another nonce": (respond(sign_another_nonce), INVALID_RESPONSE),
    "another purpose": (respond(sign_for_another_purpose), INVALID_RESPONSE),
    "a stranger": (respond(sign_as_stranger), INVALID_RESPONSE),
    "an endpoint": (respond(sign_as_endpoint), INVALID_RESPONSE),
    "one bad signature of two": (respond(sign_right, sign_as_stranger), INVALID_RESPONSE),
    "unknown delivery": (acknowledge_the_unknown("unknown"), UNKNOWN_DELIVERY),
    "unknown delivery, binary": (acknowledge_the_unknown(b"\xff\x00"), UNKNOWN_DELIVERY),
    "delivery of another connection": (acknowledge_what_is_not_in_flight, UNKNOWN_DELIVERY),
}


@pytest.mark.parametrize("name", HANDSHAKES)
def test_bad_input(any_gateway: GatewayProcess, peer: PrivateGateway, url: str, name: str) -> None:
    act, closure = HANDSHAKES[name]
    parcels = store(peer)
    before, log = state_of(any_gateway), len(any_gateway.log)

    collector = Collector(url)
    act(collector, peer)

    assert collector.wait_until_closed() == (closure.code, closure.reason)
    collector.close()
    assert state_of(any_gateway) == before
    assert "Traceback" not in any_gateway.log[log:]
    assert sha256_of(drain_queue(url, peer)) == digests(parcels)


def test_second_response(peer: PrivateGateway, url: str) -> None:
    """Taken for an acknowledgement, or for a message out of turn if the first is still being verified."""
    collector = Collector(url)

    acknowledge_early(collector, peer)

    assert collector.wait_until_closed() in {
        (closure.code, closure.reason) for closure in (UNKNOWN_DELIVERY, UNEXPECTED_MESSAGE)
    }
    collector.close()


def test_acknowledgement_twice(peer: PrivateGateway, url: str) -> None:
    store(peer)
    with Collector(url, peer) as collector:
        delivery = collector.take()
        collector.acknowledge(delivery)
        collector.acknowledge(delivery)

        assert collector.wait_until_closed() == (UNKNOWN_DELIVERY.code, UNKNOWN_DELIVERY.reason)

    assert drain_queue(url, peer) == []


@pytest.mark.parametrize("origin", ["https://example.com", "null", "http://127.0.0.1"])
def test_browsers_are_turned_away(peer: PrivateGateway, url: str, origin: str) -> None:
    collector = Collector(url, headers={"Origin": origin})

    assert collector.wait_until_closed() == (FORBIDDEN_ORIGIN.code, FORBIDDEN_ORIGIN.reason)
    collector.close()


def test_message_too_large(peer: PrivateGateway, url: str) -> None:
    collector = Collector(url)
    assert collector.nonce

    collector.send(bytes(64 * 1024 + 1))

    assert collector.wait_until_closed()[0] == 1009
    collector.close()


def test_largest_message(peer: PrivateGateway, url: str) -> None:
    collector = Collector(url)
    assert collector.nonce

    collector.send(bytes(64 * 1024))

    assert collector.wait_until_closed() == (INVALID_RESPONSE.code, INVALID_RESPONSE.reason)
    collector.close()


def test_unknown_path(url: str) -> None:
    with pytest.raises(InvalidStatus):
        Collector(f"{url}s")


def test_lost_object_jams_nothing(peer: PrivateGateway, url: str, any_gateway: GatewayProcess) -> None:
    """Somebody removed a parcel's file: nothing can bring it home, and those behind it must not wait for it."""
    _, lasting = store(peer, 2)
    (lost, _) = sorted(rows_of(any_gateway, "storedparcel", peer_id=peer.node_id), key=lambda row: row["received_at"])
    (any_gateway.data_dir / "objects" / lost["object_key"]).unlink()

    assert sha256_of(drain_queue(url, peer)) == [lasting.sha256]

    (row,) = rows_of(any_gateway, "storedparcel", id=lost["id"])
    assert row["state"] == "discarded"


def test_unreadable_object_ends_the_collection(peer: PrivateGateway, url: str, any_gateway: GatewayProcess) -> None:
    """Whatever ails the object store may pass, so the client is to come back."""
    (parcel,) = store(peer)
    (row,) = rows_of(any_gateway, "storedparcel", peer_id=peer.node_id)
    path = any_gateway.data_dir / "objects" / row["object_key"]
    path.unlink()
    path.mkdir()

    for mode in (KEEP_ALIVE, CLOSE_UPON_COMPLETION):
        with Collector(url, peer, mode=mode) as collector:
            assert collector.wait_until_closed() == (SERVER_FAILED.code, SERVER_FAILED.reason)

    path.rmdir()
    path.write_bytes(parcel.serialized)
    assert sha256_of(drain_queue(url, peer)) == [parcel.sha256]


def test_five_in_flight_if_so_set(start_gateway: Callable[..., GatewayProcess]) -> None:
    process = start_gateway(MAX_PARCELS_IN_FLIGHT="5")
    peer = PrivateGateway.register(process)
    parcels = store(peer, 7)

    with Collector(process.collection_url, peer, mode=CLOSE_UPON_COMPLETION) as collector:
        deliveries = [collector.take() for _ in range(5)]
        assert collector.is_sent_nothing(0.5)
        # In any order, and each makes room for one more.
        collector.acknowledge(deliveries[3])
        deliveries.append(collector.take())
        assert collector.is_sent_nothing(0.3)
        for index in (5, 0, 1, 2, 4):
            collector.acknowledge(deliveries[index])
        deliveries.append(collector.take())
        collector.acknowledge(deliveries[6])
        assert collector.wait_until_closed()[0] == 1000

    assert sha256_of([delivery.parcel_serialized for delivery in deliveries]) == digests(parcels)
    assert drain_queue(process.collection_url, peer) == []
