"""Ping and pong (RS-014): an application on a device pings, and an endpoint on the Internet answers."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from awala.messages.certification_path import CertificationPath
from awala.messages.parcel import Parcel
from awala.messages.ping import PING_TYPE, PONG_TYPE, Ping, PongRoute
from awala.messages.service_message import ServiceMessage
from awala.pki.keys import node_id, spki_der
from gateway.probe.nodes import AuthorizedSender, PrivateEndpoint
from gateway.probe.session_keys import SessionKeys
from gateway.probe.steps import UnmetExpectationError, expect


class PongEndpoint:
    """Reads pings and makes pongs; has a session key for those who ping it."""

    def __init__(self, private_key: rsa.RSAPrivateKey, internet_address: str) -> None:
        self.private_key = private_key
        self.internet_address = internet_address
        self._session_keys = SessionKeys()
        self.session_key = self._session_keys.generate()

    @property
    def node_id(self) -> str:
        return node_id(spki_der(self.private_key.public_key()))

    def answer(self, ping_parcel: bytes, now: datetime) -> bytes:
        """The parcel that answers one with a ping; raises `InvalidMessageError` or `UnmetExpectationError`."""
        parcel = Parcel.deserialize(ping_parcel)
        parcel.check_timing(now)
        parcel.check_sender_certificate(now)
        expect(parcel.recipient.id == self.node_id, "The ping is for somebody else")
        unwrapped = self._session_keys.unwrap(parcel)
        message = ServiceMessage.deserialize(unwrapped.plaintext)
        expect(message.type == PING_TYPE, f"The parcel holds no ping but {message.type}")
        ping = Ping.deserialize(message.content)
        if ping.route is None:
            raise UnmetExpectationError("The ping does not say how to answer")
        path = ping.route.delivery_authorization
        sender = AuthorizedSender(
            private_key=self.private_key,
            recipient_id=parcel.sender_certificate.node_id,
            internet_address=ping.route.internet_gateway_address,
            authorization=path.leaf,
            authorities=path.authorities,
        )
        return sender.make_parcel(self._session_keys.wrap(ping.pong().serialize(), unwrapped.peer_key), now)


@dataclass(frozen=True, kw_only=True)
class SentPing:
    """A ping on its way, and what its sender needs to read the pong."""

    id: str
    parcel_serialized: bytes
    session_keys: SessionKeys

    def check_pong(self, pong_parcel: bytes) -> None:
        """Raises `InvalidMessageError` or `UnmetExpectationError`."""
        unwrapped = self.session_keys.unwrap(Parcel.deserialize(pong_parcel))
        message = ServiceMessage.deserialize(unwrapped.plaintext)
        expect(message.type == PONG_TYPE, f"The parcel holds no pong but {message.type}")
        expect(message.content == self.id.encode(), "The pong answers another ping")


def make_ping(endpoint: PrivateEndpoint, pong: PongEndpoint, gateway_address: str, now: datetime) -> SentPing:
    """A ping from an application on a device, with the authorisation that the pong needs (the desktop app's form)."""
    authorized = endpoint.authorize(pong.private_key)
    path = CertificationPath(leaf=authorized.authorization, authorities=authorized.authorities)
    route = PongRoute(delivery_authorization=path, internet_gateway_address=gateway_address)
    ping = Ping(id=str(uuid.uuid4()), route=route)
    session_keys = SessionKeys()
    payload = session_keys.wrap(ping.message().serialize(), pong.session_key)
    sender = endpoint.write_to(pong.node_id, pong.internet_address)
    return SentPing(id=ping.id, parcel_serialized=sender.make_parcel(payload, now), session_keys=session_keys)
