"""The session protocol of gateways (RS-003): payloads encrypted between keys that are used for one exchange.

Each message brings its sender's own session key, to which the answer is encrypted. Where private keys are kept is
the caller's affair: these functions ask a key store for one, or hand one back to be stored.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from awala.cms.enveloped_data import EnvelopedData, encrypt
from awala.ramf import RAMFMessage
from awala.session_key import SessionKey, generate_session_key


class SessionKeySource(Protocol):
    """Whatever holds the private session keys of this node."""

    def load_session_key(self, key_id: bytes, peer_id: str) -> EllipticCurvePrivateKey:
        """Return the key with this id, which must be unbound or bound to the node ``peer_id``.

        What is raised where there is none passes through to the caller of :func:`unwrap_payload`.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class UnwrappedPayload:
    """The plaintext of a message, and the key to which its sender wants the answer to be encrypted."""

    plaintext: bytes = field(repr=False)
    peer_key: SessionKey


@dataclass(frozen=True, kw_only=True, slots=True)
class WrappedPayload:
    """A payload, and the private key that decrypts the answer to it, to be stored under ``key_id``."""

    payload: bytes = field(repr=False)
    key_id: bytes
    private_key: EllipticCurvePrivateKey = field(repr=False)


def unwrap_payload(message: RAMFMessage, key_source: SessionKeySource) -> UnwrappedPayload:
    """Decrypt the payload of a message whose signature was verified, as it is by deserialising it (RS-003).

    :raises MalformedMessageError: if the payload is no EnvelopedData value that answers can be encrypted for
    :raises DecryptionError: if it cannot be decrypted, whatever the cause
    """
    enveloped_data = EnvelopedData.deserialize(message.payload)
    peer_key = enveloped_data.originator_session_key()
    private_key = key_source.load_session_key(enveloped_data.recipient_key_id, message.sender_certificate.node_id)
    return UnwrappedPayload(plaintext=enveloped_data.decrypt(private_key), peer_key=peer_key)


def wrap_payload(plaintext: bytes, recipient_key: SessionKey) -> WrappedPayload:
    """Encrypt a payload with a new session key (RS-003); store the private key before the message leaves.

    :raises InvalidArgumentError: if the plaintext is too large
    """
    session_key, private_key = generate_session_key()
    payload = encrypt(
        plaintext,
        recipient_key=recipient_key,
        originator_key=session_key,
        originator_private_key=private_key,
    )
    return WrappedPayload(payload=payload, key_id=session_key.key_id, private_key=private_key)


def replaces_peer_key(stored_created_at: datetime | None, created_at: datetime) -> bool:
    """Say whether a key that came with a message created at ``created_at`` takes the place of the stored one.

    The newest by the stated date of creation wins, whatever the order of arrival; of two messages of one second, as
    in the JVM library, the last one.
    """
    return stored_created_at is None or stored_created_at <= created_at
