import pytest

from awala.collection import (
    COMPLETED,
    INVALID_RESPONSE,
    SERVER_FAILED,
    SERVER_STOPPING,
    UNEXPECTED_MESSAGE,
    UNKNOWN_DELIVERY,
    CollectionServer,
    HandshakeAnswered,
    ParcelAcknowledged,
)
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.parcel_delivery import ParcelDelivery

RESPONSE = HandshakeResponse(nonce_signatures=(b"first", b"second")).serialize()


def make_server(*, is_keep_alive: bool = True, max_in_flight: int = 1) -> CollectionServer[str]:
    return CollectionServer(nonce=b"nonce", is_keep_alive=is_keep_alive, max_in_flight=max_in_flight)


def make_collecting(*, is_keep_alive: bool = True, max_in_flight: int = 1) -> CollectionServer[str]:
    server = make_server(is_keep_alive=is_keep_alive, max_in_flight=max_in_flight)
    server.receive(RESPONSE)
    server.accept()
    return server


def test_challenge_holds_the_nonce() -> None:
    assert HandshakeChallenge.deserialize(make_server().challenge).nonce == b"nonce"


def test_response_hands_over_the_signatures() -> None:
    assert make_server().receive(RESPONSE) == HandshakeAnswered(nonce_signatures=(b"first", b"second"))


@pytest.mark.parametrize("message", ["text", "", b"", b"octets", b"\x30\x02\xa0\x00", RESPONSE + b"\x00"])
def test_other_response_is_refused(message: bytes | str) -> None:
    server = make_server()

    assert server.receive(message) is INVALID_RESPONSE
    assert not server.can_deliver


def test_message_while_signatures_are_verified() -> None:
    server = make_server()
    server.receive(RESPONSE)

    assert server.receive(b"octets") is UNEXPECTED_MESSAGE


def test_nothing_is_delivered_before_the_handshake_is_over() -> None:
    server = make_server()
    could_deliver = [server.can_deliver]

    server.receive(RESPONSE)
    could_deliver.append(server.can_deliver)

    server.accept()
    assert [*could_deliver, server.can_deliver] == [False, False, True]


def test_acceptance_after_closing_comes_too_late() -> None:
    server = make_server()
    server.receive(RESPONSE)
    server.close(SERVER_STOPPING)

    server.accept()

    assert not server.can_deliver


def test_delivery_is_numbered_as_told() -> None:
    message = make_collecting().deliver("id", b"parcel", "token")

    assert ParcelDelivery.deserialize(message) == ParcelDelivery(delivery_id="id", parcel_serialized=b"parcel")


@pytest.mark.parametrize("acknowledgement", ["id", b"id"])
def test_acknowledgement_returns_the_token(acknowledgement: bytes | str) -> None:
    server = make_collecting()
    server.deliver("id", b"parcel", "token")

    assert server.receive(acknowledgement) == ParcelAcknowledged(token="token")
    assert server.in_flight == ()


@pytest.mark.parametrize("acknowledgement", ["other", b"other", "", b"\xff", RESPONSE])
def test_unknown_acknowledgement(acknowledgement: bytes | str) -> None:
    server = make_collecting()
    server.deliver("id", b"parcel", "token")

    assert server.receive(acknowledgement) is UNKNOWN_DELIVERY


def test_acknowledgement_counts_once() -> None:
    server = make_collecting()
    server.deliver("id", b"parcel", "token")
    server.receive("id")

    assert server.receive("id") is UNKNOWN_DELIVERY


@pytest.mark.parametrize("max_in_flight", [1, 5])
def test_no_more_in_flight_than_permitted(max_in_flight: int) -> None:
    server = make_collecting(max_in_flight=max_in_flight)
    could_deliver: list[bool] = []
    for number in range(max_in_flight):
        could_deliver.append(server.can_deliver)
        server.deliver(f"id {number}", b"parcel", f"token {number}")
    could_deliver.append(server.can_deliver)

    server.receive("id 0")

    assert [*could_deliver, server.can_deliver] == [*[True] * max_in_flight, False, True]
    assert server.in_flight == tuple(f"token {number}" for number in range(1, max_in_flight))


def test_completion_closes() -> None:
    server = make_collecting(is_keep_alive=False)

    assert server.complete() is COMPLETED
    assert not server.can_deliver
    assert server.complete() is None


def test_completion_waits_for_acknowledgements() -> None:
    server = make_collecting(is_keep_alive=False)
    server.deliver("id", b"parcel", "token")
    assert server.complete() is None

    server.receive("id")

    assert server.complete() is COMPLETED


def test_keep_alive_never_completes() -> None:
    assert make_collecting().complete() is None


def test_keep_alive_is_never_closed_as_completed() -> None:
    """Trap 10: Android stops collecting for good after a 1000."""
    assert SERVER_STOPPING.code == SERVER_FAILED.code == 4000


def test_nothing_completes_before_the_handshake_is_over() -> None:
    server = make_server(is_keep_alive=False)

    assert server.complete() is None


def test_closed_collection_delivers_nothing() -> None:
    server = make_collecting()

    assert server.close(SERVER_STOPPING) is SERVER_STOPPING
    assert not server.can_deliver


def test_acknowledgement_that_crosses_the_closing_counts() -> None:
    server = make_collecting(max_in_flight=2)
    server.deliver("first", b"parcel", "first token")
    server.deliver("second", b"parcel", "second token")
    server.close(SERVER_STOPPING)

    assert server.receive("second") == ParcelAcknowledged(token="second token")
    assert server.receive("other") is UNKNOWN_DELIVERY


@pytest.mark.parametrize("message", [RESPONSE, "id"])
def test_no_handshake_after_closing(message: bytes | str) -> None:
    server = make_server()
    server.close(SERVER_STOPPING)

    assert server.receive(message) is UNKNOWN_DELIVERY
    assert not server.can_deliver
