"""The session keys that a node of the probe holds, by which the answers to what it sends can be opened."""

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from awala.ramf import RAMFMessage
from awala.session_key import SessionKey, generate_session_key
from awala.sessions import UnwrappedPayload, unwrap_payload, wrap_payload
from gateway.probe.steps import UnmetExpectationError


class SessionKeys:
    """Keeps the private halves for as long as the probe runs."""

    def __init__(self) -> None:
        self._private_keys: dict[bytes, EllipticCurvePrivateKey] = {}

    def generate(self) -> SessionKey:
        """A key for whoever writes first."""
        session_key, private_key = generate_session_key()
        self._private_keys[session_key.key_id] = private_key
        return session_key

    def wrap(self, plaintext: bytes, recipient_key: SessionKey) -> bytes:
        """A payload that brings the key for its answer."""
        wrapped = wrap_payload(plaintext, recipient_key)
        self._private_keys[wrapped.key_id] = wrapped.private_key
        return wrapped.payload

    def unwrap(self, message: RAMFMessage) -> UnwrappedPayload:
        """Raises `InvalidMessageError` or `UnmetExpectationError`."""
        return unwrap_payload(message, self)

    def load_session_key(self, key_id: bytes, _peer_id: str) -> EllipticCurvePrivateKey:
        try:
            return self._private_keys[key_id]
        except KeyError:
            raise UnmetExpectationError("It is encrypted to a session key that its recipient does not have") from None
