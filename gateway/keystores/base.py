"""What every key store does."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class SessionKeyEntry:
    """A session key of ours, with the moment it was saved."""

    key_id: bytes
    private_key: EllipticCurvePrivateKey
    created_at: datetime


class KeyStore(Protocol):
    """Keeps private keys. What is asked for and cannot be had raises `KeyUnavailableError`.

    A session key that does not exist, or serves another peer, raises its subclass `UnknownKeyError`.

    Node ids name identities of this gateway, peer ids private gateways. A session key that is bound to a peer
    serves that peer alone; an unbound one, which connection parameters publish, serves all.
    """

    def save_identity_key(self, node_id: str, private_key: RSAPrivateKey) -> None: ...

    def load_identity_key(self, node_id: str) -> RSAPrivateKey: ...

    def save_session_key(
        self,
        key_id: bytes,
        private_key: EllipticCurvePrivateKey,
        node_id: str,
        peer_id: str | None = None,
        *,
        created_at: datetime | None = None,
    ) -> None: ...

    def load_session_key(self, key_id: bytes, peer_id: str) -> EllipticCurvePrivateKey: ...

    def find_latest_unbound_session_key(self, node_id: str) -> SessionKeyEntry | None: ...

    def delete_session_keys_created_before(self, moment: datetime, node_id: str, *, limit: int) -> int:
        """Forget session keys of that identity, at most so many; returns their number.

        The latest unbound key stays, whatever its age: connection parameters need one.
        """
        ...
