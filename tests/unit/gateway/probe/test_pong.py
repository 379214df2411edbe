import uuid
from dataclasses import replace

import pytest

from awala.errors import InvalidMessageError, UntimelyMessageError
from awala.messages.parcel import Parcel
from awala.messages.ping import Ping
from awala.messages.service_message import ServiceMessage
from gateway.probe.pong import PongEndpoint, SentPing, make_ping
from gateway.probe.session_keys import SessionKeys
from gateway.probe.steps import UnmetExpectationError
from tests import factories
from tests.unit.gateway.probe.nodes import make_endpoint, now

GATEWAY_ADDRESS = "gateway.example.com"


@pytest.fixture
def pong() -> PongEndpoint:
    return PongEndpoint(factories.rsa_key("pong"), "pong.example.com")


@pytest.fixture
def ping(pong: PongEndpoint) -> SentPing:
    return make_ping(make_endpoint(), pong, GATEWAY_ADDRESS, now())


def send(pong: PongEndpoint, message: ServiceMessage) -> bytes:
    """A parcel that brings the pong endpoint some message."""
    sender = make_endpoint().write_to(pong.node_id, pong.internet_address)
    return sender.make_parcel(SessionKeys().wrap(message.serialize(), pong.session_key), now())


def test_ping_is_for_the_internet(pong: PongEndpoint, ping: SentPing) -> None:
    parcel = Parcel.deserialize(ping.parcel_serialized)

    assert parcel.recipient.id == factories.id_of("pong")
    assert parcel.recipient.internet_address == "pong.example.com"
    assert parcel.sender_certificate.node_id == factories.id_of("endpoint")


def test_pong_answers_the_ping(pong: PongEndpoint, ping: SentPing) -> None:
    ping.check_pong(pong.answer(ping.parcel_serialized, now()))


def test_pong_is_one_that_the_gateway_lets_through(pong: PongEndpoint, ping: SentPing) -> None:
    parcel = Parcel.deserialize(pong.answer(ping.parcel_serialized, now()))

    assert parcel.recipient.internet_address == GATEWAY_ADDRESS
    parcel.check_timing(now())
    path = parcel.authorized_path((factories.gateway_certificate(),), now=now())
    assert path[-2].node_id == factories.id_of("private gateway")


@pytest.mark.parametrize(
    ("message", "complaint"),
    [
        (ServiceMessage(type="text/plain", content=b"Hello"), "no ping but text/plain"),
        (Ping(id=str(uuid.uuid4())).message(), "does not say how to answer"),
    ],
)
def test_what_is_no_such_ping_is_not_answered(pong: PongEndpoint, message: ServiceMessage, complaint: str) -> None:
    with pytest.raises(UnmetExpectationError, match=complaint):
        pong.answer(send(pong, message), now())


def test_ping_for_somebody_else_is_not_answered(pong: PongEndpoint, ping: SentPing) -> None:
    other = PongEndpoint(factories.rsa_key("other"), "pong.example.com")
    with pytest.raises(UnmetExpectationError, match="for somebody else"):
        other.answer(ping.parcel_serialized, now())


def test_ping_to_an_unknown_key_is_not_answered(ping: SentPing) -> None:
    other = PongEndpoint(factories.rsa_key("pong"), "pong.example.com")
    with pytest.raises(UnmetExpectationError, match="session key"):
        other.answer(ping.parcel_serialized, now())


def test_ping_that_has_expired_is_not_answered(pong: PongEndpoint) -> None:
    expired = make_endpoint().write_to(pong.node_id, "pong.example.com").make_expired_parcel(now())
    with pytest.raises(UntimelyMessageError):
        pong.answer(expired, now())


def test_what_is_no_parcel_is_not_answered(pong: PongEndpoint) -> None:
    with pytest.raises(InvalidMessageError):
        pong.answer(b"Hello", now())


def test_pong_to_another_ping_is_found_out(pong: PongEndpoint, ping: SentPing) -> None:
    answer = pong.answer(ping.parcel_serialized, now())
    with pytest.raises(UnmetExpectationError, match="answers another ping"):
        replace(ping, id=str(uuid.uuid4())).check_pong(answer)


def test_answer_that_is_no_pong_is_found_out(pong: PongEndpoint, ping: SentPing) -> None:
    peer_key = ping.session_keys.generate()
    payload = SessionKeys().wrap(ServiceMessage(type="text/plain", content=b"Hello").serialize(), peer_key)
    answer = make_endpoint().authorize(pong.private_key).make_parcel(payload, now())
    with pytest.raises(UnmetExpectationError, match="no pong but text/plain"):
        ping.check_pong(answer)
