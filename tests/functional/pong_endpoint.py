"""A pong endpoint (RS-014) made with our own library: reads pings, whoever sent them, and makes the pongs."""

import threading
import uuid
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from awala.messages.parcel import Parcel
from awala.messages.ping import PING_TYPE, Ping
from awala.messages.service_message import ServiceMessage
from awala.pki.keys import node_id, spki_der
from awala.ramf import Recipient
from awala.session_key import SessionKey, generate_session_key
from awala.sessions import unwrap_payload, wrap_payload
from tests import factories

_BACKDATING = timedelta(minutes=5)
_TTL = timedelta(days=1)


class SessionKeys:
    """The private session keys of a node, for `awala.sessions`; any thread may use them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[bytes, ec.EllipticCurvePrivateKey] = {}

    def save(self, key_id: bytes, private_key: ec.EllipticCurvePrivateKey) -> None:
        with self._lock:
            self._keys[key_id] = private_key

    def load_session_key(self, key_id: bytes, _peer_id: str) -> ec.EllipticCurvePrivateKey:
        with self._lock:
            return self._keys[key_id]


class PongEndpoint:
    """`respond` is for `InternetEndpoint.reply`; any thread may call it."""

    def __init__(self, private_key: rsa.RSAPrivateKey | None = None) -> None:
        self.private_key = private_key or factories.rsa_key("pong endpoint")
        self.session_key, initial_private_key = generate_session_key()
        self._session_keys = SessionKeys()
        self._session_keys.save(self.session_key.key_id, initial_private_key)
        self._lock = threading.Lock()
        self._answered: list[str] = []

    @property
    def public_key_der(self) -> bytes:
        return spki_der(self.private_key.public_key())

    @property
    def node_id(self) -> str:
        return node_id(self.public_key_der)

    @property
    def answered(self) -> list[str]:
        """The ids of the pings, in order; a ping that came twice was answered twice."""
        with self._lock:
            return list(self._answered)

    def respond(self, parcel_serialized: bytes) -> bytes:
        ping_parcel = Parcel.deserialize(parcel_serialized)
        unwrapped = unwrap_payload(ping_parcel, self._session_keys)
        message = ServiceMessage.deserialize(unwrapped.plaintext)
        assert message.type == PING_TYPE, message.type
        ping = Ping.deserialize(message.content)
        pong = self._make_pong(ping, ping_parcel.sender_certificate.node_id, unwrapped.peer_key)
        with self._lock:
            self._answered.append(ping.id)
        return pong

    def _make_pong(self, ping: Ping, recipient_id: str, recipient_key: SessionKey) -> bytes:
        assert ping.route is not None, "Pings of Android apps bring no route"
        wrapped = wrap_payload(ping.pong().serialize(), recipient_key)
        self._session_keys.save(wrapped.key_id, wrapped.private_key)
        path = ping.route.delivery_authorization
        parcel = Parcel(
            recipient=Recipient(id=recipient_id, internet_address=ping.route.internet_gateway_address),
            id=str(uuid.uuid4()),
            creation_date=(datetime.now(UTC) - _BACKDATING).replace(microsecond=0),
            ttl_seconds=int(_TTL.total_seconds()),
            payload=wrapped.payload,
            sender_certificate=path.leaf,
            attached_certificates=path.authorities,
        )
        return parcel.serialize(self.private_key)
