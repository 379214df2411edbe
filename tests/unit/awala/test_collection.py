import pytest

from awala.collection import (
    COMPLETED,
    INVALID_RESPONSE,
    SERVER_STOPPING,
    UNEXPECTED_MESSAGE,
    UNKNOWN_DELIVERY,
    CollectionServer,
    HandshakeAnswered,
    ParcelAcknowledged,
)
from awala.handshake import HandshakeChallenge, HandshakeResponse
from awala.parcel_delivery import ParcelDelivery

RESPONSE = HandshakeResponse(nonce_signatures=(b"a", b"b")).serialize()


def new_server(*, is_keep_alive: bool = False, max_in_flight: int = 1) -> CollectionServer[str]:
    return CollectionServer(nonce=b"nonce", is_keep_alive=is_keep_alive, max_in_flight=max_in_flight)


def collecting(*, is_keep_alive: bool = False, max_in_flight: int = 1) -> CollectionServer[str]:
    server = new_server(is_keep_alive=is_keep_alive, max_in_flight=max_in_flight)
    server.receive(RESPONSE)
    server.accept()
    return server


# ---------------------------------------------------------------- Handshake


def test_challenge_holds_the_nonce() -> None:
    assert HandshakeChallenge.deserialize(new_server().challenge).nonce == b"nonce"


def test_response() -> None:
    assert new_server().receive(RESPONSE) == HandshakeAnswered(nonce_signatures=(b"a", b"b"))


@pytest.mark.parametrize("message", [b"", "text", RESPONSE + b"\x00"], ids=["nothing", "text", "malformed"])
def test_refuses_response(message: bytes | str) -> None:
    assert new_server().receive(message) == INVALID_RESPONSE


def test_refuses_message_before_signatures_are_verified() -> None:
    server = new_server()
    server.receive(RESPONSE)
    assert server.receive(RESPONSE) == UNEXPECTED_MESSAGE


def test_delivers_nothing_before_signatures_are_verified() -> None:
    server = new_server()
    server.receive(RESPONSE)
    assert not server.can_deliver
    assert server.complete() is None


# ---------------------------------------------------------------- Deliveries


def test_delivery() -> None:
    message = collecting().deliver("id", b"parcel", "token")
    assert ParcelDelivery.deserialize(message) == ParcelDelivery(delivery_id="id", parcel_serialized=b"parcel")


@pytest.mark.parametrize("max_in_flight", [1, 5])
def test_in_flight_limit(max_in_flight: int) -> None:
    server = collecting(max_in_flight=max_in_flight)
    for number in range(max_in_flight):
        assert server.can_deliver
        server.deliver(str(number), b"", f"token {number}")
    assert not server.can_deliver
    assert len(server.in_flight) == max_in_flight


@pytest.mark.parametrize("message", ["id", b"id"], ids=["text", "binary"])
def test_acknowledgement(message: bytes | str) -> None:
    server = collecting()
    server.deliver("id", b"", "token")
    assert server.receive(message) == ParcelAcknowledged(token="token")
    assert server.in_flight == ()
    assert server.can_deliver


@pytest.mark.parametrize("message", ["other", b"\xff", ""])
def test_unknown_acknowledgement(message: bytes | str) -> None:
    server = collecting()
    server.deliver("id", b"", "token")
    assert server.receive(message) == UNKNOWN_DELIVERY


def test_second_acknowledgement_of_a_delivery() -> None:
    server = collecting()
    server.deliver("id", b"", "token")
    server.receive("id")
    assert server.receive("id") == UNKNOWN_DELIVERY


# ---------------------------------------------------------------- The end


def test_completes_when_nothing_is_in_flight() -> None:
    assert collecting().complete() == COMPLETED


def test_waits_for_acknowledgements_before_completing() -> None:
    server = collecting()
    server.deliver("id", b"", "token")
    assert server.complete() is None


def test_keep_alive_does_not_complete() -> None:
    assert collecting(is_keep_alive=True).complete() is None


def test_nothing_follows_the_end() -> None:
    server = collecting()
    assert server.close(SERVER_STOPPING) == SERVER_STOPPING
    assert not server.can_deliver
    assert server.receive("id") == UNEXPECTED_MESSAGE


def test_keep_alive_is_never_closed_as_completed() -> None:
    """Trap 10: Android stops collecting for good after a 1000."""
    assert SERVER_STOPPING.code == 4000
